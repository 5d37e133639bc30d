//! Every file of the samples: the test that holds the simulator against it, or why none does.

use std::collections::BTreeSet;
use std::path::Path;

use super::{answers, describes, errors, fields, queries, statements, tokens};

/// What is done with a file.
#[expect(dead_code, reason = "people read it, and naming a test shows that the test is there")]
pub(super) enum Use {
    /// This test compares it.
    By(fn()),
    /// Nothing, for this reason.
    Not(&'static str),
}

use Use::{By, Not};

const WRITES: &str = "an answer to writing: the simulator's records change through its control API only";
const FILES: &str = "a file that people load, no answer";
const TEXTS: &str = "texts of people, no answers";
const EVENTS: &str = "change events come by another API, which is not simulated";
const CHATTER: &str = "the Connect API of feeds is not simulated; feeds are read as records";

/// A path, or the beginning of several when it ends in `/`.
pub(super) const LEDGER: [(&str, Use); 68] = [
    ("INDEX.md", Not("about the samples")),
    ("NOTICES.txt", Not("about the samples")),
    ("bulk/job_info_complete.json", By(answers::a_bulk_job_tells_what_recorded_ones_tell)),
    ("bulk/job_info_failed.json", By(answers::a_bulk_job_tells_what_recorded_ones_tell)),
    ("bulk/query_job_created.json", By(answers::a_bulk_job_tells_what_recorded_ones_tell)),
    ("cdc/", Not(EVENTS)),
    ("composite/graph_error.json", By(answers::composites_have_the_recorded_shape)),
    ("composite/query_all_success.json", By(answers::composites_have_the_recorded_shape)),
    ("csv/", Not(FILES)),
    ("describe/case_describe_api48.json", By(describes::describes_have_the_recorded_keys_and_values)),
    ("describe/contact_describe_2015_api29.json", By(describes::older_describes_are_covered)),
    ("describe/event_describe.json", By(describes::describes_of_other_objects_have_no_further_keys)),
    (
        "describe/opportunitycontactrole_describe.json",
        By(describes::describes_of_other_objects_have_no_further_keys),
    ),
    ("describe/user_describe_2016.json", By(describes::older_describes_are_covered)),
    (
        "describe/whizbang_custom_describe_api20.json",
        By(describes::describes_of_other_objects_have_no_further_keys),
    ),
    ("email/", Not(TEXTS)),
    ("errors/collections_all_or_none.json", Not(WRITES)),
    ("errors/entity_is_deleted.json", By(errors::errors_have_the_recorded_bodies)),
    ("errors/error-bodies.json", By(errors::every_catalogued_error_is_given_as_recorded)),
    ("errors/invalid_field_for_insert_update.json", Not(WRITES)),
    ("errors/invalid_field_query.json", By(errors::errors_have_the_recorded_bodies)),
    ("errors/invalid_session_id_401.json", By(errors::errors_have_the_recorded_bodies)),
    ("errors/not_found_external_id.json", By(errors::errors_have_the_recorded_bodies)),
    ("exchange/bulk1_upsert_by_external_id.json", Not(WRITES)),
    ("exchange/bulk2_query_results_two_pages.json", By(answers::bulk_results_come_with_the_recorded_headers)),
    ("exchange/collections_upsert_rest.json", Not(WRITES)),
    ("exchange/composite_200_inner_404.json", By(answers::composites_have_the_recorded_shape)),
    ("exchange/composite_count_200.json", By(answers::composites_have_the_recorded_shape)),
    ("exchange/composite_four_queries_200.json", By(answers::composites_have_the_recorded_shape)),
    (
        "exchange/dataset_extract_standard_objects.json",
        By(answers::recorded_queries_are_answered_in_their_shape),
    ),
    ("exchange/oauth_password_200.json", By(tokens::tokens_have_the_recorded_shape)),
    (
        "exchange/organization_record_200.json",
        By(answers::whole_records_and_resources_have_the_recorded_keys),
    ),
    ("exchange/query_200_no_rows.json", By(answers::headers_look_as_recorded)),
    ("exchange/query_200_one_record.json", By(answers::headers_look_as_recorded)),
    ("exchange/query_400_invalid_type_with_recordcount.json", By(errors::errors_have_the_recorded_bodies)),
    ("exchange/query_find_records_multiple.json", By(answers::recorded_queries_are_answered_in_their_shape)),
    (
        "exchange/services_data_version_resources.json",
        By(answers::whole_records_and_resources_have_the_recorded_keys),
    ),
    ("exchange/sobject_create_201.json", Not(WRITES)),
    ("exchange/sobject_delete_404_entity_is_deleted.json", By(errors::errors_have_the_recorded_bodies)),
    ("exchange/sobject_patch_204.json", Not(WRITES)),
    ("feed/", Not(CHATTER)),
    ("field-lists/", By(fields::documented_fields_are_there)),
    ("global/describe_global_a.json", By(describes::describe_global_has_the_recorded_keys)),
    ("identity/userinfo_custom_scope.json", By(tokens::user_information_has_the_recorded_keys)),
    ("limits/limits_2022.json", By(answers::whole_records_and_resources_have_the_recorded_keys)),
    ("oauth/invalid_grant_expired_refresh.json", By(tokens::refusals_are_the_recorded_ones)),
    ("oauth/invalid_grant_password.json", By(tokens::refusals_are_the_recorded_ones)),
    ("oauth/jwt_success_with_scope.json", By(tokens::tokens_have_the_recorded_shape)),
    ("oauth/refresh_success_no_refresh_token.json", By(tokens::tokens_have_the_recorded_shape)),
    ("oauth/token_success_minimal.json", By(tokens::tokens_have_the_recorded_shape)),
    ("query/account_record_namespaced.json", By(queries::records_have_the_recorded_shape)),
    ("query/aggregate_expr0.json", By(queries::query_answers_have_the_recorded_shape)),
    ("query/case_with_histories_rekeyed.json", By(queries::query_answers_have_the_recorded_shape)),
    ("query/cases_with_parent_account_contact.json", By(queries::query_answers_have_the_recorded_shape)),
    ("query/contact_record.json", By(queries::records_have_the_recorded_shape)),
    ("query/contacts_three_parent_levels.json", By(queries::query_answers_have_the_recorded_shape)),
    ("query/count_only.json", By(queries::query_answers_have_the_recorded_shape)),
    (
        "query/leads_compound_address_done_true_with_next.json",
        Not("edited by hand, and of an object that is not simulated"),
    ),
    ("query/opportunities_null_lookup.json", By(queries::query_answers_have_the_recorded_shape)),
    ("query/page_1_done_false.json", By(queries::query_answers_have_the_recorded_shape)),
    ("query/page_2_done_true.json", By(queries::query_answers_have_the_recorded_shape)),
    ("query/parent_and_child_nested.json", By(queries::query_answers_have_the_recorded_shape)),
    ("query/permission_set.json", By(queries::query_answers_have_the_recorded_shape)),
    ("query/versions.json", By(answers::whole_records_and_resources_have_the_recorded_keys)),
    ("records/", Not(FILES)),
    ("replication/", By(answers::replication_has_the_recorded_shape)),
    ("soql-", By(statements::every_statement_of_the_corpus_has_its_verdict)),
    ("tickets/", Not(TEXTS)),
];

fn files(folder: &Path, below: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(folder, &path, found);
        } else {
            found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// Whether an entry is about a file: that file, or one of a group.
fn covers(entry: &str, file: &str) -> bool {
    entry == file || (entry.ends_with(['/', '-']) && file.starts_with(entry))
}

#[test]
fn every_file_is_compared_or_left_out_for_a_reason() {
    let Some(folder) = super::folder("every_file_is_compared_or_left_out_for_a_reason") else { return };
    let mut found = BTreeSet::new();
    files(&folder, &folder, &mut found);
    let unknown: Vec<&String> =
        found.iter().filter(|file| !LEDGER.iter().any(|(entry, _)| covers(entry, file))).collect();
    assert!(unknown.is_empty(), "nobody looks at {unknown:?}");
    let stale: Vec<&str> = LEDGER
        .iter()
        .map(|(entry, _)| *entry)
        .filter(|entry| !found.iter().any(|file| covers(entry, file)))
        .collect();
    assert!(stale.is_empty(), "there is nothing at {stale:?}");
}

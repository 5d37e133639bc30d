//! Jobs that read what others lead to. Each is made in the commit that found the need for it.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::GenericClient as _;
use tokio_postgres::types::Type;

use super::error::StoreError;
use super::page_commit::ParentObjects;
use super::pool::{Database, TenantTx};
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, ObjectId, SalesforceId};
use crate::job::lease::{Class, Kind, Lease};
use crate::job::related::{MOST_IDS, Related};
use crate::tenant::TenantScope;

/// Whose job it is to be.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// The connection.
    pub connection: ConnectionId,
    /// Whose limits bind it.
    pub org: SalesforceId,
}

impl From<&Lease> for Owner {
    fn from(lease: &Lease) -> Self {
        Self { connection: lease.connection, org: lease.org }
    }
}

/// Makes jobs that read these records of one object by reference, as many as their ids need.
pub async fn related_jobs_insert(
    tx: &TenantTx<'_>,
    owner: Owner,
    class: Class,
    object: ObjectId,
    related: &Related,
) -> Result<(), StoreError> {
    const SQL: &str = "-- related_jobs_insert
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, params)
        SELECT $1::uuid, $2::uuid, $3::int, $4::text, $5::text, $6::int2, jsonb_build_object('field', $7::text, 'ids', to_jsonb(array_agg(k.id ORDER BY k.n)))
          FROM unnest($8::text[]) WITH ORDINALITY AS k (id, n) GROUP BY (k.n - 1) / $9
        UNION ALL
        SELECT $1::uuid, $2::uuid, $3::int, $4::text, $5::text, $6::int2, jsonb_build_object('field', $7::text, 'numbers', to_jsonb($10::text[]))
         WHERE cardinality($10::text[]) > 0";
    tx.sql()
        .execute(
            SQL,
            &[
                &tx.scope().tenant().0,
                &owner.connection.0,
                &object.0,
                &owner.org.as_str(),
                &Kind::Related.word(),
                &class.number(),
                &related.field,
                &related.ids,
                &most(),
                &related.numbers,
            ],
        )
        .await
        .map_err(StoreError::at("related_jobs_insert"))?;
    Ok(())
}

/// Makes jobs that read these shells' own records, where their object's history was read: until then it may bring them.
///
/// The caller holds the feed's lock, as whoever ends that history does, so no shell is overlooked by both.
pub(super) async fn parents_wanted(
    tx: &TenantTx<'_>,
    owner: Owner,
    shells: &[(ObjectId, String)],
) -> Result<(), StoreError> {
    const SQL: &str = "-- related_parents_wanted
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, params)
        SELECT $1, $2, s.object_id, $3, $4, $5, jsonb_build_object('field', 'Id', 'ids', to_jsonb(array_agg(s.id)))
          FROM (SELECT k.object_id, k.id, (row_number() OVER (PARTITION BY k.object_id ORDER BY k.id) - 1) / $8 AS part
                  FROM unnest($6::int[], $7::text[]) AS k (object_id, id)) s
          JOIN checkpoints c ON c.object_id = s.object_id AND c.state = 'current'
         GROUP BY s.object_id, s.part";
    if shells.is_empty() {
        return Ok(());
    }
    let objects: Vec<i32> = shells.iter().map(|(object, _)| object.0).collect();
    let ids: Vec<&str> = shells.iter().map(|(_, id)| id.as_str()).collect();
    tx.sql()
        .query_typed(
            SQL,
            &[
                (&tx.scope().tenant().0, Type::UUID),
                (&owner.connection.0, Type::UUID),
                (&owner.org.as_str(), Type::TEXT),
                (&Kind::Related.word(), Type::TEXT),
                (&Class::Derived.number(), Type::INT2),
                (&objects, Type::INT4_ARRAY),
                (&ids, Type::TEXT_ARRAY),
                (&most(), Type::INT8),
            ],
        )
        .await
        .map_err(StoreError::at("related_parents_wanted"))?;
    Ok(())
}

/// The shells of a ticket object whose history has just been read, so that it will bring none of them.
pub(super) async fn shells_left(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    object: ObjectId,
) -> Result<Vec<(ObjectId, String)>, StoreError> {
    const SQL: &str = "-- related_shells_left
        SELECT record_id FROM tickets
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND state = 1 ORDER BY record_id";
    let rows = tx
        .sql()
        .query(SQL, &[&tx.scope().tenant().0, &connection.0, &object.0])
        .await
        .map_err(StoreError::at("related_shells_left"))?;
    Ok(rows.iter().map(|row| (object, row.get(0))).collect())
}

/// Records of a ticket object, whose history was read by now, that items named before it was one: those made no shell.
pub(super) async fn named_before(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    object: ObjectId,
) -> Result<Vec<(ObjectId, String)>, StoreError> {
    const SQL: &str = "-- related_named_before
        SELECT DISTINCT m.ticket_record_id FROM checkpoints c
          JOIN messages m ON m.tenant_id = $1 AND m.connection_id = $2 AND m.state = 0
               AND m.ticket_record_id >= c.key_prefix AND m.ticket_record_id < c.key_prefix || '~'
         WHERE c.object_id = $3 AND c.state = 'current'
           AND NOT EXISTS (SELECT FROM tickets t
                            WHERE t.tenant_id = $1 AND t.connection_id = $2 AND t.object_id = $3
                              AND t.record_id = m.ticket_record_id)";
    let rows = tx
        .sql()
        .query(SQL, &[&tx.scope().tenant().0, &connection.0, &object.0])
        .await
        .map_err(StoreError::at("related_named_before"))?;
    Ok(rows.iter().map(|row| (object, row.get(0))).collect())
}

/// Takes the feed's lock until the commit, without a new number.
pub(super) async fn feed_lock(tx: &TenantTx<'_>) -> Result<(), StoreError> {
    const SQL: &str = "-- feed_lock\nSELECT FROM tenant_feed WHERE tenant_id = $1 FOR UPDATE";
    tx.sql().execute(SQL, &[&tx.scope().tenant().0]).await.map_err(StoreError::at("feed_lock"))?;
    Ok(())
}

/// What the first plan of an object leads to, where history is read only from some moment on or there is none: the
/// tickets of shells that no slice will bring, and the items of what is here from before that moment.
///
/// Comes after the checkpoint is stored, in its transaction.
pub async fn related_at_first_plan(
    tx: &TenantTx<'_>,
    lease: &Lease,
    parents: &ParentObjects,
) -> Result<(), StoreError> {
    const CHILDREN: &str = "-- related_at_first_plan
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, params)
        SELECT $1, $2, $6, $3, $4, $5, jsonb_build_object('field', w.field, 'ids', to_jsonb(array_agg(w.id ORDER BY w.id)))
          FROM (SELECT f.field, h.record_id AS id,
                       (row_number() OVER (PARTITION BY f.field ORDER BY h.record_id) - 1) / $8 AS part
                  FROM checkpoints c
                 CROSS JOIN LATERAL (
                       SELECT object_id, record_id FROM tickets
                        WHERE tenant_id = $1 AND connection_id = $2 AND state = 0
                          AND (opened_at IS NULL OR opened_at < c.scope_from)
                       UNION ALL
                       SELECT object_id, record_id FROM messages
                        WHERE tenant_id = $1 AND connection_id = $2 AND state = 0 AND holds
                          AND sent_at < c.scope_from
                       UNION ALL
                       SELECT object_id, record_id FROM records
                        WHERE tenant_id = $1 AND connection_id = $2 AND state = 0 AND object_id = ANY ($9)) h
                  JOIN object_syncs p ON p.object_id = h.object_id
                 CROSS JOIN unnest($7::text[]) AS f (field)
                  JOIN describes d ON d.object_id = c.object_id
                 WHERE c.object_id = $6 AND c.scope_from > '-infinity'
                   AND EXISTS (SELECT FROM jsonb_array_elements(d.body->'fields') x
                                WHERE x->>'name' = f.field AND x->'referenceTo' ? p.api_name)) w
         GROUP BY w.field, w.part";
    let (owner, object) = (Owner::from(lease), lease.object);
    feed_lock(tx).await?;
    if parents.tickets.values().any(|ticket| *ticket == object) {
        let mut wanted = shells_left(tx, owner.connection, object).await?;
        wanted.extend(named_before(tx, owner.connection, object).await?);
        parents_wanted(tx, owner, &wanted).await?;
    }
    let fields: Vec<&str> = parents
        .children
        .iter()
        .filter(|(child, _)| *child == object)
        .map(|(_, field)| field.as_str())
        .collect();
    if fields.is_empty() {
        return Ok(());
    }
    // What is found by its parents alone is found by those too that are no part of a ticket.
    let leading: Vec<i32> =
        parents.with_children.iter().filter(|_| parents.by_parents.contains(&object)).map(|o| o.0).collect();
    let class = if parents.by_calls.contains(&object) { Class::Transcripts } else { Class::Derived };
    tx.sql()
        .query_typed(
            CHILDREN,
            &[
                (&tx.scope().tenant().0, Type::UUID),
                (&owner.connection.0, Type::UUID),
                (&owner.org.as_str(), Type::TEXT),
                (&Kind::Related.word(), Type::TEXT),
                (&class.number(), Type::INT2),
                (&object.0, Type::INT4),
                (&fields, Type::TEXT_ARRAY),
                (&most(), Type::INT8),
                (&leading, Type::INT4_ARRAY),
            ],
        )
        .await
        .map_err(StoreError::at("related_at_first_plan"))?;
    Ok(())
}

/// Makes jobs that read again what is here of an object from before the begin of its history: others led to it, and no
/// slice does.
pub async fn beyond_history_again(tx: &TenantTx<'_>, lease: &Lease) -> Result<(), StoreError> {
    const SQL: &str = "-- related_beyond_history
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, params)
        SELECT $1::uuid, $2::uuid, $3::int, $4::text, $5::text, $6::int2,
               jsonb_build_object('field', 'Id', 'ids', to_jsonb(array_agg(w.id ORDER BY w.id)))
          FROM (SELECT r.record_id AS id, (row_number() OVER (ORDER BY r.record_id) - 1) / $7::int8 AS part
                  FROM checkpoints c
                  JOIN records r ON r.tenant_id = $1::uuid AND r.connection_id = $2::uuid AND r.object_id = $3::int
                       AND r.state = 0 AND r.modstamp < c.scope_from
                 WHERE c.object_id = $3::int AND c.scope_from > '-infinity') w
         GROUP BY w.part";
    tx.sql()
        .execute(
            SQL,
            &[
                &tx.scope().tenant().0,
                &lease.connection.0,
                &lease.object.0,
                &lease.org.as_str(),
                &Kind::Related.word(),
                &Class::Derived.number(),
                &most(),
            ],
        )
        .await
        .map_err(StoreError::at("related_beyond_history"))?;
    Ok(())
}

/// Fields by which an object's items name what they belong to.
pub type ChildFields = Vec<(ObjectId, String)>;

/// Makes jobs that read the children of these new records of `parent`, with when each was opened, from objects of which
/// history is read only from some moment on: what such a record has from before that moment no window brings.
pub(super) async fn children_wanted(
    tx: &TenantTx<'_>,
    owner: Owner,
    class: Class,
    parent: ObjectId,
    children: &ChildFields,
    records: &[(&str, Option<Timestamp>)],
) -> Result<(), StoreError> {
    children_insert(tx, owner, (class, Of::BeyondWindows), parent, children, records).await
}

/// Makes jobs that read every child of these records of `parent`: they took over a merged record's, or came back with
/// their own.
pub(super) async fn children_again(
    tx: &TenantTx<'_>,
    owner: Owner,
    parent: ObjectId,
    children: &ChildFields,
    records: &[&str],
) -> Result<(), StoreError> {
    let records: Vec<(&str, Option<Timestamp>)> = records.iter().map(|id| (*id, None)).collect();
    children_insert(tx, owner, (Class::Derived, Of::All), parent, children, &records).await
}

/// Makes jobs that read this record and all of its children now: a person waits for it.
pub async fn record_wanted(
    tx: &TenantTx<'_>,
    owner: Owner,
    object: ObjectId,
    record: &SalesforceId,
    children: &ChildFields,
) -> Result<(), StoreError> {
    let itself =
        Related { field: "Id".to_owned(), ids: vec![record.to_string()], numbers: Vec::new(), gone: false };
    related_jobs_insert(tx, owner, Class::Interactive, object, &itself).await?;
    let record = [(record.as_str(), None)];
    children_insert(tx, owner, (Class::Interactive, Of::All), object, children, &record).await
}

/// Which children are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Those that no window brings.
    BeyondWindows,
    /// All of them, whatever windows bring.
    All,
}

async fn children_insert(
    tx: &TenantTx<'_>,
    owner: Owner,
    (class, of): (Class, Of),
    parent: ObjectId,
    children: &ChildFields,
    records: &[(&str, Option<Timestamp>)],
) -> Result<(), StoreError> {
    // A field asks for a job only where it may point to the parent's object, as the child's describe says.
    const SQL: &str = "-- related_children_wanted
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, params)
        SELECT $1, $2, w.object_id, $3, $4, $5,
               jsonb_build_object('field', w.field, 'ids', to_jsonb(array_agg(w.id ORDER BY w.id)))
          FROM (SELECT f.object_id, f.field, r.id,
                       (row_number() OVER (PARTITION BY f.object_id, f.field ORDER BY r.id) - 1) / $11 AS part
                  FROM unnest($7::int[], $8::text[]) AS f (object_id, field)
                  JOIN checkpoints c ON c.object_id = f.object_id AND c.state IN ('loading', 'current')
                       AND (c.scope_from > '-infinity' OR $12)
                  JOIN describes d ON d.object_id = f.object_id
                  JOIN object_syncs p ON p.object_id = $6
                  JOIN unnest($9::text[], $10::timestamptz[]) AS r (id, opened_at)
                    ON r.opened_at IS NULL OR r.opened_at < c.scope_from
                 WHERE EXISTS (SELECT FROM jsonb_array_elements(d.body->'fields') x
                                WHERE x->>'name' = f.field AND x->'referenceTo' ? p.api_name)) w
         GROUP BY w.object_id, w.field, w.part";
    if children.is_empty() || records.is_empty() {
        return Ok(());
    }
    let objects: Vec<i32> = children.iter().map(|(object, _)| object.0).collect();
    let fields: Vec<&str> = children.iter().map(|(_, field)| field.as_str()).collect();
    let (ids, opened): (Vec<&str>, Vec<Option<Timestamp>>) = records.iter().copied().unzip();
    tx.sql()
        .query_typed(
            SQL,
            &[
                (&tx.scope().tenant().0, Type::UUID),
                (&owner.connection.0, Type::UUID),
                (&owner.org.as_str(), Type::TEXT),
                (&Kind::Related.word(), Type::TEXT),
                (&class.number(), Type::INT2),
                (&parent.0, Type::INT4),
                (&objects, Type::INT4_ARRAY),
                (&fields, Type::TEXT_ARRAY),
                (&ids, Type::TEXT_ARRAY),
                (&opened, Type::TIMESTAMPTZ_ARRAY),
                (&most(), Type::INT8),
                (&(of == Of::All), Type::BOOL),
            ],
        )
        .await
        .map_err(StoreError::at("related_children_wanted"))?;
    Ok(())
}

/// Ids in one job, at most, as SQL wants it.
pub(super) fn most() -> i64 {
    i64::try_from(MOST_IDS).unwrap_or(i64::MAX)
}

/// Of these sessions and calls, those of which words are here that another object told.
pub async fn spoken_here(
    db: &Database,
    scope: &TenantScope,
    connection: ConnectionId,
    except: ObjectId,
    holders: &[&str],
) -> Result<HashSet<String>, StoreError> {
    const SQL: &str = "-- spoken_here
        SELECT DISTINCT m.ticket_record_id FROM messages m
         WHERE m.tenant_id = $1 AND m.ticket_record_id = ANY ($4) AND m.connection_id = $2 AND m.object_id <> $3
           AND m.state = 0 AND m.kind = 'entry' AND m.characters > 0";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query(SQL, &[&scope.tenant().0, &connection.0, &except.0, &holders])
        .await
        .map_err(StoreError::at("spoken_here"))?;
    tx.commit().await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The sessions and calls in which these entries of an object were said, of those that are shown.
pub async fn sessions_of(
    db: &Database,
    scope: &TenantScope,
    connection: ConnectionId,
    object: ObjectId,
    entries: &[SalesforceId],
) -> Result<HashMap<SalesforceId, SalesforceId>, StoreError> {
    const SQL: &str = "-- sessions_of
        SELECT k.id, m.ticket_record_id FROM unnest($3::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT ticket_record_id FROM messages
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id AND state = 0 OFFSET 0) m";
    let ids: Vec<&str> = entries.iter().map(SalesforceId::as_str).collect();
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query_typed(SQL, &[(&connection.0, Type::UUID), (&object.0, Type::INT4), (&ids, Type::TEXT_ARRAY)])
        .await
        .map_err(StoreError::at("sessions_of"))?;
    tx.commit().await?;
    let id = |row: &tokio_postgres::Row, place: usize| {
        SalesforceId::parse(row.get(place)).map_err(|_| StoreError::Unreadable("messages.ticket_record_id"))
    };
    rows.iter().map(|row| Ok((id(row, 0)?, id(row, 1)?))).collect()
}

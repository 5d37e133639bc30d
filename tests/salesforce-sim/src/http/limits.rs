//! `/limits` and `/limits/recordCount`.

use serde_json::{Map, Value, json};

use super::Answer;
use super::data::{Call, Context};
use crate::store::State;

/// Limits that this org never uses, with their maxima.
const UNUSED: [(&str, u64); 47] = [
    ("ActiveScratchOrgs", 40),
    ("AnalyticsExternalDataSizeMB", 40_960),
    ("BOZosCalloutHourlyLimit", 20_000),
    ("ConcurrentAsyncGetReportInstances", 200),
    ("ConcurrentEinsteinDataInsightsStoryCreation", 5),
    ("ConcurrentEinsteinDiscoveryStoryCreation", 2),
    ("ConcurrentSyncReportRuns", 20),
    ("DailyAnalyticsDataflowJobExecutions", 60),
    ("DailyAnalyticsUploadedFilesSizeMB", 51_200),
    ("DailyAsyncApexExecutions", 250_000),
    ("DailyBulkApiBatches", 15_000),
    ("DailyDeliveredPlatformEvents", 25_000),
    ("DailyDurableGenericStreamingApiEvents", 10_000),
    ("DailyDurableStreamingApiEvents", 10_000),
    ("DailyEinsteinDataInsightsStoryCreation", 1_000),
    ("DailyEinsteinDiscoveryPredictAPICalls", 50_000),
    ("DailyEinsteinDiscoveryPredictionsByCDC", 500_000),
    ("DailyEinsteinDiscoveryStoryCreation", 100),
    ("DailyFunctionsApiCallLimit", 50_000),
    ("DailyGenericStreamingApiEvents", 10_000),
    ("DailyScratchOrgs", 80),
    ("DailyStandardVolumePlatformEvents", 10_000),
    ("DailyStreamingApiEvents", 10_000),
    ("DailyWorkflowEmails", 100_000),
    ("DataStorageMB", 10_240),
    ("DurableStreamingApiConcurrentClients", 20),
    ("FileStorageMB", 20_480),
    ("HourlyAsyncReportRuns", 1_200),
    ("HourlyDashboardRefreshes", 200),
    ("HourlyDashboardResults", 5_000),
    ("HourlyDashboardStatuses", 999_999_999),
    ("HourlyLongTermIdMapping", 100_000),
    ("HourlyManagedContentPublicRequests", 50_000),
    ("HourlyODataCallout", 1_000),
    ("HourlyPublishedPlatformEvents", 250_000),
    ("HourlyPublishedStandardVolumePlatformEvents", 1_000),
    ("HourlyShortTermIdMapping", 100_000),
    ("HourlySyncReportRuns", 500),
    ("HourlyTimeBasedWorkflow", 1_000),
    ("MassEmail", 5_000),
    ("MonthlyEinsteinDiscoveryStoryCreation", 500),
    ("MonthlyPlatformEventsUsageEntitlement", 750_000),
    ("Package2VersionCreates", 6),
    ("Package2VersionCreatesWithoutValidation", 500),
    ("PrivateConnectOutboundCalloutHourlyLimitMB", 0),
    ("SingleEmail", 5_000),
    ("StreamingApiConcurrentClients", 20),
];

/// `/limits`
pub(super) fn limits(context: Context<'_>) -> Answer {
    let entry = |(name, max): &(&str, u64)| ((*name).to_owned(), json!({"Max": max, "Remaining": max}));
    let mut all: Map<String, Value> = UNUSED.iter().map(entry).collect();
    let mut allowance = context.org.allowance();
    let (max, used) = (allowance.daily_max, allowance.used(context.now));
    all.insert("DailyApiRequests".to_owned(), json!({"Max": max, "Remaining": max.saturating_sub(used)}));
    let mut jobs = context.org.jobs();
    let (max, used) = (jobs.settings.daily_jobs, jobs.used_jobs(context.now));
    all.insert("DailyBulkV2QueryJobs".to_owned(), json!({"Max": max, "Remaining": max.saturating_sub(used)}));
    let (max, used) = (jobs.settings.daily_kb / 1_024, jobs.used_kb(context.now) / 1_024);
    let storage = json!({"Max": max, "Remaining": max.saturating_sub(used)});
    all.insert("DailyBulkV2QueryFileStorageMB".to_owned(), storage);
    // One limit nests others, as real answers do.
    let nested = json!({"Max": 1500, "Remaining": 1499, "CreateCustom": {"Max": 1000, "Remaining": 999}});
    all.insert("PermissionSets".to_owned(), nested);
    Answer::json(200, &Value::Object(all))
}

/// `/limits/recordCount?sObjects=Case,Task`: live rows; unknown objects are left out.
pub(super) fn record_count(context: Context<'_>, call: Call<'_>) -> Answer {
    let store = context.org.records();
    let permissions = context.permissions();
    let names: Vec<&str> =
        call.params.get("sObjects").map(|names| names.split(',').collect()).unwrap_or_default();
    let wanted =
        |name: &str| names.is_empty() || names.iter().any(|one| one.trim().eq_ignore_ascii_case(name));
    let counted = store.tables.iter().filter(|(index, table)| {
        permissions.object_visible(*index)
            && wanted(&table.schema.name)
            && !table.schema.name.ends_with("History")
    });
    let counts: Vec<Value> = counted
        .map(|(_, table)| {
            let live = table.count(|state| state == State::Live);
            json!({"count": live, "name": table.schema.name})
        })
        .collect();
    Answer::json(200, &json!({"sObjects": counts}))
}

//! The org's rolling-day allowance: from the header of every answer, and from the limits resource.

use serde::Deserialize;
use serde_json::Value;

use super::client::{Ask, Client};
use super::error::SalesforceError;
use super::fault::FaultKind;
use crate::ports::CallKind;

/// Calls that the org used and may use in its rolling day, all integrations together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiUsage {
    /// Calls used.
    pub used: u64,
    /// Calls allowed.
    pub limit: u64,
}

impl ApiUsage {
    /// Reads `Sforce-Limit-Info`: any number of parts, found by name and never by place.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        header.split([';', ',']).find_map(|part| {
            let (name, value) = part.split_once('=')?;
            if !name.trim().eq_ignore_ascii_case("api-usage") {
                return None;
            }
            let (used, limit) = value.split_once('/')?;
            Some(Self { used: used.trim().parse().ok()?, limit: limit.trim().parse().ok()? })
        })
    }
}

impl Client {
    /// How many Bulk query jobs the org may still make in its rolling day; `None` when the integration user may not
    /// read that.
    pub async fn bulk_jobs_left(&self) -> Result<Option<u64>, SalesforceError> {
        let limits = self.limits().await?;
        let left = limits.and_then(|limits| limits["DailyBulkV2QueryJobs"]["Remaining"].as_i64());
        Ok(left.map(|left| u64::try_from(left).unwrap_or(0)))
    }

    /// The daily allowance as the limits resource tells it, at most five minutes old.
    ///
    /// `None` when the integration user may not read it: then the header of the other answers must do.
    pub async fn daily_allowance(&self) -> Result<Option<ApiUsage>, SalesforceError> {
        self.limits().await?.map_or(Ok(None), |limits| daily_allowance(&limits))
    }

    async fn limits(&self) -> Result<Option<Value>, SalesforceError> {
        let answer = self.call(CallKind::Limits, Ask::get(self.data_path("/limits"))).await;
        match answer {
            Ok(answer) => answer.json("the limits").map(Some),
            Err(SalesforceError::Api(fault))
                if matches!(
                    fault.kind,
                    FaultKind::NotFound | FaultKind::FeatureDisabled | FaultKind::AccessDenied
                ) || (fault.kind == FaultKind::ApiDisabled && fault.message.contains("Limits"))
                    || (fault.kind == FaultKind::Unknown && fault.status == 403) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Other keys nest as they like; only this one is looked at.
fn daily_allowance(limits: &Value) -> Result<Option<ApiUsage>, SalesforceError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Daily {
        max: u64,
        remaining: i64,
    }
    let Some(daily) = limits.get("DailyApiRequests") else {
        return Ok(None);
    };
    let Ok(daily) = Daily::deserialize(daily) else {
        let received = "DailyApiRequests without Max and Remaining".to_owned();
        return Err(SalesforceError::Unreadable { expected: "the limits", status: 200, received });
    };
    // Production orgs are let somewhat beyond their allowance; what remains is then below nothing.
    let max = i64::try_from(daily.max).unwrap_or(i64::MAX);
    let used = u64::try_from(max.saturating_sub(daily.remaining)).unwrap_or(0);
    Ok(Some(ApiUsage { used, limit: daily.max }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_by_name() {
        let usage = Some(ApiUsage { used: 10_018, limit: 100_000 });
        assert_eq!(ApiUsage::parse("api-usage=10018/100000"), usage);
        assert_eq!(ApiUsage::parse("API-Usage = 10018 / 100000 "), usage);
        assert_eq!(ApiUsage::parse("api-usage=10018/100000; api-bursts=1/750"), usage);
        assert_eq!(
            ApiUsage::parse("per-app-api-usage=17/250(appName=sample-app); api-usage=10018/100000"),
            usage
        );
        assert_eq!(
            ApiUsage::parse("api-usage=25/5000; per-app-api-usage=17/250(appName=x)").unwrap().used,
            25
        );
        for none in ["", "api-usage", "api-usage=x/y", "per-app-api-usage=17/250(appName=x)", "api-usage=1"] {
            assert_eq!(ApiUsage::parse(none), None, "{none}");
        }
    }

    #[test]
    fn the_limits_resource_gives_the_daily_requests() {
        let limits =
            serde_json::json!({"DailyApiRequests": {"Max": 5000, "Remaining": 4937, "App": {"Max": 1}}});
        assert_eq!(daily_allowance(&limits).unwrap(), Some(ApiUsage { used: 63, limit: 5000 }));
        let over = serde_json::json!({"DailyApiRequests": {"Max": 100, "Remaining": -3}});
        assert_eq!(daily_allowance(&over).unwrap(), Some(ApiUsage { used: 103, limit: 100 }));
        assert_eq!(daily_allowance(&serde_json::json!({})).unwrap(), None);
        assert!(daily_allowance(&serde_json::json!({"DailyApiRequests": 5})).is_err());
    }
}

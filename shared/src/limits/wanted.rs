//! What a tenant allows over one connection.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a tenant allows; what is not given is the default. Of several connections to one org the strictest holds for all,
/// but for the share, which is each one's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionLimits {
    /// Calls at once, over all workers: 1 to 20, for an org bears 25 long ones of all its clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<u32>,
    /// Calls a second in each lane, 1 to 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_second: Option<u32>,
    /// This connection's share of the org's daily calls, 1 to 100 percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_percent: Option<u32>,
    /// What all connections of ours to the org may use of them together, 1 to 100 percent; as long as none says so, all
    /// their shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap_percent: Option<u32>,
    /// What stays for others: no call of ours starts when less of the org's daily calls is left, 0 to 90 percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve_percent: Option<u32>,
}

impl ConnectionLimits {
    /// The names of those that are out of bounds, with the bounds.
    #[must_use]
    pub fn out_of_bounds(&self) -> Vec<(&'static str, u32, u32)> {
        [
            ("lanes", self.lanes, 1, 20),
            ("calls_per_second", self.calls_per_second, 1, 50),
            ("share_percent", self.share_percent, 1, 100),
            ("cap_percent", self.cap_percent, 1, 100),
            ("reserve_percent", self.reserve_percent, 0, 90),
        ]
        .into_iter()
        .filter(|(_, wanted, least, most)| wanted.is_some_and(|wanted| !(*least..=*most).contains(&wanted)))
        .map(|(name, _, least, most)| (name, least, most))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_named_with_its_bounds() {
        let wanted = |text: &str| serde_json::from_str::<ConnectionLimits>(text).unwrap().out_of_bounds();
        assert_eq!(wanted("{}"), []);
        assert_eq!(
            wanted(r#"{"lanes": 20, "calls_per_second": 1, "share_percent": 100, "reserve_percent": 0}"#),
            []
        );
        assert_eq!(
            wanted(r#"{"lanes": 0, "calls_per_second": 51, "share_percent": 0, "reserve_percent": 91}"#),
            [
                ("lanes", 1, 20),
                ("calls_per_second", 1, 50),
                ("share_percent", 1, 100),
                ("reserve_percent", 0, 90)
            ]
        );
        assert!(serde_json::from_str::<ConnectionLimits>(r#"{"lane": 1}"#).is_err());
    }
}

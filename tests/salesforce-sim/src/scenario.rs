//! What is done to the orgs while they run, told in a file beforehand: calls of the control API, each at its time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::World;

/// How often a waiting scenario looks at the clock, which can be moved at any time.
const LOOK: Duration = Duration::from_millis(20);

/// One thing to do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioStep {
    /// How long after the start, in simulated milliseconds; at the start if absent, before anybody can call.
    #[serde(default)]
    pub after_ms: i64,
    /// Number of the org, from 1; every org if absent.
    #[serde(default)]
    pub org: Option<usize>,
    /// Path of the control API below the org: `faults`, `permissions`, `records/Case/{id}/delete`.
    pub post: String,
    /// Body.
    #[serde(default = "empty")]
    pub body: Value,
}

fn empty() -> Value {
    Value::Object(Map::new())
}

impl ScenarioStep {
    /// A step for every org at the start.
    pub fn at_start(post: &str, body: Value) -> Self {
        Self { after_ms: 0, org: None, post: post.to_owned(), body }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    steps: Vec<ScenarioStep>,
}

/// Reads a scenario file: `{"steps": [{"after_ms": 60000, "org": 1, "post": "faults", "body": {…}}]}`.
///
/// # Errors
/// When the file cannot be read or is no scenario; the text says where.
pub fn read(file: &Path) -> anyhow::Result<Vec<ScenarioStep>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let scenario: Scenario = serde_json::from_str(&text)
        .with_context(|| format!("{} is no scenario; the README shows one", file.display()))?;
    Ok(scenario.steps)
}

/// Does what is due at the start.
///
/// # Errors
/// The first refusal: a scenario that cannot begin is not worth starting.
pub async fn begin(world: &World, steps: &[ScenarioStep]) -> anyhow::Result<()> {
    for step in steps.iter().filter(|step| step.after_ms <= 0) {
        run(world, step).await.map_err(|why| anyhow::anyhow!("the scenario cannot begin: {why}"))?;
    }
    Ok(())
}

/// Does the rest, each step at its time. Refusals are logged and shown on the status page.
pub async fn go_on(world: Arc<World>, steps: Vec<ScenarioStep>) {
    let start = world.clock.now_ms();
    let mut later: Vec<ScenarioStep> = steps.into_iter().filter(|step| step.after_ms > 0).collect();
    later.sort_by_key(|step| step.after_ms);
    for step in later {
        while world.clock.now_ms() < start + step.after_ms {
            tokio::time::sleep(LOOK).await;
        }
        if let Err(why) = run(&world, &step).await {
            world.note_trouble(why);
        }
    }
}

async fn run(world: &World, step: &ScenarioStep) -> Result<(), String> {
    let orgs = world.orgs();
    let chosen: Vec<_> = match step.org {
        None => orgs.iter().collect(),
        Some(number) => {
            let org = number.checked_sub(1).and_then(|place| orgs.get(place));
            vec![org.ok_or_else(|| format!("There is no org {number}; orgs are counted from 1."))?]
        }
    };
    for org in chosen {
        world.steer(org.identity.org_id, &step.post, &step.body).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_read_and_mistakes_are_named() {
        let file = std::env::temp_dir().join(format!("scenario-{}.json", std::process::id()));
        let written = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read(&file)
        };
        let steps = written(r#"{"steps": [{"post": "latency", "body": {"ms": 5}}]}"#).unwrap();
        assert_eq!((steps[0].after_ms, steps[0].org, steps[0].post.as_str()), (0, None, "latency"));
        let wrong = written(r#"{"steps": [{"post": "latency", "when": 5}]}"#).unwrap_err();
        assert!(format!("{wrong:#}").contains("unknown field `when`"), "{wrong:#}");
        std::fs::remove_file(&file).unwrap();
        assert!(read(&file).is_err());
    }

    #[test]
    fn the_example_of_the_readme_is_a_scenario() {
        let readme = include_str!("../README.md");
        let (_, rest) = readme.split_once("```json\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let steps = serde_json::from_str::<Scenario>(example).unwrap().steps;
        let posts: Vec<&str> = steps.iter().map(|step| step.post.as_str()).collect();
        assert_eq!(posts, ["users", "faults", "mass-update"]);
    }
}

//! `/composite/graph`: several composites, each a whole of its own. Rows and basic information only, no queries.

use serde::{Deserialize, Serialize};

use super::{Part, Responses, parsed, run_all};
use crate::http::Answer;
use crate::http::data::{Call, Context};

const MOST_NODES: usize = 500;
const MOST_GRAPHS: usize = 75;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Graphs {
    graphs: Vec<Graph>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Graph {
    graph_id: String,
    composite_request: Vec<Part>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GraphAnswer {
    graph_id: String,
    graph_response: Responses,
    is_successful: bool,
}

#[derive(Serialize)]
struct GraphAnswers {
    graphs: Vec<GraphAnswer>,
}

/// `POST /composite/graph`
pub(super) fn graph(context: Context<'_>, call: Call<'_>) -> Answer {
    let request: Graphs = match parsed(call.body) {
        Ok(request) => request,
        Err(answer) => return answer,
    };
    let nodes: usize = request.graphs.iter().map(|graph| graph.composite_request.len()).sum();
    if nodes > MOST_NODES || request.graphs.len() > MOST_GRAPHS {
        let message = format!("A request may have {MOST_GRAPHS} graphs and {MOST_NODES} nodes at most");
        return Answer::error(400, "LIMIT_EXCEEDED", &message);
    }
    let parts = request.graphs.iter().flat_map(|graph| &graph.composite_request);
    let foreign = parts.map(|part| part.url.as_str()).find(|url| !url.contains("/sobjects/"));
    if let Some(url) = foreign {
        let message = format!("The resource {url} is not supported in a composite graph");
        return Answer::error(400, "INVALID_INPUT", &message);
    }
    let answers: Vec<_> = request
        .graphs
        .iter()
        .map(|graph| {
            let (parts, good) = run_all(context, &graph.composite_request, true);
            GraphAnswer {
                graph_id: graph.graph_id.clone(),
                graph_response: Responses { composite_response: parts },
                is_successful: good,
            }
        })
        .collect();
    Answer::ordered(200, &GraphAnswers { graphs: answers })
}

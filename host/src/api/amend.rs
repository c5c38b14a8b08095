//! `PATCH /flow_runs/{id}` and its labels: what a flow run is called. What it does was settled when
//! it was made, and what it is in belongs to the engine.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::ApiState;
use super::body::Body;
use super::error::Error;
use super::flow_runs;
use super::texts::{check_labels, short, tags};
use crate::store::Amendment;

const SETTLED: &str = "this is settled when a flow run is made: only its name, tags and labels may change";

/// Null means unchanged. What only Prefect's own runners report about themselves is passed over.
pub(super) async fn update(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    body: Body,
) -> Result<StatusCode, Error> {
    let run = flow_runs::id_of(&id)?;
    let amendment = body.read(|fields| {
        fields.ignored(&["flow_version", "empirical_policy", "infrastructure_pid"]);
        for name in ["parameters", "job_variables"] {
            if fields
                .value::<Map<String, Value>>(name)
                .is_some_and(|one| !one.is_empty())
            {
                fields.fault(Some(name), "not_supported", SETTLED);
            }
        }
        Amendment {
            name: fields.parsed("name", short),
            tags: tags(fields),
            labels: Map::new(),
        }
    })?;
    amend(&state, run, amendment).await
}

/// The body is the labels; those that it does not name stay.
pub(super) async fn label(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    body: Body,
) -> Result<StatusCode, Error> {
    let run = flow_runs::id_of(&id)?;
    let Value::Object(labels) = body.into_json() else {
        return Err(Error::Invalid(
            "labels are an object of texts, numbers and booleans".into(),
        ));
    };
    check_labels(&labels).map_err(Error::Invalid)?;
    let amendment = Amendment {
        labels,
        ..Amendment::default()
    };
    amend(&state, run, amendment).await
}

async fn amend(state: &ApiState, run: grepx_engine::FlowRunId, amendment: Amendment) -> Result<StatusCode, Error> {
    if state.store.amend(run, amendment).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(flow_runs::not_found())
    }
}

//! Which events a client wants: `?events=flow_run,log&flow_run_id=…&deployment_id=…`. All conditions
//! have to hold; an event that does not say what a condition asks for is not sent.

use grepx_engine::FlowRunId;
use serde::Deserialize;
use uuid::Uuid;

use super::shapes;
use crate::api::bus::What;
use crate::api::error::Error;
use crate::api::filter::uuid;
use crate::store::RunIdentity;

#[derive(Debug, Default, Deserialize)]
pub(in crate::api) struct Choice {
    /// Kinds, with commas between.
    events: Option<String>,
    flow_run_id: Option<String>,
    deployment_id: Option<String>,
    /// As `Last-Event-ID`, for clients that cannot send a header.
    pub(super) after: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Checked {
    kinds: Option<Vec<String>>,
    run: Option<FlowRunId>,
    deployment: Option<Uuid>,
}

impl Choice {
    pub(super) fn checked(self) -> Result<Checked, Error> {
        let kinds: Option<Vec<String>> = self
            .events
            .map(|all| all.split(',').map(|kind| kind.trim().to_owned()).collect());
        let strange = kinds
            .iter()
            .flatten()
            .find(|kind| !shapes::KINDS.contains(&kind.as_str()));
        if let Some(strange) = strange {
            return Err(Error::Invalid(format!(
                "events: there is no kind {strange:?}; the kinds are {}",
                shapes::KINDS.join(", ")
            )));
        }
        let id = |text: Option<String>| text.map(|text| uuid(&text).map_err(Error::Invalid)).transpose();
        Ok(Checked {
            kinds,
            run: id(self.flow_run_id)?.map(FlowRunId),
            deployment: id(self.deployment_id)?,
        })
    }
}

impl Checked {
    /// Whether events that clients have sent are wanted; they are of no flow run or deployment.
    pub(super) fn takes_clients(&self) -> bool {
        let of_kind = |kinds: &Vec<String>| kinds.iter().any(|kind| kind == shapes::CLIENT_EVENT);
        self.kinds.as_ref().is_none_or(of_kind) && self.run.is_none() && self.deployment.is_none()
    }

    pub(super) fn accepts(&self, what: &What<'_>) -> bool {
        let of_kind = self
            .kinds
            .as_ref()
            .is_none_or(|kinds| kinds.iter().any(|kind| kind == shapes::kind(what)));
        of_kind
            && self.run.is_none_or(|run| what.run() == Some(run))
            && self.deployment.is_none_or(|wanted| deployment(what) == Some(wanted))
    }
}

fn deployment(what: &What<'_>) -> Option<Uuid> {
    let of = |identity: &RunIdentity| identity.deployment_id;
    match what {
        What::FlowRun(change, _) | What::TaskRun(change, ..) | What::Log(change, ..) => {
            change.rows.identity.as_deref().and_then(of)
        }
        What::Planned(identity) => of(identity),
        What::DeploymentSwitch { deployment, .. } => Some(*deployment),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

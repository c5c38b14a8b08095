use super::{Checked, Choice};
use crate::api::bus::{DefinitionsNews, What};

fn checked(events: Option<&str>, run: Option<&str>) -> Result<Checked, String> {
    let choice = Choice {
        events: events.map(str::to_owned),
        flow_run_id: run.map(str::to_owned),
        ..Choice::default()
    };
    choice.checked().map_err(|error| error.to_string())
}

#[test]
fn what_is_not_asked_for_is_not_sent() {
    let definitions = What::Definitions(DefinitionsNews {
        flows: 1,
        deployments: 1,
        work_pools: 1,
        problems: 0,
    });
    let removed = What::Removed(grepx_engine::FlowRunId(uuid::Uuid::from_u128(7)));
    let all = checked(None, None).expect("no condition");
    assert!(all.accepts(&definitions) && all.accepts(&removed));
    let some = checked(Some("log, flow_run_deleted"), None).expect("kinds");
    assert!(!some.accepts(&definitions) && some.accepts(&removed));
    let own = checked(None, Some("00000000-0000-0000-0000-000000000007")).expect("a run");
    assert!(!own.accepts(&definitions), "it concerns no run");
    assert!(own.accepts(&removed));
    let other = checked(None, Some("00000000-0000-0000-0000-000000000008")).expect("a run");
    assert!(!other.accepts(&removed));
}

#[test]
fn an_unknown_kind_is_told_with_those_that_there_are() {
    let refused = checked(Some("flow_runs"), None).expect_err("no such kind");
    assert!(
        refused.contains("\"flow_runs\"") && refused.contains("task_run"),
        "{refused}"
    );
    assert!(checked(None, Some("x")).is_err());
}

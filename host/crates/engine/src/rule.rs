//! Trigger rules: whether a node may run, given how its upstreams ended so far.

use crate::run::Tally;
use crate::{Skip, TriggerRule};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ruling {
    Wait,
    Run,
    Skip(Skip),
}

pub(crate) fn rule(rule: TriggerRule, tally: Tally, upstreams: u32) -> Ruling {
    let done = tally.completed + tally.failed + tally.skipped == upstreams;
    let upstream_failed = || {
        Ruling::Skip(Skip::UpstreamFailed(format!(
            "{} of {upstreams} upstream task runs did not complete; the rule is {}",
            tally.failed,
            rule.as_str()
        )))
    };
    let not_met = |why: &str| Ruling::Skip(Skip::Rule(why.to_owned()));
    match rule {
        TriggerRule::AllSuccess if tally.failed > 0 => upstream_failed(),
        TriggerRule::AllSuccess if tally.skipped > 0 => not_met("an upstream task run was skipped"),
        TriggerRule::NoneFailed if tally.failed > 0 => upstream_failed(),
        TriggerRule::OneSuccess if tally.completed > 0 => Ruling::Run,
        TriggerRule::OneSuccess if done && tally.failed > 0 => upstream_failed(),
        TriggerRule::OneSuccess if done && upstreams > 0 => not_met("no upstream task run completed"),
        TriggerRule::OneFailed if tally.failed > 0 => Ruling::Run,
        TriggerRule::OneFailed if done => not_met("no upstream task run failed"),
        _ if done => Ruling::Run,
        _ => Ruling::Wait,
    }
}

#[cfg(test)]
mod tests;

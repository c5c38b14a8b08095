//! Messages that nobody has any more: the worker that ran the task is gone, or the server has
//! forgotten what it held.
//!
//! A slow task and a lost one look the same from here, so after some time without news it is asked
//! where the message is. Only when two looks in a row find it nowhere, and every worker that got the
//! question has answered, is it given up: Celery is kept from delivering it again, and its command
//! fails. What follows is the kind's to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use grepx_engine::{ErrorClass, Event, FlowRunId, Message, NodeId, Op, Outcome, TaskError, Timestamp};

use super::live::{Live, Queued};
use super::mail::Mail;
use super::{Runner, World};
use crate::broker::Whereabouts;

/// Looks that have to agree.
const LOOKS: u32 = 2;
/// Messages that are looked for at a time; the others wait for a later look.
const SOUGHT_MAX: usize = 1_000;
/// The code of the failure, for kinds.
const CODE: &str = "lost";

struct Suspect {
    run: FlowRunId,
    node: NodeId,
    attempt: u32,
    key: String,
    /// When this look finds it nowhere as well, it is lost.
    last: bool,
}

/// What a look has found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) run: FlowRunId,
    pub(crate) node: NodeId,
    pub(crate) attempt: u32,
    pub(crate) whereabouts: Whereabouts,
}

/// Looks for what has been silent for long.
pub(crate) fn look<'a>(world: &World, runner: &Runner, live: impl Iterator<Item = &'a mut Live>) {
    let now = crate::clock::now();
    let mut suspects: BTreeMap<String, Vec<Suspect>> = BTreeMap::new();
    let mut count = 0;
    for live in live {
        let run = live.id();
        for (node, queued) in &mut live.queued {
            if count == SOUGHT_MAX {
                break;
            }
            if is_due(world, queued, now) {
                queued.seen = now;
                count += 1;
                suspects.entry(queued.to.connection.clone()).or_default().push(Suspect {
                    run,
                    node: *node,
                    attempt: queued.attempt,
                    key: queued.key.to_string(),
                    last: queued.missing + 1 >= LOOKS,
                });
            }
        }
    }
    for (connection, suspects) in suspects {
        let (world, runner) = (world.clone(), runner.clone());
        crate::task::spawn(
            "lost",
            async move { search(&world, &runner, &connection, suspects).await },
        );
    }
}

fn is_due(world: &World, queued: &Queued, now: Timestamp) -> bool {
    let after = world.broker.lost_after(&queued.to.connection);
    after.is_some_and(|after| u128::from(now.since_ms(queued.seen)) >= after.as_millis())
}

async fn search(world: &World, runner: &Runner, connection: &str, suspects: Vec<Suspect>) {
    let (mut sought, mut messages): (Vec<Suspect>, Vec<Message>) = (Vec::new(), Vec::new());
    for one in suspects {
        let found = world
            .store
            .find_send(one.run, one.node, one.attempt, one.key.clone())
            .await;
        // What was not published yet cannot be lost.
        if let Ok(Some(send)) = found
            && send.sent_at.is_some()
            && let Op::Enqueue(message) = send.op
        {
            sought.push(one);
            messages.push(Arc::unwrap_or_clone(message));
        }
    }
    if sought.is_empty() {
        return;
    }
    // A connection that is down is reported where it is felt; nothing can be concluded.
    let Ok(places) = world.broker.whereabouts(connection, &messages).await else {
        return;
    };
    let is_nowhere = |place: &Whereabouts| matches!(place, Whereabouts::Nowhere { .. });
    let lost = sought.iter().zip(&messages).zip(&places);
    let lost: Vec<Message> = lost
        .filter(|((one, _), place)| one.last && is_nowhere(place))
        .map(|((_, message), _)| message.clone())
        .collect();
    if !lost.is_empty() && world.broker.give_up(connection, &lost).await.is_err() {
        return;
    }
    for (one, whereabouts) in sought.into_iter().zip(places) {
        let Suspect { run, node, attempt, .. } = one;
        tracing::debug!(%run, task_run = %node.run_id(run), ?whereabouts, "looked for a message without news");
        let found = Found {
            run,
            node,
            attempt,
            whereabouts,
        };
        let mail = Mail::Sought(found);
        let _ = runner.post(run, mail).await;
    }
}

/// Takes down what a look has found; the failure of the command when it is lost.
pub(crate) fn conclude(live: &mut Live, found: &Found) -> Option<Event> {
    let Found {
        run,
        node,
        attempt,
        whereabouts,
    } = *found;
    let queued = live.queued.get_mut(&node).filter(|queued| queued.attempt == attempt)?;
    let workers = is_lost(queued, whereabouts)?;
    let asked = match workers {
        1 => "the one worker does not have it".to_owned(),
        many => format!("none of the {many} workers has it"),
    };
    let message = format!(
        "{} is lost: its message is not in queue `{}` of connection `{}` any more, {asked}, and there is no result",
        queued.to.task_name, queued.to.queue, queued.to.connection
    );
    tracing::warn!(%run, task_run = %node.run_id(run), "{message}");
    let key = queued.key.to_string();
    Some(Event::Outcome {
        node,
        attempt,
        key,
        outcome: Outcome::Failed(TaskError::new(ErrorClass::Retryable, CODE, message)),
    })
}

/// How many workers were asked in vain, when enough looks in a row agree.
fn is_lost(queued: &mut Queued, whereabouts: Whereabouts) -> Option<u64> {
    let Whereabouts::Nowhere { workers } = whereabouts else {
        queued.missing = 0;
        return None;
    };
    queued.missing += 1;
    (queued.missing >= LOOKS).then_some(workers)
}

#[cfg(test)]
mod tests;

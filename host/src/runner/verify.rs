//! Whether what is shown is what has happened: the log of every flow run is folded anew and compared
//! with the rows that people read, the slots and the outbox, and the rows are counted. Reads only.
//!
//! A host that was killed leaves a store in which nothing differs; a difference is a defect of the
//! host, or somebody has changed the file.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use grepx_engine::{FlowRunId, NodeId, Op, State, StateType, Timestamp};

use crate::store::{self, Choice, LiveRun, OpenSend, Page, SendId, Store, TaskRunFilter, TaskRunSort};

use super::admission;
use super::draft;
use super::live::Live;

/// Rows that are read at a time.
const PAGE: u32 = 1_000;
/// Differences that are told; the others are counted.
const TOLD_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub struct Verified {
    pub flow_runs: u64,
    pub live: u64,
    pub facts: u64,
    pub task_runs: u64,
    pub open_sends: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
    pub more: u64,
    /// Where lists and counts go by another number of runs than there are.
    pub miscounted: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub run: FlowRunId,
    pub what: String,
}

impl Verified {
    /// Nothing differs.
    #[must_use]
    pub const fn agrees(&self) -> bool {
        self.differences.is_empty() && self.miscounted.is_empty()
    }

    fn differs(&mut self, run: FlowRunId, what: String) {
        if self.differences.len() < TOLD_MAX {
            self.differences.push(Difference { run, what });
        } else {
            self.more += 1;
        }
    }
}

/// Compares everything in the store.
///
/// # Errors
/// When the store cannot be read.
pub async fn verify(store: &Store) -> Result<Verified, store::Error> {
    let mut verified = Verified {
        miscounted: store.miscounted().await?,
        ..Verified::default()
    };
    let mut slots = store.slot_runs().await?;
    let mut sends = open_sends(store).await?;
    verified.open_sends = sends.values().map(|of_run| of_run.len() as u64).sum();
    let mut plans = HashMap::new();
    let mut runs = store.all_runs();
    while let Some(run) = runs.recv().await {
        let read = run.and_then(|run: LiveRun| Ok((run.records.len(), admission::live(&mut plans, run)?)));
        match read {
            Ok((facts, live)) => {
                verified.flow_runs += 1;
                verified.facts += facts as u64;
                verified.live += u64::from(!live.run.is_finished());
                let (slot, sends) = (slots.remove(&live.id()), sends.remove(&live.id()));
                compare(store, &mut verified, &live, slot, &sends.unwrap_or_default()).await?;
            }
            Err(store::Error::Unreadable { run, what, source }) => {
                let why = source.map_or_else(String::new, |source| format!(": {source}"));
                verified.differs(run, format!("{what} cannot be read{why}"));
                slots.remove(&run);
                sends.remove(&run);
            }
            Err(error) => return Err(error),
        }
    }
    for run in slots.into_keys() {
        verified.differs(run, "there is no such flow run, and it has a slot".to_owned());
    }
    for (run, sends) in sends {
        let what = format!("there is no such flow run, and {} sends of it are open", sends.len());
        verified.differs(run, what);
    }
    Ok(verified)
}

async fn open_sends(store: &Store) -> Result<BTreeMap<FlowRunId, Vec<OpenSend>>, store::Error> {
    let mut all: BTreeMap<FlowRunId, Vec<OpenSend>> = BTreeMap::new();
    let mut after = SendId(0);
    loop {
        let page = store.open_sends(after, PAGE, true).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.id;
        for send in page {
            all.entry(send.run).or_default().push(send);
        }
    }
}

async fn compare(
    store: &Store,
    verified: &mut Verified,
    live: &Live,
    slot: Option<bool>,
    sends: &[OpenSend],
) -> Result<(), store::Error> {
    let run = live.id();
    let Some(row) = store.flow_run(run).await? else {
        verified.differs(run, "its row is missing".to_owned());
        return Ok(());
    };
    let state = live.run.state();
    let shown = (
        row.state.state_type,
        row.state.name.as_str(),
        row.start_time,
        row.end_time,
    );
    let folded = (state.state_type, state.name, live.run.started_at(), live.run.ended_at());
    if shown != folded {
        verified.differs(run, format!("it is shown as {shown:?}, its log says {folded:?}"));
    }
    if let Some(what) = wrong_slot(&state, row.run.work_pool.is_some(), slot) {
        verified.differs(run, what);
    }
    let over = |send: &&OpenSend| live.run.attempt_number(send.node) != send.attempt;
    for send in sends.iter().filter(over).filter(|send| is_left_over(send, sends)) {
        let what = format!(
            "its outbox holds {:?} of attempt {} of {}, which is over",
            send.key,
            send.attempt,
            name(live, send.node)
        );
        verified.differs(run, what);
    }
    compare_tasks(store, verified, live).await
}

/// Of an attempt that is over stay what it has left to be done, and a message until it is withdrawn.
fn is_left_over(send: &OpenSend, sends: &[OpenSend]) -> bool {
    let withdraws = |other: &OpenSend| {
        (other.node, other.attempt) == (send.node, send.attempt)
            && matches!(&other.op, Op::Cancel(key) if *key == send.key)
    };
    !send.keep && !sends.iter().any(withdraws)
}

/// A slot is held by who runs, and by nobody who has ended, has not begun or is paused.
fn wrong_slot(state: &State, has_pool: bool, slot: Option<bool>) -> Option<String> {
    let wrong = match (state.state_type, state.name) {
        (StateType::Pending | StateType::Running, _) => has_pool && slot != Some(true),
        (StateType::Scheduled, "Scheduled") | (StateType::Paused, _) => slot.is_some(),
        (StateType::Scheduled, _) => has_pool && slot.is_none(),
        (StateType::Cancelling, _) => false,
        (state_type, _) => state_type.is_terminal() && slot.is_some(),
    };
    let has = match slot {
        None => "has no row among the slots",
        Some(false) => "waits for a slot",
        Some(true) => "holds a slot",
    };
    wrong.then(|| format!("it is {} and {has}", state.name))
}

/// What is compared of a task run.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    state_type: StateType,
    state: String,
    attempt: u32,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

async fn compare_tasks(store: &Store, verified: &mut Verified, live: &Live) -> Result<(), store::Error> {
    let run = live.id();
    let mut missing = begun(live);
    let filter = TaskRunFilter {
        run: Choice::any([run]),
        ..TaskRunFilter::default()
    };
    let mut page = Page::first(PAGE);
    loop {
        let rows = store
            .task_runs(filter.clone(), TaskRunSort::DefinitionAsc, page)
            .await?;
        for row in &rows {
            missing.remove(&row.node);
            verified.task_runs += 1;
            let shown = Shown {
                state_type: row.state.state_type,
                state: row.state.name.clone(),
                attempt: row.attempt,
                start: row.start_time,
                end: row.end_time,
            };
            let folded = draft::task_row(live, row.node, None, &[]).map(|task| Shown {
                state_type: task.state.state_type,
                state: task.state.name.to_owned(),
                attempt: task.attempt,
                start: task.start_time,
                end: task.end_time,
            });
            if folded.as_ref() != Some(&shown) {
                let what = format!("task run {} is shown as {shown:?}, the log says {folded:?}", row.name);
                verified.differs(run, what);
            }
            if live.run.has_result(row.node) && row.result_bytes.is_some() && store.result(row.id).await?.is_none() {
                verified.differs(run, format!("the result of task run {} is missing", row.name));
            }
        }
        if rows.len() < PAGE as usize {
            break;
        }
        page.offset += u64::from(PAGE);
    }
    for node in missing {
        verified.differs(run, format!("the row of task run {} is missing", name(live, node)));
    }
    Ok(())
}

/// Nodes that have to be shown: something has happened to them.
fn begun(live: &Live) -> BTreeSet<NodeId> {
    let tasks = 0..u32::try_from(live.plan.definition.tasks.len()).unwrap_or(u32::MAX);
    let nodes = tasks.flat_map(|task| {
        let items = live.run.items(task).unwrap_or(0);
        std::iter::once(NodeId::task(task)).chain((0..items).map(move |index| NodeId::item(task, index)))
    });
    let ended = |node: &NodeId| {
        live.run
            .node_state(*node)
            .is_some_and(|state| state.state_type.is_terminal())
    };
    nodes
        .filter(|node| live.run.attempts(*node) > 0 || ended(node))
        .collect()
}

fn name(live: &Live, node: NodeId) -> String {
    let task = &live.plan.definition.task(node.task).name;
    match node.index {
        Some(index) => format!("{task}[{index}]"),
        None => task.clone(),
    }
}

#[cfg(test)]
mod tests;

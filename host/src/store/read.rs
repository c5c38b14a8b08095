//! The reads of [`Store`], each in one read transaction on a blocking thread.

use std::collections::{BTreeMap, HashSet};

use grepx_engine::{FlowRunId, Json, NodeId, Record, TaskRunId, Timestamp};
use tokio::sync::mpsc;

use super::boot::{Share, Which};
use super::{
    AuditRow, ConcurrencyLimit, Error, FlowRun, FlowRunFilter, FlowRunSort, Intervals, KeyRow, LiveRun, LogFilter,
    LogLine, OpenSend, Page, PoolStatus, ScheduleRow, SendId, SlotRow, Store, StoredState, Switch, Tally, TaskRun,
    TaskRunFilter, TaskRunSort, audit, boot, concurrency, deployments, figures, keys, limits, planned, reads,
    retention, slots, stats, tallies, ways,
};

/// Runs that [`Store::live_runs`] has read ahead.
const LIVE_RUNS_AHEAD: usize = 64;

macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) -> $answer:ty = $read:expr;)*) => {
        impl Store {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// When the store cannot be read.
                pub async fn $name(&self, $($argument: $type),*) -> Result<$answer, Error> {
                    self.0.readers.read(move |sql| $read(sql, $($argument),*)).await
                }
            )*
        }
    };
}

reads! {
    flow_run(id: FlowRunId) -> Option<FlowRun> = reads::flow_run;
    flow_runs(filter: FlowRunFilter, sort: FlowRunSort, page: Page) -> Vec<FlowRun> =
        |sql, filter, sort, page| reads::flow_runs(sql, &filter, sort, page);
    count_flow_runs(filter: FlowRunFilter) -> u64 = |sql, filter| ways::count_flow_runs(sql, &filter);
    task_run(id: TaskRunId) -> Option<TaskRun> = reads::task_run;
    task_runs(filter: TaskRunFilter, sort: TaskRunSort, page: Page) -> Vec<TaskRun> =
        |sql, filter, sort, page| reads::task_runs(sql, &filter, sort, page);
    count_task_runs(filter: TaskRunFilter) -> u64 = |sql, filter| ways::count_task_runs(sql, &filter);
    /// Flow runs by the interval in which they should start, and by state.
    flow_run_history(filter: FlowRunFilter, intervals: Intervals) -> Vec<Tally> =
        |sql, filter, intervals| stats::flow_run_history(sql, &filter, intervals);
    /// Task runs by the interval in which they should start, and by state.
    task_run_history(filter: TaskRunFilter, intervals: Intervals) -> Vec<Tally> =
        |sql, filter, intervals| stats::task_run_history(sql, &filter, intervals);
    /// How late flow runs start, or are by `now`, in ms; `None` without runs.
    mean_lateness(filter: FlowRunFilter, now: Timestamp) -> Option<f64> =
        |sql, filter, now| stats::mean_lateness(sql, &filter, now);
    /// The flows of which there are such flow runs.
    flows_of(filter: FlowRunFilter) -> HashSet<uuid::Uuid> = |sql, filter| stats::flows_of(sql, &filter);
    /// The deployments of which there are such flow runs.
    deployments_of(filter: FlowRunFilter) -> HashSet<uuid::Uuid> = |sql, filter| stats::deployments_of(sql, &filter);
    logs(filter: LogFilter, page: Page) -> Vec<LogLine> = |sql, filter, page| reads::logs(sql, &filter, page);
    /// The states that a flow run has been in, oldest first.
    states(run: FlowRunId) -> Vec<StoredState> = reads::run_states;
    /// The states that a task run has been in, oldest first.
    task_states(id: TaskRunId) -> Vec<StoredState> = reads::task_states;
    result(id: TaskRunId) -> Option<Json> = reads::result;
    definition(digest: String) -> Option<Json> = |sql, digest: String| reads::definition(sql, &digest);
    /// Whether a run is only planned; `None` when there is no such run.
    is_planned(run: FlowRunId) -> Option<bool> = |sql, run: FlowRunId| planned::is_planned(sql, run.0);
    /// How far each schedule has come.
    schedules() -> Vec<ScheduleRow> = planned::schedules;
    /// What is switched on or off at run time: deployments (`None`) and their schedules.
    deployment_switches() -> BTreeMap<(uuid::Uuid, Option<uuid::Uuid>), bool> = deployments::switches;
    /// One run with its log, ended or not, as they stand at one instant; none that is only planned.
    stored_run(run: FlowRunId) -> Option<super::LiveRun> = boot::run;
    /// The log of one run, ended or not, with results.
    records(run: FlowRunId) -> Vec<Record> = boot::records;
    /// Sends of attempts that are not over, and those to keep, in the order of their ids, after
    /// `after` (`SendId(0)` is before the first); without `sent_too` only what has not been sent.
    open_sends(after: SendId, limit: u32, sent_too: bool) -> Vec<OpenSend> = boot::open_sends;
    /// The send of one command, if it is open.
    find_send(run: FlowRunId, node: NodeId, attempt: u32, key: String) -> Option<OpenSend> =
        |sql, run, node, attempt, key: String| boot::find_send(sql, run, node, attempt, &key);
    /// Every run with a row in the table of slots, and whether it holds one.
    slot_runs() -> BTreeMap<FlowRunId, bool> = slots::all_runs;
    /// Who waits in a work pool, by work queue in the order of admission.
    waiting(pool: String, limit: u32) -> Vec<SlotRow> = |sql, pool: String, limit| slots::rows(sql, &pool, false, limit);
    /// Who holds a slot of a work pool, by work queue.
    held(pool: String, limit: u32) -> Vec<SlotRow> = |sql, pool: String, limit| slots::rows(sql, &pool, true, limit);
    /// Why a run waits for a slot; `None` when it does not.
    reason_for(run: FlowRunId) -> Option<String> = slots::reason_for;
    /// A run, and why it waits for a slot if it does.
    flow_run_and_reason(id: FlowRunId) -> Option<(FlowRun, Option<String>)> = |sql, id| {
        let Some(run) = reads::flow_run(sql, id)? else { return Ok(None) };
        Ok(Some((run, slots::reason_for(sql, id)?)))
    };
    /// Why runs wait for a slot, of those that do.
    reasons_for(runs: Vec<FlowRunId>) -> BTreeMap<FlowRunId, String> =
        |sql, runs: Vec<_>| slots::reasons_for(sql, &runs);
    /// Every work pool of the definitions, as it is in force.
    pools() -> Vec<PoolStatus> = slots::pool_status;
    /// Rows, and what waits for what.
    figures() -> super::Figures = figures::read;
    /// How many ended flow runs would be removed.
    count_due(cutoffs: super::Cutoffs) -> u64 = retention::count_due;
    /// Where the tallies differ from the rows.
    miscounted() -> Vec<String> = tallies::differences;
    /// Ids of runs that have rows and are not there.
    orphans() -> Vec<Vec<u8>> = retention::orphans;
    space() -> super::Space = retention::space;
    /// Every concurrency limit by name, as it stands at `now`.
    concurrency_limits(now: Timestamp) -> Vec<ConcurrencyLimit> = concurrency::all;
    /// Every API key, the newest first.
    keys() -> Vec<KeyRow> = keys::all;
    /// The audit log, the newest first, of the rows before `before`.
    audit(before: Option<i64>, limit: u32) -> Vec<AuditRow> = audit::newest;
    /// What was set at run time, by work pool and work queue (`None`: the pool itself).
    pool_switches() -> BTreeMap<(String, Option<String>), Switch> = limits::switches;
}

impl Store {
    /// Every run of the share that has not ended, with its definition and its log, as they stand at the call.
    /// A run that cannot be read comes as its error, and the others still come.
    #[must_use]
    pub fn live_runs(&self, share: Share) -> mpsc::Receiver<Result<LiveRun, Error>> {
        self.runs(Which::Live, share)
    }

    /// As [`Store::live_runs`], all of them, with those that have ended.
    #[must_use]
    pub fn all_runs(&self) -> mpsc::Receiver<Result<LiveRun, Error>> {
        self.runs(Which::All, Share::ALL)
    }

    fn runs(&self, which: Which, share: Share) -> mpsc::Receiver<Result<LiveRun, Error>> {
        let (sender, runs) = mpsc::channel(LIVE_RUNS_AHEAD);
        let readers = self.0.readers.clone();
        crate::task::spawn("live-runs", async move {
            #[cfg(test)]
            if readers.is_in_line() {
                return hand_over(&readers, which, share, sender).await;
            }
            let to_reader = sender.clone();
            let read = readers
                .read(move |sql| boot::runs(sql, which, share, |run| to_reader.blocking_send(run).is_ok()))
                .await;
            if let Err(error) = read {
                // Nobody listens: then nobody asks.
                let _ = sender.send(Err(error)).await;
            }
        });
        runs
    }
}

/// All of them are read first: reader and taker are one thread.
#[cfg(test)]
async fn hand_over(
    readers: &super::readers::Readers,
    which: Which,
    share: Share,
    sender: mpsc::Sender<Result<LiveRun, Error>>,
) {
    let read = readers.read(move |sql| {
        let mut all = Vec::new();
        boot::runs(sql, which, share, |run| {
            all.push(run);
            true
        })?;
        Ok(all)
    });
    for run in read.await.unwrap_or_else(|error| vec![Err(error)]) {
        let _ = sender.send(run).await;
    }
}

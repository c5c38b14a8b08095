//! The pure core of grepx-host: what a flow is and what may happen to a run of it.
//!
//! Absent on purpose: clocks (time is an argument), randomness, IO, threads, SQL, WASM, and any
//! knowledge of Celery. Everything a run does is `decide` (chooses facts), `fold` (the only
//! mutation, live and in recovery) and `due` (what has to be done, derived from the state alone).

mod agenda;
mod decide;
mod definition;
mod due;
mod event;
mod fact;
mod fold;
mod ids;
mod json;
mod op;
mod rule;
mod run;
mod state;
mod time;
mod view;
mod waits;

pub use agenda::{Due, Mark};
pub use decide::ATTEMPTS_MAX;
pub use definition::{Definition, InvalidDefinition, TASKS_MAX, Task, TriggerRule};
pub use due::Call;
pub use event::{Event, Prepared, Rejected, Retry};
pub use fact::{Fact, Record, RunOutcome, Skip};
pub use ids::{FlowRunId, NodeId, TaskRunId};
pub use json::{Bytes, Json};
pub use op::{
    ChildRun, Command, ErrorClass, Message, Meta, Op, Outcome, Snapshot, Step, StopReason, Suspended, TaskError,
    Verdict, Wake,
};
pub use run::Run;
pub use state::{State, StateType};
pub use time::Timestamp;
pub use waits::Watched;

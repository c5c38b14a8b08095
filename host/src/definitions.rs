//! What the rows of `grepx-master.db`, or files that could become such rows, mean.
//!
//! `Source` reads rows and nothing else; `compile` judges them and yields a [`Catalog`], an
//! immutable snapshot, together with everything that is wrong. A wrong row costs the flow that it
//! stands in, never another one.
//!
//! Absent on purpose: the run database, schedules' arithmetic (`grepx-schedule` has it), plugins (they answer through
//! [`Kinds`]), and any write to the database outside of [`apply`].

mod apply;
mod catalog;
mod compile;
mod export;
mod parameters;
mod plan;
mod preview;
mod problem;
mod row;
mod schema;
mod source;
mod timing;
mod yaml;

pub use apply::{ApplyError, apply, current, rows_of};
pub use catalog::{
    Catalog, CatchUp, Deployment, Flow, NAMESPACE, Overlap, Pool, Queue, ScheduleSpec, ScheduleType, deployment_id,
    flow_id, pool_id, queue_id,
};
pub use compile::{KindProblem, Kinds, compile};
pub use export::export;
pub use plan::{Change, FieldChange, Plan, plan};
pub use preview::{INSTANTS_MAX, preview};
pub use problem::{Problem, Severity};
pub use row::{Cell, Row, Rows};
pub use schema::{DATABASE, Table};
pub use source::{Source, SourceError};
pub use timing::{Timing, Timings};
pub use yaml::{FileError, Files};

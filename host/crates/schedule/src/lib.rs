//! When a schedule fires: cron, interval and rrule rules, as Prefect gives their instants.
//!
//! All three say *wall-clock* times (or steps from an anchor); a time zone makes instants of
//! them. `wall` is the one place that knows gaps and overlaps, so that each kind of rule says
//! only which side of a gap it takes.
//!
//! Not in here: clocks (the caller says from when), IO, what is done at an instant.

mod config;
mod cron;
mod describe;
mod error;
mod interval;
mod rrule;
mod schedule;
mod spec;
mod wall;

pub use error::Refusal;
pub use schedule::{Instants, Schedule};
pub use spec::Spec;

//! What travels between grepx and Celery workers, as pure data: task messages, results, remote
//! control, URLs. Checked against celery 5.7 and kombu 5.7.
//!
//! Three parties share it: the `celery` plugin builds messages and reads results (as wasm), the
//! embedded worker reads messages and writes results, the Redis broker needs the names of lists
//! and channels. A malformed task message can end other people's workers, so this crate is the
//! only place that builds one.
//!
//! Deliberately absent: IO, a clock, randomness, pickle, compression, canvas (chains, groups and
//! chords: the host does the sequencing), AMQP. Ids and times are always arguments.

pub mod classify;
pub mod control;
pub mod envelope;
pub mod json;
pub mod message;
pub mod pyrepr;
pub mod queue;
pub mod result;
pub mod url;

pub use classify::{Class, Failure, classify};
pub use message::{Received, TaskMessage};
pub use queue::{QueueLayout, priority_list};
pub use result::{Exception, Status, TaskResult, result_key};
pub use url::Endpoint;

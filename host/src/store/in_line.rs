//! The store without threads, for a simulation: changes are made and reads are read by the tasks of
//! one thread, so that a seed decides their order. Only who does it is another; what is done is the
//! same code.

use futures_util::future::BoxFuture;

use super::eyes::Moment;

/// How fast the store is.
pub trait InLine: Send + Sync + std::fmt::Debug {
    /// Before the writer looks for changes: how many it then takes into one transaction.
    fn before_group(&self) -> BoxFuture<'_, usize>;
    fn before_read(&self) -> BoxFuture<'_, ()>;
    /// After every transaction.
    fn committed(&self, now: Moment);
}

//! x
pub mod clock;
pub mod store;

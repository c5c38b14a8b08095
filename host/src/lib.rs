//! x
pub mod broker;

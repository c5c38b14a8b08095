//! x

pub mod plugins;

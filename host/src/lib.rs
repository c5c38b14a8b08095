//! x

pub mod config;
pub mod definitions;
pub mod expressions;
pub mod yaml;

//! The durable kind `waits` as version 1 of its author: what it writes, only it reads.

const VERSION: u32 = 1;

#[path = "../../waits.rs"]
mod waits;

//! The durable kind `waits` as version 2 of its author: what it writes, only it reads.

const VERSION: u32 = 2;

#[path = "../../waits.rs"]
mod waits;

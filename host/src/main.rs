//! grepx-host: everything is in the library, see `lib.rs` for the map.

use std::process::ExitCode;

/// Also SQLite's, whose calls it takes over: the writer and the shards allocate all the time, on
/// every core.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    grepx_host::cli::parse_and_run()
}

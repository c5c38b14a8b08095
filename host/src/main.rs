//! grepx-host: everything is in the library, see `lib.rs` for the map.

use std::process::ExitCode;

fn main() -> ExitCode {
    grepx_host::cli::parse_and_run()
}

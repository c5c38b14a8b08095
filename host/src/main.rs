//! Entry point; everything is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    grepx_host::cli::parse_and_run()
}

//! Prefect's own command line and Python client, as they come from PyPI, against a serving host:
//! each command that its users type, with what it prints.

#![allow(clippy::disallowed_methods, reason = "the tests do to files what people do")]

mod deployments;
mod flow_runs;
mod limits;
mod python;
mod server;
mod stock;
mod task_runs;
mod watch;
mod work_pools;

use std::path::PathBuf;

use grepx_tests::Host;

/// The sample flows and those of `flows.yaml`, on the in-process broker.
fn host() -> Host {
    let samples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/flows");
    let mut host = Host::with(include_str!("flows.yaml")).prepare();
    for sample in ["stock_data_pipeline.yaml", "market_report.yaml"] {
        let file = samples.join(sample);
        let file = file.to_str().expect("a path of text");
        let _ = host.cli(&["apply", file]).success();
    }
    host.serve();
    host
}

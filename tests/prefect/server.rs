//! The server itself, and what a database owns that clients try to change.

use crate::host;
use crate::stock::{Stock, has};

#[test]
fn the_server_is_there_and_names_its_version() {
    let host = host();
    let stock = Stock::of(&host);
    let status = stock.json(&["server", "status"]);
    assert_eq!(status["status"], "available", "{status}");
    assert_eq!(status["server_version"], "3.8.8", "{status}");
    has(&stock.says(&["version"]), &["3.8.8", "API version"]);
    has(
        &stock.says(&["server", "status", "--wait", "--timeout", "30"]),
        &[host.url()],
    );
}

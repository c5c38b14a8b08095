//! `--watch`: Prefect's client judges by events alone, so what it prints and its exit code say
//! whether they came, all of them, and in its words.

use serde_json::json;

use crate::host;
use crate::stock::{Stock, has};

#[test]
fn a_run_that_is_watched_shows_its_events_and_its_end() {
    let host = host();
    let stock = Stock::of(&host);
    let done = stock.ask(&["deployment", "run", "quick/quick_now", "--watch"]);
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    has(
        &done.out,
        &["prefect.flow-run.Running", "prefect.task-run.Completed", "Completed"],
    );
    let failed = stock.ask(&["deployment", "run", "fails/fails_now", "--watch"]);
    assert_eq!(failed.code, 1, "{}\n{}", failed.out, failed.err);
    has(&failed.out, &["prefect.flow-run.Failed"]);
}

#[test]
fn a_run_of_somebody_else_is_watched_until_its_end() {
    let host = host();
    let stock = Stock::of(&host);
    let run = host.run("asks/asks_now", &json!({}));
    let _waits = host.wait_task(&run, "ask", |task| task["state"]["type"] == "RUNNING");
    let watched = std::thread::scope(|scope| {
        let watching = scope.spawn(|| stock.ask(&["flow-run", "watch", &run]));
        // It listens when the host has its sockets; before, the events wait for it.
        host.cancel(&run);
        watching.join().expect("it ends")
    });
    assert_eq!(watched.code, 1, "{}\n{}", watched.out, watched.err);
    has(&watched.out, &["Cancelled"]);
}

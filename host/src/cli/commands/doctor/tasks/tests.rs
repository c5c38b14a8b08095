use crate::broker::{Inspection, Worker};
use crate::cli::commands::doctor::Level;
use crate::runner::Route;

use super::{Wanted, served};

fn worker(name: &str, queues: &[&str], tasks: &[&str]) -> Worker {
    let owned = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    Worker {
        name: name.to_owned(),
        queues: owned(queues),
        tasks: owned(tasks),
    }
}

fn finding(workers: Vec<Worker>, silent: u64) -> (Level, String, String) {
    let wanted = Wanted {
        route: Route {
            connection: "celery".to_owned(),
            queue: "gpu".to_owned(),
        },
        work_name: "data.load".to_owned(),
    };
    let inspection = Inspection {
        receivers: workers.len() as u64 + silent,
        workers,
        silent,
    };
    let found = served(
        "flow/task".to_owned(),
        "data.load on queue gpu",
        &wanted,
        &inspection,
        false,
    );
    (found.level, found.what, found.help.unwrap_or_default())
}

#[test]
fn a_task_needs_a_worker_that_reads_its_queue_and_has_its_name() {
    let (level, what, _) = finding(vec![worker("a@x", &["gpu"], &["data.load"])], 0);
    assert_eq!(level, Level::Ok);
    assert!(what.ends_with("served by a@x"), "{what}");
    let (level, what, help) = finding(vec![worker("a@x", &["celery"], &["data.load"])], 0);
    assert_eq!(level, Level::Error);
    assert!(
        what.contains("no worker reads that queue") && help.contains("-Q gpu"),
        "{what} {help}"
    );
    let (level, what, help) = finding(vec![worker("a@x", &["gpu"], &["data.laod"])], 0);
    assert_eq!(level, Level::Error);
    assert!(what.contains("a@x") && help.contains("data.laod"), "{what} {help}");
    let (level, what, _) = finding(Vec::new(), 0);
    assert_eq!(level, Level::Error);
    assert!(what.contains("no worker listens"), "{what}");
}

#[test]
fn a_silent_worker_leaves_it_open() {
    let (level, ..) = finding(vec![worker("a@x", &["celery"], &[])], 1);
    assert_eq!(level, Level::Warning);
}

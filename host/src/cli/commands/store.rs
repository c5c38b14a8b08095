//! `store verify`: the one command that opens the run store itself. The lock of the state directory
//! keeps it and a serving host apart. And the list of failpoints, for the tests.

use serde_json::json;

use crate::cli::arguments::Global;
use crate::cli::client::load_settings;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::failpoint::Point;
use crate::runner::{self, Verified};
use crate::store::Store;

pub(crate) fn verify(global: &Global) -> Done {
    let settings = load_settings(global, Vec::new())?;
    let path = settings.store.dir.join(crate::store::FILE_NAME);
    if !path.is_file() {
        let message = format!(
            "there is no run store at {} (store.dir): a host makes it when it first serves",
            path.display()
        );
        return Err(Failure::says(Exit::NotFound, message));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::broken(anyhow::Error::new(error).context("cannot start")))?;
    let verified = runtime
        .block_on(async {
            let opened = Store::open(&crate::app::store_settings(&settings))?;
            runner::verify(&opened.store).await
        })
        .map_err(Failure::broken)?;
    show(&verified, global.json);
    Ok(if verified.agrees() { Exit::Ok } else { Exit::Failed })
}

fn show(verified: &Verified, json: bool) {
    if json {
        let differences = verified
            .differences
            .iter()
            .map(|one| json!({"flow_run_id": one.run.to_string(), "what": one.what}));
        return out::json(&json!({
            "flow_runs": verified.flow_runs,
            "live": verified.live,
            "task_runs": verified.task_runs,
            "facts": verified.facts,
            "open_sends": verified.open_sends,
            "differences": differences.collect::<Vec<_>>(),
            "further_differences": verified.more,
            "miscounted": verified.miscounted,
        }));
    }
    let rows = verified
        .differences
        .iter()
        .map(|one| [one.run.to_string(), one.what.clone()]);
    let none = "Every log says what is shown.";
    out::table(["FLOW RUN", "DIFFERENCE"], rows.collect(), none);
    if verified.more > 0 {
        out::line(format!("and {} more", verified.more));
    }
    verified.miscounted.iter().for_each(out::line);
    out::line(format!(
        "{} flow runs ({} live), {} task runs, {} facts, {} open sends",
        verified.flow_runs, verified.live, verified.task_runs, verified.facts, verified.open_sends
    ));
}

/// One name a line; none in a release build, where no point does anything.
pub(crate) fn failpoints() -> Done {
    if cfg!(debug_assertions) {
        for point in Point::ALL {
            out::line(point.name());
        }
    }
    Ok(Exit::Ok)
}

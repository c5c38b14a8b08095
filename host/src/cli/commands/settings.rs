//! `config show` and `version`.

use serde_json::{Value, json};

use crate::api::{PREFECT_VERSION, VERSION};
use crate::cli::arguments::Global;
use crate::cli::client::load_settings;
use crate::cli::exit::{Done, Exit};
use crate::cli::out;

pub(crate) fn show(global: &Global) -> Done {
    let settings = load_settings(global, Vec::new())?;
    let report = settings.report();
    if global.json {
        let rows = report
            .iter()
            .map(|line| json!({"key": line.key, "value": line.value, "origin": line.origin.to_string()}));
        out::json(&Value::Array(rows.collect()));
    } else {
        let rows = report
            .into_iter()
            .map(|line| [line.key, line.value, line.origin.to_string()]);
        out::table(["SETTING", "VALUE", "ORIGIN"], rows.collect(), "No settings.");
    }
    Ok(Exit::Ok)
}

pub(crate) fn version(json: bool) -> Done {
    if json {
        out::json(&json!({"version": VERSION, "prefect_api": PREFECT_VERSION}));
    } else {
        out::line(format!("grepx-host {}", VERSION));
    }
    Ok(Exit::Ok)
}

//! `audit ls`: who changed what, by the server when one answers, else from the run store itself.

use serde_json::Value;

use super::offline::Offline;
use crate::api::show_audit;
use crate::cli::arguments::Global;
use crate::cli::client::Client;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::{date_time, text};

pub(crate) fn ls(global: &Global, limit: u16) -> Done {
    let asked = Client::new(global).and_then(|client| client.get(&format!("/audit?limit={limit}")));
    let rows = match asked {
        Ok(rows) => rows.as_array().cloned().unwrap_or_default(),
        Err(failure) => {
            let offline = Offline::instead(global, failure)?;
            let rows = offline.runtime.block_on(offline.store.audit(None, limit.into()));
            rows.map_err(Failure::broken)?.iter().map(show_audit).collect()
        }
    };
    if global.json {
        out::json(&Value::Array(rows));
        return Ok(Exit::Ok);
    }
    let rows = rows.iter().map(|row| {
        let what = match row["method"].as_str() {
            Some("CLI" | "LOAD") => format!("{} {}", text(row, "route"), text(row, "path")),
            _ => format!("{} {}", text(row, "method"), text(row, "path")),
        };
        [
            date_time(row, "at"),
            text(row, "who"),
            text(row, "address"),
            what,
            match row["status"].as_u64() {
                Some(status) => status.to_string(),
                None => "unknown".to_owned(),
            },
            text(row, "note"),
        ]
    });
    let header = ["AT", "WHO", "FROM", "WHAT", "OUTCOME", "NOTE"];
    out::table(header, rows.collect(), "Nothing has been changed yet.");
    Ok(Exit::Ok)
}

//! The configuration: is it whole, and where does each value come from that is not a default.

use super::Finding;
use crate::cli::arguments::Global;
use crate::cli::exit::Failure;
use crate::config::{CONFIG_FILE_DEFAULT, Origin, Settings};

pub(super) fn findings(global: &Global, loaded: Result<&Settings, &Failure>) -> Vec<Finding> {
    let settings = match loaded {
        Ok(settings) => settings,
        Err(failure) => return vec![broken(global, failure)],
    };
    let report = settings.report();
    let given: Vec<String> = report
        .iter()
        .filter(|line| line.origin != Origin::Default)
        .map(|line| format!("{} = {} ({})", line.key, line.value, line.origin))
        .collect();
    let defaults = report.len() - given.len();
    let mut what = format!(
        "{} values are given, {defaults} are defaults (`grepx-host config show`)",
        given.len()
    );
    for line in &given {
        what.push('\n');
        what.push_str(line);
    }
    vec![Finding::ok(settings.file.display().to_string(), what)]
}

fn broken(global: &Global, failure: &Failure) -> Finding {
    let file = global
        .config
        .as_deref()
        .map_or(CONFIG_FILE_DEFAULT.into(), |file| file.display().to_string());
    Finding::error(
        file,
        crate::report::chain(&*failure.error),
        "correct it, or name another file with --config; nothing else can be checked without it",
    )
}

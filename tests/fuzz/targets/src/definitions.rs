//! Definition files. What is refused is refused by lines; what is taken becomes a catalog, and the
//! catalog keeps its promises.

use std::path::Path;

use grepx_host::definitions::{Catalog, Files, KindProblem, Kinds, Timings, compile, rows_of};
use serde_json::Value;

/// Bytes of one line for people at most.
const LINE_BYTES_MAX: usize = 8 << 10;

/// Takes every kind and every input: what plugins say of them is not the matter here.
pub(crate) struct AnyKind;

impl Kinds for AnyKind {
    fn check(&self, _: &str, _: &Value, _: bool) -> Result<(), KindProblem> {
        Ok(())
    }
}

pub(crate) fn read(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match Files::parse(Path::new("any.yaml"), text) {
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty(), "refused without a reason");
            for mistake in &mistakes.0 {
                line(&mistake.to_string());
            }
        }
        Ok(files) => match rows_of(&files) {
            Err(error) => line(&error.to_string()),
            Ok(rows) => judge(&compile(&rows, &AnyKind, &Timings::default())),
        },
    }
}

/// What holds for every catalog, whatever it was made of.
pub(crate) fn judge(catalog: &Catalog) {
    for problem in &catalog.problems {
        line(&problem.to_string());
        assert!(!problem.message.is_empty() && !problem.help.is_empty(), "{problem:?}");
    }
    for deployment in &catalog.deployments {
        let flow = catalog.flows.get(&deployment.flow.name);
        assert!(flow.is_some(), "{} runs a flow that there is not", deployment.name);
        for schedule in &deployment.schedules {
            if let Err(why) = &schedule.timing {
                line(why);
            }
        }
    }
}

/// One that a person can read.
pub(crate) fn line(text: &str) {
    assert!(!text.is_empty(), "nothing is said");
    assert!(
        text.len() <= LINE_BYTES_MAX,
        "{} bytes for a person: {:.200}",
        text.len(),
        text
    );
}

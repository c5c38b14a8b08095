//! `apply`, `check`, `export`: work on the definitions database and on YAML files, without a server.

use crate::app::kinds::LoadedKinds;
use crate::cli::arguments::{Apply, Check, Export, Global};
use crate::cli::client::load_settings;
use crate::cli::exit::{Done, Exit, Failure};

pub(crate) fn apply(global: &Global, arguments: &Apply) -> Done {
    let _ = (global, arguments, load_settings, Exit::Ok, |kinds: LoadedKinds| kinds);
    Err(Failure::usage("soon"))
}
pub(crate) fn check(global: &Global, arguments: &Check) -> Done {
    let _ = (global, arguments);
    Err(Failure::usage("soon"))
}
pub(crate) fn export(global: &Global, arguments: &Export) -> Done {
    let _ = (global, arguments);
    Err(Failure::usage("soon"))
}

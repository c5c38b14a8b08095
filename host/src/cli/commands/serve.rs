//! `serve`: configuration, logging, runtime; the rest is the application's.

use crate::cli::arguments::{Global, Serve};
use crate::cli::client::load_settings;
use crate::cli::commands::service::files::{Files, keep_log_small};
use crate::cli::exit::{Done, Exit, Failure};
use crate::{app, failpoint, telemetry};

pub(crate) fn serve(global: &Global, arguments: &Serve) -> Done {
    if arguments.detached.is_some() {
        // Fails for the leader of a process group only, which then has left its terminal already.
        let _ = rustix::process::setsid();
    }
    let settings = load_settings(global, overrides(arguments))?;
    let files = Files::of(&settings.store.dir);
    telemetry::init(&settings.logging).map_err(|error| Failure::new(Exit::Usage, error))?;
    failpoint::arm().map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::broken(anyhow::Error::new(error).context("cannot start threads")))?;
    let served = runtime.block_on(async {
        if let Some(log) = &arguments.detached {
            crate::task::spawn("log file", keep_log_small(log.clone()));
        }
        app::serve(settings).await
    });
    if arguments.detached.is_some() {
        files.forget_own();
    }
    served.map_err(Failure::broken)?;
    Ok(Exit::Ok)
}

pub(super) fn overrides(arguments: &Serve) -> Vec<(String, String)> {
    let host = arguments.host.clone().map(|host| ("server.host".to_owned(), host));
    let port = arguments.port.map(|port| ("server.port".to_owned(), port.to_string()));
    let open = arguments
        .allow_unauthenticated
        .then(|| ("server.allow_unauthenticated".to_owned(), "true".to_owned()));
    arguments
        .set
        .iter()
        .cloned()
        .chain(host)
        .chain(port)
        .chain(open)
        .collect()
}

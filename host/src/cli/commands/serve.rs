//! `serve`: configuration, logging, runtime; the rest is the application's.

use crate::cli::arguments::{Global, Serve};
use crate::cli::client::load_settings;
use crate::cli::exit::{Done, Exit, Failure};
use crate::{app, failpoint, telemetry};

pub(crate) fn serve(global: &Global, arguments: &Serve) -> Done {
    let settings = load_settings(global, overrides(arguments))?;
    telemetry::init(&settings.logging).map_err(|error| Failure::new(Exit::Usage, error))?;
    failpoint::arm().map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::broken(anyhow::Error::new(error).context("cannot start threads")))?;
    runtime.block_on(app::serve(settings)).map_err(Failure::broken)?;
    Ok(Exit::Ok)
}

fn overrides(arguments: &Serve) -> Vec<(String, String)> {
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

//! `up`: from a fresh checkout to a running host, and one run of the sample flow to look at.
//!
//! At the end this process *becomes* the host (`exec`): Ctrl-C, SIGTERM and the exit code are
//! the host's own, and nothing stands between it and the terminal. The sample run is therefore
//! triggered by a small process started just before, see [`trigger`]. Deliberately absent:
//! explaining why the host cannot start. It says so itself, in one line.

use std::env;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::components;
use crate::shell::{self, say};
use crate::workspace::Workspace;

mod settings;
pub(crate) mod trigger;

use settings::Settings;

const DEFAULT_CONFIG: &str = "config/config.yaml";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Port to serve on, instead of the configured one
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Configuration file, instead of config/config.yaml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only serve; do not run a flow
    #[arg(long)]
    no_run: bool,
    /// What to run once the host is ready
    #[arg(
        long,
        value_name = "FLOW/NAME",
        default_value = "stock_data_pipeline/stock_data_pipeline_daily"
    )]
    deployment: String,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let config = match &args.config {
        Some(given) => given
            .canonicalize()
            .with_context(|| format!("cannot read {}", given.display()))?,
        None => workspace.root.join(DEFAULT_CONFIG),
    };
    components::build(workspace)?;
    shell::run(
        workspace
            .cargo()
            .args(["build", "--release", "--package", "grepx-host"]),
    )?;

    let host = Host {
        program: workspace.target.join("release/grepx-host"),
        root: &workspace.root,
        config: &config,
        port: args.port,
    };
    let settings = Settings::read(&config, &workspace.root)?;
    create_database(&host, &settings)?;
    let address = settings.address(args.port);
    if !args.no_run {
        run_when_ready(&host, &address, &args.deployment)?;
    }
    let mut serve = host.command(&["serve"]);
    // Only returns when the program could not be started.
    let error = serve.exec();
    Err(error).with_context(|| shell::not_started(&serve))
}

/// The program that was built, and how it is called.
struct Host<'a> {
    program: PathBuf,
    root: &'a Path,
    config: &'a Path,
    port: Option<u16>,
}

impl Host<'_> {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .arg("--config")
            .arg(self.config)
            .current_dir(self.root);
        if let Some(port) = self.port {
            command.env("GREPX_PORT", port.to_string());
            command.env("PREFECT_API_URL", format!("http://127.0.0.1:{port}/api"));
        }
        command
    }
}

/// The sample flows, into the database that the configuration names, if that is not there yet.
/// One that exists is somebody's data and is only ever read.
fn create_database(host: &Host<'_>, settings: &Settings) -> Result<()> {
    let Some(file) = settings.database_file(host.root) else {
        return Ok(());
    };
    if file.exists() {
        return Ok(());
    }
    say(format_args!("Creating {} from config/flows/", file.display()));
    let mut apply = host.command(&["apply", "--create"]);
    for flow in sample_flows(&host.root.join("config/flows"))? {
        apply.arg(flow);
    }
    shell::run(&mut apply)
}

fn sample_flows(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = folder
        .read_dir()
        .with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

fn run_when_ready(host: &Host<'_>, address: &(String, u16), deployment: &str) -> Result<()> {
    if answers(address) {
        // Someone else has the port. The host is about to say so; running a flow over there
        // is not what was asked for.
        return Ok(());
    }
    let this = env::current_exe().context("cannot find the path of this program")?;
    let run = host.command(&["deployment", "run", deployment, "--watch"]);
    let mut helper = Command::new(this);
    helper
        .arg("run-when-ready")
        .args(["--host-pid", &process::id().to_string()])
        .args(["--address", &address.0, "--port", &address.1.to_string(), "--"])
        .arg(run.get_program())
        .args(run.get_args())
        .current_dir(host.root);
    for (name, value) in run.get_envs() {
        if let Some(value) = value {
            helper.env(name, value);
        }
    }
    // Not waited for: it outlives this program and ends by itself, at the latest with the host.
    helper.spawn().with_context(|| shell::not_started(&helper))?;
    Ok(())
}

fn answers((name, port): &(String, u16)) -> bool {
    let addresses = (name.as_str(), *port).to_socket_addrs().into_iter().flatten();
    addresses
        .into_iter()
        .any(|address| TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_ok())
}

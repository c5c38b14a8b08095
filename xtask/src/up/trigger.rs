//! Runs a command as soon as the host answers `GET /api/ready`, and never outlives the host.
//!
//! The host is this process's parent: when it ends, the parent changes, and so it does here.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::process::parent_id;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::shell::{self, complain, say};

const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const ONE_LOOK: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    host_pid: u32,
    #[arg(long)]
    address: String,
    #[arg(long)]
    port: u16,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match wait_until_ready(args) {
        Ready::Yes => {}
        Ready::HostEnded => return Ok(()),
        Ready::No(last) => {
            let (address, port, seconds) = (&args.address, args.port, PATIENCE.as_secs());
            complain(format_args!(
                "xtask: the host was not ready after {seconds} s, so no flow was run (GET http://{address}:{port}/api/ready: {last}). It keeps running; see what it logged above."
            ));
            return Ok(());
        }
    }
    let (program, words) = args.command.split_first().context("no command was given")?;
    let mut command = Command::new(program);
    let child = command
        .args(words)
        .spawn()
        .with_context(|| shell::not_started(&command))?;
    if watch(child, args.host_pid)? {
        say(format_args!(
            "Serving on http://{}:{}, Ctrl-C stops it",
            args.address, args.port
        ));
    }
    Ok(())
}

enum Ready {
    Yes,
    HostEnded,
    /// The last answer.
    No(String),
}

fn wait_until_ready(args: &Args) -> Ready {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if parent_id() != args.host_pid {
            return Ready::HostEnded;
        }
        let answer = status_line(&args.address, args.port);
        if answer.as_ref().is_ok_and(|line| line.split(' ').nth(1) == Some("200")) {
            return Ready::Yes;
        }
        if Instant::now() >= deadline {
            return Ready::No(answer.unwrap_or_else(|error| error.to_string()));
        }
        shell::pause(BETWEEN_LOOKS);
    }
}

/// `HTTP/1.1 200 OK`. One line of one answer is all that is needed: no HTTP client.
fn status_line(name: &str, port: u16) -> std::io::Result<String> {
    let mut last = std::io::Error::other("the name has no address");
    for address in (name, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, ONE_LOOK) {
            Ok(stream) => return ask(stream, name),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn ask(mut stream: TcpStream, name: &str) -> std::io::Result<String> {
    stream.set_read_timeout(Some(ONE_LOOK))?;
    stream.set_write_timeout(Some(ONE_LOOK))?;
    write!(
        stream,
        "GET /api/ready HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
    )?;
    let mut head = Vec::new();
    stream.take(256).read_to_end(&mut head)?;
    let head = String::from_utf8_lossy(&head);
    Ok(head.lines().next().unwrap_or_default().to_owned())
}

/// Whether the child came to its end; it is stopped when the host goes first.
fn watch(mut child: Child, host: u32) -> Result<bool> {
    loop {
        if child.try_wait().context("cannot wait for the run")?.is_some() {
            return Ok(parent_id() == host);
        }
        if parent_id() != host {
            child.kill().context("cannot stop the run's watcher")?;
            child.wait().context("cannot wait for the run's watcher")?;
            return Ok(false);
        }
        shell::pause(BETWEEN_LOOKS);
    }
}

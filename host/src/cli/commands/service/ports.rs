//! Who listens on a port of this machine, as the kernel says in `/proc` (proc(5)): the socket by its
//! address, the process by the socket. Of another user's processes only root learns the names.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;

/// State LISTEN in `/proc/net/tcp`.
const LISTEN: &str = "0A";
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Port {
    Free,
    /// By whom, in words.
    Taken(String),
    /// Why it cannot be listened on.
    Unusable(String),
}

/// Whether a host could listen there now.
pub(crate) fn look(host: &str, port: u16) -> Port {
    match TcpListener::bind((host, port)) {
        Ok(_) => Port::Free,
        Err(error) if error.kind() == ErrorKind::AddrInUse => Port::Taken(holder(port)),
        Err(error) => Port::Unusable(error.to_string()),
    }
}

/// `process 4711 (python3)`.
pub(crate) fn holder(port: u16) -> String {
    let sockets = sockets(port);
    match process_of(Path::new("/proc"), &sockets) {
        Some((pid, name)) => format!("process {pid} ({name})"),
        None if sockets.is_empty() => "another program".to_owned(),
        None => format!("a program of another user (`sudo ss -ltnp 'sport = :{port}'` names it)"),
    }
}

/// Inodes of the sockets that listen on the port.
fn sockets(port: u16) -> Vec<String> {
    let tables = TABLES.iter().filter_map(|table| fs::read_to_string(table).ok());
    tables.flat_map(|table| listening(&table, port)).collect()
}

fn listening(table: &str, port: u16) -> Vec<String> {
    let of_port = |line: &str| {
        let mut fields = line.split_whitespace();
        let (_, own) = fields.nth(1)?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        let ours = u16::from_str_radix(own, 16).ok()? == port && state == LISTEN;
        ours.then(|| inode.to_owned())
    };
    table.lines().skip(1).filter_map(of_port).collect()
}

fn process_of(proc: &Path, sockets: &[String]) -> Option<(u32, String)> {
    let wanted: Vec<String> = sockets.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let processes = fs::read_dir(proc).ok()?.filter_map(Result::ok);
    for process in processes {
        let Ok(pid) = process.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let Ok(open) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = open.filter_map(Result::ok).any(|file| {
            fs::read_link(file.path()).is_ok_and(|target| wanted.iter().any(|one| target.as_os_str() == one.as_str()))
        });
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}

#[cfg(test)]
mod tests;

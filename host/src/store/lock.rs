//! One host per state directory: an OS lock on `<dir>/lock`, which the kernel gives back however
//! the process ends. Who holds it stands in the file, for the message of the second.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use grepx_engine::Timestamp;

use super::Error;

/// Bytes of the lock file that are read: more is not ours.
const BYTES_MAX: u64 = 4_096;

/// Who works on a state directory, as the lock file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    pub process: Option<u32>,
    /// Name of the machine: the directory may be shared.
    pub machine: Option<String>,
    pub since: Option<Timestamp>,
    /// Where it serves; a command does not.
    pub address: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some(process) => write!(f, "process {process}")?,
            None => f.write_str("another process")?,
        }
        if let Some(machine) = &self.machine {
            write!(f, " on {machine}")?;
        }
        if let Some(since) = self.since {
            write!(f, " since {}", crate::clock::rfc3339(since))?;
        }
        if let Some(address) = &self.address {
            write!(f, ", which serves on {address}")?;
        }
        Ok(())
    }
}

/// Held as long as this lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Makes the directory (only for its owner) and takes the lock, without waiting.
pub(super) fn take(dir: &Path, address: Option<&str>, since: Timestamp) -> Result<Lock, Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(Error::io("make the state directory", dir))?;
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(Error::io("open the lock file", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::Locked {
                dir: dir.to_owned(),
                holder: Box::new(holder(&mut file)),
            });
        }
        Err(TryLockError::Error(source)) => return Err(Error::io("lock", &path)(source)),
    }
    let own = Holder {
        process: Some(std::process::id()),
        machine: this_machine(),
        since: Some(since),
        address: address.map(str::to_owned),
    };
    if let Err(error) = write(&mut file, &own) {
        // The lock holds without it, and on a full disk the database says what is the matter.
        tracing::debug!(%error, "the lock file does not say who holds it");
    }
    Ok(Lock { _file: file })
}

/// Who works on the directory now; `None` when nobody does.
pub(super) fn held(dir: &Path) -> Option<Holder> {
    let mut file = File::open(dir.join("lock")).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(holder(&mut file)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// One `name value` a line, the process id alone on the first.
fn write(file: &mut File, own: &Holder) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    let mut text = own.process.map(|process| format!("{process}\n")).unwrap_or_default();
    for (name, value) in [
        ("machine", own.machine.clone()),
        ("since", own.since.map(crate::clock::rfc3339)),
        ("address", own.address.clone()),
    ] {
        if let Some(value) = value {
            text.push_str(&format!("{name} {value}\n"));
        }
    }
    file.write_all(text.as_bytes())
}

fn holder(file: &mut File) -> Holder {
    let mut text = String::new();
    if file.take(BYTES_MAX).read_to_string(&mut text).is_err() {
        return Holder::default();
    }
    let mut lines = text.lines();
    let process = lines.next().and_then(|line| line.trim().parse().ok());
    let named: std::collections::BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once(' ')).collect();
    let word = |name: &str| named.get(name).map(|value| (*value).to_owned());
    Holder {
        process,
        machine: word("machine"),
        since: word("since").and_then(|text| crate::clock::parse_rfc3339(&text).ok()),
        address: word("address"),
    }
}

/// The name of this machine, as lock files have it.
#[must_use]
pub fn this_machine() -> Option<String> {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    name.ok()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}

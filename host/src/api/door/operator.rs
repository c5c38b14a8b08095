//! The key of whoever runs the host: a new one at every start, in a file that only the owner of the
//! state directory can read. So the first key can be made while the host serves, and nobody who
//! has lost a key is locked out of their own host. The file names the address that is served, so
//! that a client does not show the key to somebody else who listens elsewhere.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

const FILE: &str = "operator.json";
const BYTES_MAX: u64 = 4_096;

/// Lies in the state directory as long as this lives.
#[derive(Debug)]
pub(crate) struct OperatorFile(PathBuf);

impl OperatorFile {
    pub(super) fn write(dir: &Path, address: SocketAddr, key: &str) -> io::Result<Self> {
        let path = dir.join(FILE);
        let fresh = dir.join(format!("{FILE}.new"));
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        let content = json!({"address": address.to_string(), "key": key});
        file.write_all(content.to_string().as_bytes())?;
        fs::rename(&fresh, &path)?;
        Ok(Self(path))
    }
}

impl Drop for OperatorFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, "the operator's key file stays; the key is not valid any more");
        }
    }
}

/// What a host that runs has left in its state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperatorKey {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
}

impl OperatorKey {
    /// `None` when no host runs there, or its file is not ours to read.
    pub(crate) fn read(dir: &Path) -> Option<Self> {
        let path = dir.join(FILE);
        let small = fs::metadata(&path).is_ok_and(|file| file.len() <= BYTES_MAX);
        let text = small.then(|| fs::read_to_string(&path).ok())??;
        let content: Value = serde_json::from_str(&text).ok()?;
        Some(Self {
            address: content["address"].as_str()?.parse().ok()?,
            key: content["key"].as_str()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;

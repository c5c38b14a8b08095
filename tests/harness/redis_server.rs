//! A redis-server of the test's own.

use std::process::Command;

use tempfile::TempDir;

use crate::{Process, free_port, wait_for};

#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl RedisServer {
    /// # Panics
    /// When redis-server is not installed or does not answer.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let process = launch(port, &folder);
        let server = Self { process, port, folder };
        server.wait_until_up();
        server
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// # Panics
    /// When the server is not there.
    #[must_use]
    pub fn connect(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).expect("a URL");
        client.get_connection().expect("a connection")
    }

    /// # Panics
    /// When the server is not there, or the password is another one.
    #[must_use]
    pub fn connect_with_password(&self, password: &str) -> redis::Connection {
        let client = redis::Client::open(format!("redis://:{password}@127.0.0.1:{}/0", self.port)).expect("a URL");
        client.get_connection().expect("a connection")
    }

    /// `STOP` and `CONT` freeze and thaw it.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Stops it at once; what it held is lost.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, empty, on the same port.
    pub fn restart(&mut self) {
        self.process = launch(self.port, &self.folder);
        self.wait_until_up();
    }

    fn wait_until_up(&self) {
        wait_for("redis-server", || {
            let client = redis::Client::open(self.url()).ok()?;
            let mut connection = client.get_connection().ok()?;
            redis::cmd("PING").query::<String>(&mut connection).ok()
        });
    }
}

fn launch(port: u16, folder: &TempDir) -> Process {
    let mut command = Command::new("redis-server");
    command
        .current_dir(folder.path())
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
        .arg(port.to_string());
    Process::start(command, &folder.path().join("redis.log"))
}

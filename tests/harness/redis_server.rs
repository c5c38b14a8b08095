//! A redis-server of the test's own.

use std::process::Command;

use tempfile::TempDir;

use crate::{Process, free_port, wait_for};

#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    port: u16,
    folder: TempDir,
    /// Keeps its data when it is killed.
    durable: bool,
}

impl RedisServer {
    /// # Panics
    /// When redis-server is not installed or does not answer.
    #[must_use]
    pub fn start() -> Self {
        Self::new(false)
    }

    /// One that comes back with its data.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn durable() -> Self {
        Self::new(true)
    }

    fn new(durable: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let process = launch(port, &folder, durable);
        let server = Self {
            process,
            port,
            folder,
            durable,
        };
        server.wait_until_up();
        server
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// For connections that may fail.
    ///
    /// # Panics
    /// Never: its URL is one.
    #[must_use]
    pub fn client(&self) -> redis::Client {
        redis::Client::open(self.url()).expect("a URL")
    }

    /// # Panics
    /// When the server is not there.
    #[must_use]
    pub fn connect(&self) -> redis::Connection {
        self.client().get_connection().expect("a connection")
    }

    /// # Panics
    /// When the server is not there, or the password is another one.
    #[must_use]
    pub fn connect_with_password(&self, password: &str) -> redis::Connection {
        let client = redis::Client::open(format!("redis://:{password}@127.0.0.1:{}/0", self.port)).expect("a URL");
        client.get_connection().expect("a connection")
    }

    /// Closes every connection but one's own; only those of this client library, when it is named.
    ///
    /// # Panics
    /// When the server is not there.
    pub fn cut(&self, library: Option<&str>) {
        let mut own = self.connect();
        let kill = |words: &[&str], own: &mut redis::Connection| {
            let mut command = redis::cmd("CLIENT");
            command.arg("KILL").arg(words);
            // One that has gone by itself meanwhile is no error worth telling.
            drop(command.query::<redis::Value>(own));
        };
        let Some(library) = library else {
            for kind in ["normal", "pubsub"] {
                kill(&["TYPE", kind, "SKIPME", "yes"], &mut own);
            }
            return;
        };
        let clients: String = redis::cmd("CLIENT").arg("LIST").query(&mut own).expect("clients");
        let mark = format!("lib-name={library}");
        for client in clients.lines().filter(|client| client.contains(&mark)) {
            let id = client.split(' ').find_map(|word| word.strip_prefix("id="));
            kill(&["ID", id.expect("an id"), "SKIPME", "yes"], &mut own);
        }
    }

    /// `STOP` and `CONT` freeze and thaw it.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Stops it at once; what it held is lost, unless it is durable.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port, empty, unless it is durable.
    pub fn restart(&mut self) {
        self.process = launch(self.port, &self.folder, self.durable);
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

fn launch(port: u16, folder: &TempDir, durable: bool) -> Process {
    let mut command = Command::new("redis-server");
    command
        .current_dir(folder.path())
        .args(["--bind", "127.0.0.1", "--save", "", "--port"])
        .arg(port.to_string())
        // Written before it is answered; what a killed process has written is there.
        .args([
            "--appendfsync",
            "no",
            "--appendonly",
            if durable { "yes" } else { "no" },
        ]);
    Process::start(command, &folder.path().join("redis.log"))
}

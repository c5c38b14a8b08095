//! A redis-server of a test's own.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use redis::aio::MultiplexedConnection;

use super::ConnectionSettings;

pub(super) struct Server {
    child: Option<Child>,
    pub(super) port: u16,
    pub(super) dir: tempfile::TempDir,
    arguments: Vec<String>,
}

/// A port that nothing listened on a moment ago.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound address").port()
}

impl Server {
    pub(super) fn start() -> Self {
        Self::with(&[])
    }

    /// `{port}` and `{dir}` in the arguments are replaced.
    pub(super) fn with(arguments: &[&str]) -> Self {
        // Somebody else may take the port first.
        for _ in 0..10 {
            let mut server = Self::stopped(arguments);
            if server.run() {
                return server;
            }
        }
        panic!("redis-server did not start on any of ten free ports");
    }

    pub(super) fn stopped(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let path = dir.path().display().to_string();
        let replace = |text: &&str| text.replace("{port}", &port.to_string()).replace("{dir}", &path);
        let mut arguments: Vec<String> = arguments.iter().map(replace).collect();
        if !arguments.iter().any(|argument| argument == "--port") {
            arguments.extend(["--port".into(), port.to_string()]);
        }
        Self {
            child: None,
            port,
            dir,
            arguments,
        }
    }

    /// False when it could not listen.
    pub(super) fn run(&mut self) -> bool {
        let mut child = Command::new("redis-server")
            .args(["--save", "", "--bind", "127.0.0.1", "--daemonize", "no"])
            .arg("--dir")
            .arg(self.dir.path())
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let ready = lines
            .map_while(Result::ok)
            .any(|line| line.to_ascii_lowercase().contains("ready to accept connections"));
        self.child = Some(child);
        ready
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("its own child");
            child.wait().expect("its own child");
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub(super) fn settings(&self) -> ConnectionSettings {
        ConnectionSettings::new("main", self.url())
    }

    /// A connection beside the broker's.
    pub(super) async fn client(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("a URL");
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(super::PATIENCE));
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .expect("the server answers")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

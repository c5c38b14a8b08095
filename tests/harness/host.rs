//! The host's binary with a state of its own, spoken to as any client would.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Process, provided, wait_for};

/// What a command line call gave.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Outcome {
    /// # Panics
    /// When it was not 0.
    #[must_use]
    pub fn success(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self
    }

    /// # Panics
    /// When it printed something else than one JSON document.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

#[derive(Debug)]
pub struct HostBuilder {
    flows: String,
    config: String,
    /// Settings below `database`, beside its URL.
    database: &'static str,
    /// Settings below `plugins`, when the host has a plugin folder of its own.
    plugins: Option<String>,
}

impl HostBuilder {
    /// More configuration, as YAML at the top level.
    #[must_use]
    pub fn config(mut self, yaml: &str) -> Self {
        self.config.push_str(yaml);
        self.config.push('\n');
        self
    }

    /// Definitions may be written by requests.
    #[must_use]
    pub fn api_apply(mut self) -> Self {
        self.database = "  api_apply: true\n";
        self
    }

    /// A plugin folder of its own, with the shipped kinds and these settings below `plugins`.
    #[must_use]
    pub fn own_plugins(mut self, yaml: &str) -> Self {
        let lines = yaml.lines().map(|line| format!("  {line}\n"));
        self.plugins = Some(lines.collect());
        self
    }

    /// Celery over this Redis instead of the embedded worker.
    #[must_use]
    pub fn broker(self, url: &str) -> Self {
        self.config(&format!("celery:\n  broker_url: {url}\n  result_backend: {url}"))
    }

    /// Writes everything down, fills the database, serves.
    #[must_use]
    pub fn start(self) -> Host {
        let mut host = self.prepare();
        host.serve();
        host
    }

    /// As `start`, without serving.
    ///
    /// # Panics
    /// When the definitions are refused.
    #[must_use]
    pub fn prepare(self) -> Host {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        let shipped = provided("GREPX_TEST_PLUGINS");
        let dir = match &self.plugins {
            None => shipped.clone(),
            Some(_) => at.join("plugins"),
        };
        if self.plugins.is_some() {
            copy_plugins(&shipped, &dir);
        }
        let config = format!(
            "database:\n  db_url: sqlite:///{}\n{}store:\n  dir: {}\nplugins:\n  dir: {}\n  cache_dir: {}\n  key_file: {}\n{}{}",
            at.join("grepx-master.db").display(),
            self.database,
            at.join("state").display(),
            dir.display(),
            // Compiled code is shared by all tests, as it would be by all starts of a host.
            shipped.join("target/cache").display(),
            shipped.join("target/cache.key").display(),
            self.plugins.unwrap_or_default(),
            self.config
        );
        std::fs::write(at.join("config.yaml"), config).expect("the configuration");
        std::fs::write(at.join("flows.yaml"), self.flows).expect("the flows");
        let host = Host {
            folder,
            process: None,
            url: String::new(),
            agent: agent(),
        };
        let _ = host.cli(&["apply", "--create", "flows.yaml"]).success();
        host
    }
}

fn copy_plugins(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a plugin folder");
    for entry in std::fs::read_dir(from).expect("the shipped plugins") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            let name = path.file_name().expect("a name");
            std::fs::copy(&path, to.join(name)).expect("copied");
        }
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

#[derive(Debug)]
pub struct Host {
    /// Ended first, as long as its log is there to be shown.
    pub process: Option<Process>,
    folder: TempDir,
    url: String,
    agent: ureq::Agent,
}

impl Host {
    /// With these definitions, in YAML.
    #[must_use]
    pub fn with(flows: &str) -> HostBuilder {
        HostBuilder {
            flows: flows.to_owned(),
            config: String::new(),
            database: "",
            plugins: None,
        }
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The plugin folder of a host that has its own.
    #[must_use]
    pub fn plugins(&self) -> PathBuf {
        self.folder().join("plugins")
    }

    /// `GET /api/plugins`.
    ///
    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn all_plugins(&self) -> Vec<Value> {
        let (status, all) = self.get("/plugins");
        assert_eq!(status, 200, "{all}");
        all.as_array().cloned().unwrap_or_default()
    }

    /// Digest of the build that serves the kind.
    #[must_use]
    pub fn build(&self, kind: &str) -> Option<String> {
        let all = self.all_plugins();
        let found = all
            .into_iter()
            .find(|one| one["kind"] == kind && one["state"] == "serving")?;
        found["file"]["digest"].as_str().map(str::to_owned)
    }

    /// Posts bytes.
    ///
    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn post_bytes(&self, path: &str, body: &[u8]) -> (u16, Value) {
        let answer = self.agent.post(format!("{}{path}", self.url)).send(body);
        read(answer)
    }

    /// Posts a text with these headers.
    ///
    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send(body))
    }

    /// Every fact of a run as the run database keeps it, in order.
    ///
    /// # Panics
    /// When the database cannot be read.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "a look from outside at what the host has written"
    )]
    pub fn facts(&self, run: &str) -> Vec<Value> {
        let path = self.folder().join("state/grepx-host.db");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = rusqlite::Connection::open_with_flags(path, flags).expect("the run database");
        let id = uuid::Uuid::parse_str(run).expect("an id");
        let mut rows = database
            .prepare("SELECT fact FROM facts WHERE run_id = ?1 ORDER BY seq")
            .expect("a query");
        let facts = rows.query_map([id.as_bytes().as_slice()], |row| row.get::<_, String>(0));
        facts
            .expect("rows")
            .map(|fact| serde_json::from_str(&fact.expect("a text")).expect("a fact is JSON"))
            .collect()
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:4200`
    #[must_use]
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://").trim_end_matches("/api")
    }

    /// A request with this value of `Authorization`; a body makes it a POST.
    ///
    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn ask_as(&self, authorization: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.url);
        read(match body {
            None => self.agent.get(url).header("authorization", authorization).call(),
            Some(body) => self
                .agent
                .post(url)
                .header("authorization", authorization)
                .send_json(body),
        })
    }

    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder().join("grepx-master.db")
    }

    /// With the words before the program that are to start it.
    fn command(&self, starter: &[&str], arguments: &[&str]) -> Command {
        let binary = provided("GREPX_TEST_BIN");
        let mut command = match starter {
            [] => Command::new(binary),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(binary);
                command
            }
        };
        command
            .current_dir(self.folder())
            .env_remove("GREPX_API_URL")
            .env_remove("PREFECT_API_URL")
            .env_remove("PREFECT_API_KEY")
            .env_remove("PREFECT_API_AUTH_STRING")
            .env_remove("GREPX_API_KEY")
            .env("NO_COLOR", "1")
            .args(["--config", "config.yaml"])
            .args(arguments);
        command
    }

    /// Starts to serve and waits until it does.
    ///
    /// # Panics
    /// When it does not.
    pub fn serve(&mut self) {
        self.serve_under(&[]);
    }

    /// As `serve`, started by another program: `["unshare", "-m"]`.
    ///
    /// # Panics
    /// When it does not serve.
    pub fn serve_under(&mut self, starter: &[&str]) {
        self.spawn_under(starter, &[]);
        assert!(self.comes_up(), "the host ended: {}", self.output());
    }

    /// Starts to serve, with these variables in its environment, and waits for nothing.
    pub fn spawn(&mut self, environment: &[(&str, &str)]) {
        self.spawn_under(&[], environment);
    }

    fn spawn_under(&mut self, starter: &[&str], environment: &[(&str, &str)]) {
        let mut command = self.command(starter, &["serve", "--port", "0", "--set", "logging.format=json"]);
        command.envs(environment.iter().copied());
        let log = self.folder().join(format!("serve-{}.log", uuid::Uuid::now_v7()));
        self.process = Some(Process::start(command, &log));
    }

    /// Waits until it serves; false when it ends before.
    ///
    /// # Panics
    /// When neither comes about.
    pub fn comes_up(&mut self) -> bool {
        let process = self.process.as_mut().expect("it was started");
        let Some(line) = process.line_before_end("\"serving\"") else {
            return false;
        };
        let line: Value = serde_json::from_str(&line).expect("the log is JSON");
        let address = line["address"].as_str().expect("the line has the address");
        self.url = format!("http://{address}/api");
        true
    }

    /// What the process has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.as_ref().map(Process::output).unwrap_or_default()
    }

    /// Ends the process as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// # Panics
    /// When it does not end by itself after SIGTERM.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("it serves");
        process.signal("TERM");
        let status = process.wait();
        assert!(status.success(), "{status}: {}", process.output());
    }

    /// A command of the same binary, with the API's address.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> Outcome {
        self.cli_as(&[], &[], arguments)
    }

    /// As [`Self::cli`], with variables.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn cli_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
        self.cli_as(&[], variables, arguments)
    }

    /// As [`Self::cli`], started by another program.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn cli_under(&self, starter: &[&str], arguments: &[&str]) -> Outcome {
        self.cli_as(starter, &[], arguments)
    }

    fn cli_as(&self, starter: &[&str], variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
        let mut command = self.command(starter, arguments);
        if !self.url.is_empty() {
            command.env("PREFECT_API_URL", &self.url);
        }
        command.envs(variables.iter().copied());
        let output = command.output().expect("the binary runs");
        Outcome {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.agent.get(format!("{}{path}", self.url)).call();
        read(answer)
    }

    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.agent.post(format!("{}{path}", self.url)).send_json(body);
        read(answer)
    }

    /// As `post`; `None` when nobody answers, or not to the end.
    #[must_use]
    pub fn try_post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let answer = self.agent.post(format!("{}{path}", self.url)).send_json(body);
        try_read(answer).ok()
    }

    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn patch(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.agent.patch(format!("{}{path}", self.url)).send_json(body);
        read(answer)
    }

    /// Starts a run of `flow/deployment`; its id.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn run(&self, name: &str, parameters: &Value) -> String {
        let (status, deployment) = self.get(&format!("/deployments/name/{name}"));
        assert_eq!(status, 200, "{deployment}");
        let id = deployment["id"].as_str().expect("an id");
        let body = json!({"parameters": parameters});
        let (status, run) = self.post(&format!("/deployments/{id}/create_flow_run"), &body);
        assert_eq!(status, 201, "{run}");
        run["id"].as_str().expect("an id").to_owned()
    }

    #[must_use]
    pub fn flow_run(&self, id: &str) -> Value {
        self.get(&format!("/flow_runs/{id}")).1
    }

    /// Waits for the end of a run; the run.
    #[must_use]
    pub fn wait(&self, id: &str) -> Value {
        wait_for(&format!("the end of flow run {id}"), || {
            let run = self.flow_run(id);
            let state = run["state"]["type"].as_str().unwrap_or_default().to_owned();
            ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"]
                .contains(&state.as_str())
                .then_some(run)
        })
    }

    /// Starts a run and waits for its end.
    #[must_use]
    pub fn run_to_end(&self, name: &str, parameters: &Value) -> Value {
        let id = self.run(name, parameters);
        self.wait(&id)
    }

    /// The task runs of a run by name.
    #[must_use]
    pub fn task_runs(&self, run: &str) -> std::collections::BTreeMap<String, Value> {
        let body = json!({"flow_runs": {"id": {"any_": [run]}}});
        let (status, tasks) = self.post("/task_runs/filter", &body);
        assert_eq!(status, 200, "{tasks}");
        let tasks = tasks.as_array().cloned().unwrap_or_default();
        tasks
            .into_iter()
            .map(|task| (task["name"].as_str().unwrap_or_default().to_owned(), task))
            .collect()
    }

    /// Waits until a task run is in a state that `is` says yes to; the task run.
    #[must_use]
    pub fn wait_task(&self, run: &str, task: &str, is: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("task run {task} of {run}"), || {
            self.task_runs(run).remove(task).filter(|found| is(found))
        })
    }

    /// The result of a task run.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn result(&self, run: &str, task: &str) -> Value {
        let tasks = self.task_runs(run);
        let id = tasks[task]["id"].as_str().expect("an id");
        let (status, result) = self.get(&format!("/task_runs/{id}/result"));
        assert_eq!(status, 200, "{result}");
        result
    }

    /// The log of a run, as text.
    #[must_use]
    pub fn logs(&self, run: &str) -> String {
        let body = json!({"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"});
        let (status, lines) = self.post("/logs/filter", &body);
        assert_eq!(status, 200, "{lines}");
        let lines = lines.as_array().cloned().unwrap_or_default();
        lines
            .iter()
            .filter_map(|line| line["message"].as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// # Panics
    /// When the run cannot be cancelled.
    pub fn cancel(&self, run: &str) {
        let body = json!({"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": false});
        let (status, answer) = self.post(&format!("/flow_runs/{run}/set_state"), &body);
        assert!(status < 300, "{answer}");
    }
}

fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
    try_read(answer).unwrap_or_else(|error| panic!("the host does not answer: {error}"))
}

fn try_read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<(u16, Value), ureq::Error> {
    let mut answer = answer?;
    let text = answer.body_mut().with_config().limit(64 << 20).read_to_string()?;
    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok((answer.status().as_u16(), value))
}

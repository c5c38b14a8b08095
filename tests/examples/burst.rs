//! How many flow runs are made in a second: `cargo xtask bench burst`.
//!
//! Printed, not asserted. Clients with connections that stay open ask `create_flow_run` as fast as
//! they get answers; an answer comes after the commit is on the disk (`store.durability: full`). The
//! work pool lets nobody on, so that making is all that happens; then `/metrics` and a list are
//! asked for while all of them wait.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use grepx_tests::Host;
use serde_json::json;

const RUNS: usize = 100_000;
const CLIENTS: usize = 64;

fn main() {
    let flows = "prefect_work_pools: [{name: pool, concurrency_limit: 0}]\nprefect_flows: [{name: flow}]\n\
         prefect_tasks: [{name: task, flow_name: flow, task_kind: noop}]\n\
         prefect_deployments: [{name: flow, flow_name: flow, work_pool_name: pool}]\n";
    let host = Host::with(flows).start();
    let (_, deployment) = host.get("/deployments/name/flow/flow");
    let path = format!(
        "/api/deployments/{}/create_flow_run",
        deployment["id"].as_str().expect("an id")
    );
    let began = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (address, path) = (host.address().to_owned(), path.clone());
            std::thread::spawn(move || client(&address, &path, RUNS / CLIENTS))
        })
        .collect();
    let mut taken: Vec<f64> = clients
        .into_iter()
        .flat_map(|client| client.join().expect("answers"))
        .collect();
    let seconds = began.elapsed().as_secs_f64();
    taken.sort_by(f64::total_cmp);
    say(&format!(
        "{} flow runs made in {seconds:.1} s: {:.0} a second; an answer after {:.1} ms median, {:.1} ms p99",
        taken.len(),
        taken.len() as f64 / seconds,
        taken[taken.len() / 2],
        taken[taken.len() * 99 / 100]
    ));
    let (_, count) = host.post(
        "/flow_runs/count",
        &json!({"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}),
    );
    assert_eq!(count, json!(taken.len()), "every answer is a flow run");
    let mut connection = Connection::open(host.address());
    for (name, request) in [
        (
            "/metrics",
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        ),
        (
            "a list of 200 that wait",
            post("/api/flow_runs/filter", "{\"limit\": 200}"),
        ),
    ] {
        let mut taken: Vec<f64> = (0..10)
            .map(|_| {
                let began = Instant::now();
                assert_eq!(connection.ask(&request), 200);
                began.elapsed().as_secs_f64() * 1_000.0
            })
            .collect();
        taken.sort_by(f64::total_cmp);
        say(&format!(
            "{name}, while they wait: {:.1} ms median, {:.1} ms worst",
            taken[5], taken[9]
        ));
    }
}

/// Milliseconds to each answer.
fn client(address: &str, path: &str, runs: usize) -> Vec<f64> {
    let mut connection = Connection::open(address);
    let request = post(path, "{\"parameters\": {}}");
    let ask = |_| {
        let began = Instant::now();
        assert_eq!(connection.ask(&request), 201);
        began.elapsed().as_secs_f64() * 1_000.0
    };
    (0..runs).map(ask).collect()
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One that stays open: a client of its own, so that little of the machine goes into asking.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        Self(BufReader::new(stream))
    }

    /// The status.
    fn ask(&mut self, request: &str) -> u16 {
        self.0.get_mut().write_all(request.as_bytes()).expect("sent");
        let (mut status, mut length) = (0, 0);
        for n in 0.. {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("an answer");
            let line = line.trim_end();
            if n == 0 {
                status = line
                    .split(' ')
                    .nth(1)
                    .and_then(|word| word.parse().ok())
                    .expect("a status");
            } else if line.is_empty() {
                break;
            } else if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("the body");
        status
    }
}

fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

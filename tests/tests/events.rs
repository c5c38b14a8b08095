//! Changes as they happen, over a real connection: to the end, after a cut, to nobody who reads.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use grepx_tests::Host;
use serde_json::{Value, json};

const FLOWS: &str = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}, {name: asks}]
prefect_tasks:
  - {name: task, flow_name: flow, task_kind: transform, inputs: {n: params.n}, task_config: {program: '.n + 1'}}
  - {name: ask, flow_name: asks, task_kind: approval}
prefect_deployments:
  - {name: deployment, flow_name: flow, work_pool_name: pool, parameters: {n: 1}}
  - {name: waits, flow_name: asks, work_pool_name: pool}
";

/// An answer that does not end, read line by line.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(host: &Host, path: &str, last_event_id: Option<&str>) -> Self {
        let mut socket = TcpStream::connect(host.address()).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        let last = last_event_id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!("GET /api{path} HTTP/1.1\r\nHost: {}\r\n{last}\r\n", host.address());
        socket.write_all(request.as_bytes()).expect("it takes requests");
        Self(BufReader::new(socket))
    }

    /// The next message: its kind, its id, its data. `None` when the answer is over.
    fn next(&mut self) -> Option<(String, Option<String>, Value)> {
        let (mut event, mut id, mut data) = (String::new(), None, None);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).expect("it is read in time") == 0 || line.trim() == "0" {
                return None;
            }
            // Between the lines of messages stand the sizes of chunks, which are none of them.
            match line.trim_end().split_once(": ") {
                Some(("event", name)) => name.clone_into(&mut event),
                Some(("id", text)) => id = Some(text.to_owned()),
                Some(("data", text)) => data = Some(serde_json::from_str(text).expect("JSON")),
                _ if line.trim_end().is_empty() => {
                    if let Some(data) = data.take() {
                        return Some((event, id, data));
                    }
                }
                _ => {}
            }
        }
    }

    fn until(&mut self, kind: &str) -> (Option<String>, Value) {
        loop {
            let (event, id, data) = self.next().unwrap_or_else(|| panic!("{kind} does not come"));
            if event == kind {
                return (id, data);
            }
        }
    }
}

#[test]
fn a_flow_run_is_streamed_to_its_end_and_a_cut_loses_nothing() {
    let host = Host::with(FLOWS).start();
    let run = host.run("asks/waits", &json!({}));
    let path = format!("/runs/{run}/stream");
    let mut first = Stream::open(&host, &path, None);
    let (seen, _) = first.until("live");
    drop(first);
    host.cancel(&run);
    let _ended = host.wait(&run);
    let mut again = Stream::open(&host, &path, seen.as_deref());
    let mut lines = Vec::new();
    let end = loop {
        let (event, _, data) = again.next().expect("the end comes before the answer ends");
        match event.as_str() {
            "log" => lines.push(data["n"].as_i64().expect("a number")),
            "end" => break data,
            _ => {}
        }
    };
    assert_eq!(end["state"]["type"], "CANCELLED");
    let all = host.logs(&run).lines().count();
    let last = i64::try_from(all).expect("a count");
    assert_eq!(lines.last(), Some(&(last - 1)), "{lines:?}");
    assert!(lines.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{lines:?}");
    let mut over = String::new();
    let mut third = Stream::open(&host, &path, Some("end"));
    third.0.read_line(&mut over).expect("an answer");
    assert!(over.starts_with("HTTP/1.1 204"), "{over}");
}

#[test]
fn who_does_not_read_holds_nobody_up_and_is_told_what_it_missed() {
    let host = Host::with(FLOWS).config("limits: {events_kept: 20}\n").start();
    let mut all = Stream::open(&host, "/events", None);
    all.until("subscribed");
    // Sockets take some hundred kilobytes by themselves: so the cut is made by the client.
    let (seen, _) = {
        let run = host.run_to_end("flow/deployment", &json!({}));
        assert_eq!(run["state"]["type"], "COMPLETED");
        all.until("flow_run")
    };
    drop(all);
    for _ in 0..10 {
        let run = host.run_to_end("flow/deployment", &json!({}));
        assert_eq!(run["state"]["type"], "COMPLETED");
    }
    let mut late = Stream::open(&host, "/events", seen.as_deref());
    late.until("subscribed");
    let (event, _, gap) = late.next().expect("a gap");
    assert_eq!(event, "gap");
    assert!(gap["missed"].as_u64().is_some_and(|missed| missed > 20), "{gap}");
    assert!(late.next().is_some(), "and what is kept");
}

#[test]
fn a_stop_ends_the_streams_and_waits_for_none() {
    let mut host = Host::with(FLOWS).start();
    let run = host.run("asks/waits", &json!({}));
    let mut one = Stream::open(&host, &format!("/runs/{run}/stream"), None);
    let mut all = Stream::open(&host, "/events", None);
    one.until("live");
    all.until("subscribed");
    host.stop();
    let mut rest = String::new();
    all.0.read_to_string(&mut rest).expect("the answer ends");
    assert!(one.next().is_none_or(|(event, ..)| event != "end"), "it has not ended");
}

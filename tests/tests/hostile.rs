//! Components that attack the host, by the real program: each attack ends as a clear state of its
//! own task run, or as a refusal with a reason, and the host goes on.

use std::collections::BTreeMap;
use std::fs;

use grepx_tests::{Host, HostBuilder, HttpServer, guest, wait_for};
use serde_json::{Value, json};

#[path = "../../host/src/plugins/tests/guests.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the module itself")]
mod text;

use text::Guest;

const SECRET: &str = "s3cr3t-of-the-operator";

/// A flow `NAME/NAME` with one task of the kind `hostile` for each attack.
fn flows(attacks: &[(&str, Value)]) -> String {
    let mut tasks = Vec::new();
    for (name, attack) in attacks {
        tasks.push(json!({"name": name, "flow_name": "flow", "task_kind": "hostile", "task_config": attack}));
    }
    let program = json!({"program": "1 + 1"});
    tasks.push(json!({"name": "good", "flow_name": "flow", "task_kind": "transform", "task_config": program}));
    json!({
        "prefect_work_pools": [{"name": "pool"}],
        "prefect_flows": [{"name": "flow"}],
        "prefect_tasks": tasks,
        "prefect_deployments": [{"name": "deployment", "flow_name": "flow", "work_pool_name": "pool"}],
    })
    .to_string()
}

/// With the kind `hostile`, and grants for it beside the secret that it cannot load without.
fn host(attacks: &[(&str, Value)], grants: &str) -> Host {
    let host = builder(attacks, grants).prepare();
    started(host)
}

fn builder(attacks: &[(&str, Value)], grants: &str) -> HostBuilder {
    let secret_host = if grants.contains("secrets") {
        String::new()
    } else {
        "secrets: [{name: api, hosts: [api.example.com]}], ".to_owned()
    };
    let settings = format!(
        "limits:\n  hostile: {{call_timeout_ms: 700, memory_mb: 64, output_bytes: 1000000, log_lines: 50, http_response_bytes: 100000}}\n\
         grants:\n  hostile: {{{secret_host}{grants}}}"
    );
    Host::with(&flows(attacks))
        .own_plugins(&settings)
        .config("secrets:\n  api: {file: secret.txt}\n  other: {env: HOME}")
}

fn started(mut host: Host) -> Host {
    fs::write(host.folder().join("secret.txt"), format!("{SECRET}\n")).expect("the secret");
    fs::write(host.plugins().join("hostile.wasm"), guest("hostile")).expect("the guest");
    host.serve();
    host
}

fn run(host: &Host) -> (String, BTreeMap<String, Value>) {
    let run = host.run_to_end("flow/deployment", &json!({}));
    let id = run["id"].as_str().expect("an id").to_owned();
    let tasks = host.task_runs(&id);
    (id, tasks)
}

fn message(task: &Value) -> String {
    task["state"]["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn every_attack_is_a_failure_of_its_own_task_run() {
    let attacks = [
        (
            "panic",
            json!({"do": "panic", "text": "the roof is on fire"}),
            "plugin-trapped",
        ),
        ("exit", json!({"do": "exit"}), "plugin-trapped"),
        ("endless", json!({"do": "loop"}), "plugin-timed-out"),
        ("blocked", json!({"do": "block", "seconds": 30}), "plugin-timed-out"),
        ("memory", json!({"do": "memory"}), "plugin-out-of-memory"),
        ("large", json!({"do": "result", "bytes": 2_000_000}), "result-too-large"),
        ("nested", json!({"do": "nest", "levels": 120}), "plugin-invalid-output"),
        ("unknown", json!({"do": "nothing that it knows"}), "invalid-input"),
    ];
    let plain: Vec<(&str, Value)> = attacks
        .iter()
        .map(|(name, attack, _)| (*name, attack.clone()))
        .collect();
    let host = host(&plain, "");
    let (id, tasks) = run(&host);
    let logs = host.logs(&id);
    for (name, _, code) in &attacks {
        let task = &tasks[*name];
        assert_eq!(task["state"]["type"], "FAILED", "{name}: {task}");
        assert!(
            message(task).contains(code) || logs.contains(&format!("Task run {name} failed")) && logs.contains(code),
            "{name} is not told as {code}: {task}\n{logs}"
        );
    }
    assert!(logs.contains("the roof is on fire"), "{logs}");
    assert!(
        logs.contains("no answer within 700 ms") || logs.contains("did not answer within 700 ms"),
        "{logs}"
    );
    assert_eq!(tasks["good"]["state"]["type"], "COMPLETED");

    let (_, kind) = host.get("/plugins/hostile");
    let calls = &kind["calls"];
    assert!(calls["trapped"].as_u64() >= Some(2), "{calls}");
    assert!(calls["timed_out"].as_u64() >= Some(2), "{calls}");
    assert!(calls["out_of_memory"].as_u64() >= Some(1), "{calls}");
    assert!(calls["memory_bytes_max"].as_u64() > Some(1 << 20), "{calls}");
    let (_, tasks) = run(&host);
    assert_eq!(tasks["good"]["state"]["type"], "COMPLETED", "the host goes on");
}

#[test]
fn a_gigabyte_is_stopped_at_the_memory_and_a_flood_at_the_log() {
    let attacks = [
        ("gigabyte", json!({"do": "result", "bytes": 1_u64 << 30})),
        ("flood", json!({"do": "flood", "lines": 20_000})),
    ];
    let host = host(&attacks, "");
    let (id, tasks) = run(&host);
    assert_eq!(tasks["gigabyte"]["state"]["type"], "FAILED");
    assert!(host.logs(&id).contains("plugin-out-of-memory"), "{}", host.logs(&id));
    assert_eq!(tasks["flood"]["state"]["type"], "COMPLETED", "{}", tasks["flood"]);
    let logs = host.logs(&id);
    assert!(logs.contains("limit of 50 log lines"), "{logs}");
    assert!(logs.lines().count() < 100, "{}", logs.lines().count());
}

#[test]
fn nothing_of_the_machine_is_within_reach() {
    let attacks = [
        ("reach", json!({"do": "reach"})),
        ("environment", json!({"do": "environment"})),
        ("clock", json!({"do": "clock"})),
        ("again", json!({"do": "clock"})),
        ("secret", json!({"do": "secret", "name": "api"})),
        ("other", json!({"do": "secret", "name": "other"})),
    ];
    let closed = host(&attacks, "");
    let (id, tasks) = run(&closed);
    let reached = closed.result(&id, "reach");
    for what in ["read", "write", "connect", "listen", "lookup"] {
        assert!(reached[what].is_string(), "{what} worked: {reached}");
    }
    assert_eq!(reached["preopens"], 0);
    assert_eq!(closed.result(&id, "environment"), json!({}));
    let told = closed.result(&id, "clock")["ms"].as_i64().expect("a time");
    let start = tasks["clock"]["start_time"].as_str().expect("a time").to_owned();
    assert!(
        start.ends_with(&format!(".{:03}Z", told % 1_000)) || start.contains(&format!(".{:03}", told % 1_000)),
        "{told} {start}"
    );
    let placeholder = closed.result(&id, "secret");
    assert!(
        placeholder.as_str().is_some_and(|text| !text.contains(SECRET)),
        "{placeholder}"
    );
    assert_eq!(
        closed.result(&id, "other"),
        json!(null),
        "only what is granted has a placeholder"
    );

    let open = host(&attacks, "env: [HOME, NO_SUCH_VARIABLE], clock: true");
    let (id, _) = run(&open);
    let environment = open.result(&id, "environment");
    let names: Vec<&String> = environment.as_object().expect("a mapping").keys().collect();
    assert_eq!(names, ["HOME"]);
    let random = |task| open.result(&id, task)["random"].clone();
    assert_ne!(random("clock"), random("again"));
}

#[test]
fn requests_go_only_where_they_may() {
    let server = HttpServer::start();
    let at = format!("127.0.0.1:{}", server.port());
    let get = |path: &str| json!({"do": "http", "url": format!("http://{at}{path}")});
    let attacks = [
        ("fine", get("/fine")),
        (
            "post",
            json!({"do": "http", "url": format!("http://{at}/post"), "method": "POST", "body": "b"}),
        ),
        ("redirect", get("/redirect")),
        ("large", get("/large/200000")),
        ("silent", get("/silent")),
        ("elsewhere", json!({"do": "http", "url": "http://example.com/"})),
        (
            "named",
            json!({"do": "http", "url": format!("http://localhost:{}/named", server.port())}),
        ),
        (
            "metadata",
            json!({"do": "http", "url": "http://169.254.169.254/latest/"}),
        ),
        (
            "disguised",
            json!({"do": "http", "url": format!("http://127.1:{}/disguised", server.port())}),
        ),
        (
            "mapped",
            json!({"do": "http", "url": format!("http://[::ffff:127.0.0.1]:{}/mapped", server.port())}),
        ),
        (
            "user",
            json!({"do": "http", "url": format!("http://{at}@example.com/user")}),
        ),
    ];
    let closed = host(&attacks, "");
    let (id, tasks) = run(&closed);
    for (name, _) in &attacks {
        assert_eq!(tasks[*name]["state"]["type"], "FAILED", "{name}");
    }
    let logs = closed.logs(&id);
    assert!(
        logs.contains(&format!("hostile: {{http: {{hosts: [\"{at}\"], methods: [GET]}}}}")),
        "{logs}"
    );
    assert!(server.asked().is_empty(), "{:?}", server.asked());
    drop(closed);

    let open = host(&attacks, &format!("http: {{hosts: [\"{at}\", \"*\"], methods: [GET]}}"));
    let (id, tasks) = run(&open);
    let logs = open.logs(&id);
    assert_eq!(tasks["fine"]["state"]["type"], "COMPLETED", "{logs}");
    assert_eq!(open.result(&id, "redirect")["status"], 302, "{logs}");
    for (name, why) in [
        ("post", "http: POST to"),
        ("large", "the answer is larger than 100000 bytes"),
        ("named", "DestinationIpProhibited"),
        ("metadata", "DestinationIpProhibited"),
        ("disguised", "DestinationIpProhibited"),
        ("mapped", "DestinationIpProhibited"),
    ] {
        assert_eq!(tasks[name]["state"]["type"], "FAILED", "{name}: {logs}");
        assert!(logs.contains(why), "{name}: {why}: {logs}");
    }
    assert_eq!(tasks["silent"]["state"]["type"], "FAILED", "{logs}");
    assert_eq!(tasks["user"]["state"]["type"], "FAILED", "{logs}");
    let mut paths: Vec<String> = server.asked().into_iter().map(|asked| asked.line).collect();
    paths.sort();
    assert_eq!(
        paths,
        [
            "GET /fine HTTP/1.1",
            "GET /large/200000 HTTP/1.1",
            "GET /redirect HTTP/1.1",
            "GET /silent HTTP/1.1"
        ]
    );
}

#[test]
fn a_secret_reaches_its_host_and_nobody_else() {
    let server = HttpServer::start();
    let other = HttpServer::start();
    let (at, elsewhere) = (
        format!("127.0.0.1:{}", server.port()),
        format!("127.0.0.1:{}", other.port()),
    );
    let ask = |at: &str, leak: bool| {
        json!({
            "do": "http", "url": format!("http://{at}/?key=@"), "method": "POST", "secret": "api", "leak": leak,
            "headers": {"authorization": "Bearer @"}, "body": "k=@",
        })
    };
    let named = json!({"do": "http", "url": format!("http://{at}/named"), "headers": {"authorization": "Bearer ${secret:api}"}});
    let stolen = json!({"do": "http", "url": format!("http://{at}/stolen"), "headers": {"authorization": "Bearer ${secret:other}"}});
    let attacks = [
        ("fine", ask(&at, false)),
        ("leaking", ask(&at, true)),
        ("wrong", ask(&elsewhere, false)),
        ("named", named),
        ("stolen", stolen),
    ];
    let grants = format!("http: {{hosts: [\"{at}\", \"{elsewhere}\"]}}, secrets: [{{name: api, hosts: [\"{at}\"]}}]");
    let mut host = host(&attacks, &grants);
    let (id, tasks) = run(&host);
    let logs = host.logs(&id);
    assert_eq!(tasks["fine"]["state"]["type"], "COMPLETED", "{logs}");
    assert_eq!(tasks["wrong"]["state"]["type"], "COMPLETED", "{logs}");
    assert_eq!(tasks["named"]["state"]["type"], "COMPLETED", "{logs}");
    assert_eq!(tasks["leaking"]["state"]["type"], "FAILED", "{logs}");
    assert_eq!(tasks["stolen"]["state"]["type"], "FAILED", "{logs}");
    assert!(logs.contains("secret:other"), "{logs}");

    let asked = server.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    for one in &asked {
        assert_eq!(
            one.header("authorization"),
            Some(format!("Bearer {SECRET}").as_str()),
            "{one:?}"
        );
    }
    let posted = asked
        .iter()
        .find(|one| one.line.starts_with("POST"))
        .expect("a request");
    assert_eq!(posted.body, format!("k={SECRET}"));
    assert!(posted.line.contains("s3cr3t"), "{posted:?}");
    let outside = format!("{:?}", other.asked());
    assert!(
        !outside.contains(SECRET) && outside.contains("grepx-secret-"),
        "{outside}"
    );

    let echoed = host.result(&id, "fine");
    assert_eq!(echoed["echo"], "Bearer <secret:api>", "{echoed}");
    assert!(logs.contains("<secret:api>"), "{logs}");
    let process = host.process.as_ref().expect("it serves").output();
    host.stop();
    for (place, text) in [("log", &process), ("logs", &logs), ("result", &echoed.to_string())] {
        assert!(!text.contains(SECRET), "the {place} has the secret: {text}");
    }
    let encoded = SECRET.replace('-', "%2D");
    for entry in fs::read_dir(host.folder().join("state")).expect("the state") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = fs::read(&path).expect("a file");
            for form in [SECRET, encoded.as_str()] {
                let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
                assert!(!found, "{} has the secret", path.display());
            }
        }
    }
}

/// Files that must not serve, each with what is told of it.
fn bad_files(good: &[u8]) -> [(&'static str, Vec<u8>, &'static str); 10] {
    let asking = Guest {
        kind: "asking",
        capabilities: "connection:elsewhere",
        ..Guest::default()
    };
    let endless = Guest {
        kind: "endless",
        describe: "(loop $again (br $again))",
        ..Guest::default()
    };
    let trapping = Guest {
        kind: "trapping",
        describe: "(unreachable)",
        ..Guest::default()
    };
    let hungry = Guest {
        kind: "hungry",
        describe: "(loop $again (drop (memory.grow (i32.const 16))) (br $again))",
        ..Guest::default()
    };
    let parsed = |text: &str| wat::parse_str(text).expect("valid");
    let foreign = r#"(component (import "wasi:keyvalue/store@0.2.0" (instance (export "f" (func)))))"#;
    [
        ("text.wasm", b"hello".to_vec(), "is not WebAssembly"),
        ("half.wasm", good[..good.len() / 2].to_vec(), "is not a valid component"),
        ("huge.wasm", vec![0; 6 << 20], "is larger than"),
        ("module.wasm", parsed("(module)"), "is a core module"),
        ("empty.wasm", parsed("(component)"), "exports no task kind"),
        ("foreign.wasm", parsed(foreign), "which is not granted"),
        ("asking.wasm", asking.component(), "asking: {connections: [elsewhere]}"),
        ("endless.wasm", endless.component(), "no answer within 300 ms"),
        ("trapping.wasm", trapping.component(), "`describe` failed"),
        ("hungry.wasm", hungry.component(), "asked for more than"),
    ]
}

#[test]
fn files_that_must_not_serve_are_refused_with_a_reason_and_change_nothing() {
    let good = Guest::default().component();
    let host = builder(&[], "").prepare();
    let config = fs::read_to_string(host.folder().join("config.yaml")).expect("the configuration");
    let changed = config.replace(
        "  limits:\n",
        "  file_mb: 5\n  defaults: {call_timeout_ms: 300, memory_mb: 32}\n  limits:\n",
    );
    fs::write(host.folder().join("config.yaml"), changed).expect("written");
    let host = started(host);
    assert!(host.build("transform").is_some());
    let before = host.all_plugins().len();

    let bad = bad_files(&good);
    let refusals_of = |host: &Host| -> BTreeMap<String, String> {
        let refused = host.all_plugins().into_iter().filter(|one| one["state"] == "refused");
        refused
            .map(|one| {
                let path = one["file"]["path"].as_str().unwrap_or_default().to_owned();
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                (name, one["reason"].as_str().unwrap_or_default().to_owned())
            })
            .collect()
    };
    for (name, bytes, _) in &bad {
        fs::write(host.plugins().join(name), bytes).expect("written");
    }
    let refusals = wait_for("all refusals", || {
        let found = refusals_of(&host);
        (found.len() == 10).then_some(found)
    });
    for (name, _, reason) in &bad {
        assert!(refusals[*name].contains(reason), "{name}: {}", refusals[*name]);
    }
    assert_eq!(host.all_plugins().len(), before + 10);
    let listed = host.cli(&["plugin", "ls"]);
    assert_eq!(listed.code, 1, "{listed:?}");
    for (name, _, reason) in &bad {
        assert!(
            listed.out.contains(name) && listed.out.contains(reason),
            "{name}: {}",
            listed.out
        );
    }
    let log = host.process.as_ref().expect("it serves").output();
    assert!(
        log.contains("a plugin was not loaded") && log.contains("asking.wasm"),
        "{log}"
    );

    // A client that is still sending a huge one may see its connection end instead of the answer.
    for (name, bytes, reason) in bad.iter().filter(|(name, ..)| *name != "huge.wasm") {
        let (status, answer) = host.post_bytes(&format!("/plugins?name=posted-{name}"), bytes);
        assert_eq!(status, 422, "{name}: {answer}");
        {
            assert!(
                answer["detail"].as_str().is_some_and(|text| text.contains(reason)),
                "{name}: {answer}"
            );
        }
        assert!(
            !host.plugins().join(format!("posted-{name}")).exists(),
            "{name} was written"
        );
    }
    let (status, _) = host.post_bytes("/plugins?name=../outside.wasm", &good);
    assert_eq!(status, 422);
    assert_eq!(run(&host).1["good"]["state"]["type"], "COMPLETED");
}

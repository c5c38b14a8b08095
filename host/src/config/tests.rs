use std::collections::HashMap;
use std::fs;

use super::*;

/// The configuration of the original, as it is.
const ORIGINAL: &str = "\
app:
  name: grepx-prefect-server
  version: 1.0.0

prefect:
  api_url: ${PREFECT_API_URL:http://127.0.0.1:4200/api}
  home: ${PREFECT_HOME:./.prefect}

database:
  db_url: ${GREPX_MASTER_DB_URL:sqlite:///../../../data/grepx-master.db}

celery:
  broker_url: ${CELERY_BROKER_URL:redis://localhost:6379/0}
  result_backend: ${CELERY_RESULT_BACKEND:redis://localhost:6379/0}
";

const DB: &str = "database: {db_url: 'sqlite:///x.db'}\n";

struct Case {
    dir: tempfile::TempDir,
    options: Options,
}

fn case(text: &str, environment: &[(&str, &str)]) -> Case {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("config");
    fs::create_dir(&config).expect("a directory");
    fs::write(config.join("config.yaml"), text).expect("writes");
    let pairs = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let options = Options {
        config: Some(config.join("config.yaml")),
        environment: pairs.collect::<HashMap<_, _>>(),
        ..Options::default()
    };
    Case { dir, options }
}

fn load(text: &str, environment: &[(&str, &str)]) -> Settings {
    Settings::load(&case(text, environment).options).unwrap_or_else(|error| panic!("{error}"))
}

/// The mistakes, with the directory taken out.
fn mistakes(text: &str, environment: &[(&str, &str)]) -> String {
    let case = case(text, environment);
    let error = Settings::load(&case.options).expect_err("is wrong").to_string();
    error.replace(&format!("{}/config/", case.dir.path().display()), "")
}

fn origin(settings: &Settings, key: &str) -> Origin {
    let report = settings.report();
    report
        .iter()
        .find(|line| line.key == key)
        .unwrap_or_else(|| panic!("no {key}"))
        .origin
        .clone()
}

#[test]
fn the_configuration_of_the_original_loads_unchanged() {
    let settings = load(ORIGINAL, &[]);
    assert_eq!(settings.app.version, "1.0.0");
    assert_eq!(settings.database.db_url, "sqlite:///../../../data/grepx-master.db");
    assert_eq!(
        (settings.server.port, settings.server.host.as_str()),
        (4200, "127.0.0.1")
    );
    assert_eq!(settings.store.dir, PathBuf::from("./.prefect"));
    let celery = &settings.connections["celery"];
    assert_eq!(celery.broker_url, "redis://localhost:6379/0");
    assert_eq!(settings.plugins.grants["celery"].connections, ["celery"]);
    assert_eq!(settings.limits.result_bytes, 8 << 20);
}

#[test]
fn the_environment_wins_over_the_env_file_and_that_over_the_default() {
    let case = case(ORIGINAL, &[("PREFECT_API_URL", "http://h:4311/api")]);
    let file = case.dir.path().join("env.common");
    fs::write(
        &file,
        "# common\nPREFECT_API_URL=http://no:1/api\nexport PREFECT_HOME=\"/var/p q\"\n",
    )
    .expect("writes");
    let settings = Settings::load(&case.options).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(settings.server.port, 4311);
    assert_eq!(settings.store.dir, PathBuf::from("/var/p q"));
    assert_eq!(
        origin(&settings, "prefect.api_url"),
        Origin::Environment {
            variable: "PREFECT_API_URL".to_owned()
        }
    );
    assert!(
        matches!(origin(&settings, "prefect.home"), Origin::EnvFile { variable, .. } if variable == "PREFECT_HOME")
    );
    assert!(matches!(
        origin(&settings, "database.db_url"),
        Origin::File { line: 10, .. }
    ));
    assert_eq!(
        origin(&settings, "server.port"),
        Origin::Derived { key: "prefect.api_url" }
    );
    assert_eq!(origin(&settings, "logging.level"), Origin::Default);
    let missing = Options {
        env_file: Some(case.dir.path().join("nope")),
        ..case.options
    };
    assert!(
        Settings::load(&missing)
            .expect_err("named, so needed")
            .to_string()
            .contains("nope")
    );
}

#[test]
fn values_keep_the_type_of_their_key() {
    let text = format!(
        "{DB}app: {{name: no, version: 1.10}}\nserver: {{port: '${{PORT:8080}}'}}\nscheduler: {{enabled: '${{ON}}'}}\nlogging: {{level: 'a\\${{b}} $c ${{X:${{Y:deep}}}}'}}\nplugins:\n  settings:\n    http: {{n: 1, s: '${{N:5}}', list: [true, '${{N:x:y}}']}}\n"
    );
    let settings = load(&text, &[("ON", "false"), ("PORT", "0")]);
    assert_eq!(
        (settings.app.name.as_str(), settings.app.version.as_str()),
        ("no", "1.10")
    );
    assert_eq!((settings.server.port, settings.scheduler.enabled), (0, false));
    assert_eq!(settings.logging.level, "a${b} $c deep");
    assert_eq!(
        Value::from(settings.plugins.settings["http"].clone()),
        serde_json::json!({"n": 1, "s": "5", "list": [true, "x:y"]})
    );
}

#[test]
fn all_mistakes_come_at_once_with_their_places() {
    let text = "\
aplication: {}
app: [x]
server:
  prot: 1
  port: '80'
  shutdown_grace_seconds: ${GRACE}
  host: {a: 1}
store: {durability: fully}
database:
  db_url: ${DB_URLS}
scheduler: {enabled: no}
limits: {mapped_items: -1, result_bytes: 1.5}
plugins: {grants: {celery: connection, x: [[1]]}, settings: {http: [1]}}
logging: {level: '${', format: '${FORMAT:xml}'}
connections: {other: {default_queue: q}}
";
    insta::assert_snapshot!(mistakes(text, &[("GRACE", "soon"), ("DB_URL", "x")]));
}

#[test]
fn an_api_url_that_is_none_is_told_beside_a_port_too() {
    for url in ["hp:tt//127.0.0.1:4200/api", "ftp://h:1/api", "http://:x/api", ""] {
        let text = format!("{DB}prefect: {{api_url: '{url}'}}\nserver: {{port: 4200}}\n");
        let told = mistakes(&text, &[]);
        assert!(
            told.contains("prefect.api_url") && told.contains("write http://127.0.0.1:4200/api"),
            "{told}"
        );
    }
}

#[test]
fn a_missing_or_foreign_database_is_said_here() {
    assert!(mistakes("app: {name: x}", &[]).contains("database.db_url is missing"));
    let error = mistakes("database: {db_url: 'postgresql://u:secret@h/d'}", &[]);
    assert!(
        error.contains("config.yaml:1:20: ") && error.contains("not supported yet"),
        "{error}"
    );
    assert!(!error.contains("secret"));
    let nowhere = Options {
        config: Some("/nowhere/config.yaml".into()),
        ..Options::default()
    };
    assert!(
        Settings::load(&nowhere)
            .expect_err("missing")
            .to_string()
            .contains("--config")
    );
}

#[test]
fn the_command_line_wins_and_is_checked_alike() {
    let mut case = case(&format!("{DB}server: {{port: 1}}"), &[]);
    case.options.overrides = vec![("server.port".to_owned(), "0".to_owned())];
    let settings = Settings::load(&case.options).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (settings.server.port, origin(&settings, "server.port")),
        (0, Origin::CommandLine)
    );
    case.options.overrides = vec![
        ("server.prot".to_owned(), "0".to_owned()),
        ("server.port".to_owned(), "x".to_owned()),
    ];
    let error = Settings::load(&case.options).expect_err("wrong").to_string();
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn connections_and_plugin_limits_fill_up() {
    let text = format!(
        "{DB}celery: {{broker_url: 'redis://a/0', default_queue: q}}\nconnections:\n  celery: {{broker_url: 'redis://b/0', queues: {{m.x: fast}}}}\n  two: {{broker_url: 'memory://', priority_steps: [0, 5]}}\nplugins:\n  defaults: {{memory_mb: 64}}\n  limits: {{http: {{call_timeout_ms: 9000}}}}\n  grants: {{celery: ['connection:two']}}\n"
    );
    let settings = load(&text, &[]);
    let celery = &settings.connections["celery"];
    assert_eq!(
        (celery.broker_url.as_str(), celery.default_queue.as_str()),
        ("redis://b/0", "q")
    );
    assert_eq!(
        (celery.result_backend.as_str(), celery.queues["m.x"].as_str()),
        ("redis://b/0", "fast")
    );
    assert_eq!(settings.connections["two"].priority_steps, [0, 5]);
    let http = settings.plugins.limits["http"];
    assert_eq!(
        (http.call_timeout, http.memory_bytes),
        (Duration::from_secs(9), 64 << 20)
    );
    assert_eq!(settings.plugins.grants["celery"].connections, ["two"]);
    assert!(settings.plugins.grants["subflow"].start_flow);
}

#[test]
fn nothing_secret_is_shown() {
    let text = format!(
        "{DB}connections: {{x: {{broker_url: '${{URL}}', result_backend: 'redis://:pw2@h/1?token=pw3&a=b'}}}}\nplugins: {{settings: {{k: {{Api-Key: pw4, deep: {{password: pw5, url: 'https://u:pw6@h/'}}, n: 1}}}}}}\n"
    );
    let settings = load(&text, &[("URL", "rediss://u:p/w1@h:1/0")]);
    let shown = format!("{settings:?} {:?} {:?}", settings.connections, settings.plugins);
    for secret in ["w1", "pw2", "pw3", "pw4", "pw5", "pw6"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(
        shown.contains("a=b") && shown.contains("rediss://u:****@h:1/0"),
        "{shown}"
    );
    assert_eq!(mask_url("sqlite:////a@b/x.db"), "sqlite:////a@b/x.db");
}

#[test]
fn the_auth_string_comes_from_the_file_or_from_prefects_variable_and_is_never_shown() {
    let variable = ("PREFECT_SERVER_API_AUTH_STRING", "admin:from-outside");
    let settings = load(DB, &[variable]);
    assert_eq!(
        settings.server.auth_string,
        Some(Masked("admin:from-outside".to_owned()))
    );
    assert_eq!(
        origin(&settings, "server.auth_string"),
        Origin::Environment {
            variable: variable.0.to_owned()
        }
    );
    let shown = format!("{:?} {settings:?} {:?}", settings.report(), settings.server);
    assert!(!shown.contains("from-outside"), "{shown}");
    let both = load(
        &format!("{DB}server: {{auth_string: 'admin:in-the-file'}}\n"),
        &[variable],
    );
    assert_eq!(both.server.auth_string, Some(Masked("admin:in-the-file".to_owned())));
    assert_eq!(load(DB, &[(variable.0, "")]).server.auth_string, None);
}

#[test]
fn a_short_auth_string_is_refused_without_being_shown() {
    let told = mistakes(&format!("{DB}server: {{auth_string: 'a:b'}}\n"), &[]);
    assert!(told.contains("server.auth_string") && !told.contains("a:b"), "{told}");
}

#[test]
fn the_password_of_a_database_that_is_not_known_is_not_told() {
    let told = mistakes("database: {db_url: 'mysql://user:hunter2@db/x'}\n", &[]);
    assert!(told.contains("mysql://user:****@db/x"), "{told}");
}

#[test]
fn hooks_are_checked_when_the_file_is_read() {
    let text = format!(
        "{DB}secrets: {{shared: {{env: X}}}}\nhooks:
  good: {{deployment: f/d, secret: shared, parameters: {{n: body.n}}, condition: body.n > 1}}
  nobody: {{deployment: f/d}}
  both: {{deployment: f/d, unsigned: true, signal: {{task_run: body.id, name: \"'approve'\"}}}}
  torn: {{deployment: f/d, unsigned: true, secret: shared}}
  misspelt: {{deployment: f/d, secret: sharde, signature: {{header: \"X Sig\"}}}}
  odd: {{deployment: f/d, unsigned: true, parameters: {{n: params.n, m: 1 +}}}}
  idle: {{unsigned: true, signal: {{task_run: body.id}}}}
  'a/b': {{deployment: f/d, unsigned: true, body_bytes: 0}}
"
    );
    insta::assert_snapshot!(mistakes(&text, &[]));
    let good = text.lines().take(4).collect::<Vec<_>>().join("\n");
    let settings = load(&good, &[]);
    let hook = &settings.hooks["good"];
    let signature = hook.signature.as_ref().expect("signed");
    assert_eq!(
        (signature.header.as_str(), signature.prefix.as_str()),
        ("x-hub-signature-256", "sha256=")
    );
    assert_eq!(hook.body_bytes, 1 << 20);
}

#[test]
fn hooks_of_the_guide_are_read() {
    let push = load(include_str!("../../../tests/fixtures/guide/hooks.yaml"), &[]);
    let HookAction::Run { deployment, parameters } = &push.hooks["github-push"].action else {
        panic!("it starts a run");
    };
    assert_eq!((deployment.as_str(), parameters.len()), ("build/build_nightly", 2));
    let signal = load(include_str!("../../../tests/fixtures/guide/hook-signal.yaml"), &[]);
    assert!(matches!(signal.hooks["decision"].action, HookAction::Signal { .. }));
}

#[test]
fn telemetry_is_off_until_somebody_names_a_collector() {
    assert_eq!(load(DB, &[]).telemetry, None);
    assert_eq!(
        load(
            &format!("{DB}telemetry: {{otlp_endpoint: '${{COLLECTOR:}}', service_name: x}}\n"),
            &[]
        )
        .telemetry,
        None
    );
    let text = format!(
        "{DB}telemetry: {{otlp_endpoint: 'https://c.example/otlp/', headers: {{X-Team: a, authorization: '${{TOKEN}}'}}, sample_percent: 10}}\n"
    );
    let variables = [
        ("TOKEN", "Bearer s3"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=b%20c,api-key=s4"),
        ("OTEL_SERVICE_NAME", "nightly"),
    ];
    let settings = load(&text, &variables);
    let header = |name: &str, value: &str| (name.to_owned(), Masked(value.to_owned()));
    let expected = Telemetry {
        url: "https://c.example/otlp/v1/traces".to_owned(),
        headers: vec![
            header("api-key", "s4"),
            header("authorization", "Bearer s3"),
            header("x-team", "a"),
        ],
        service_name: "nightly".to_owned(),
        sample_percent: 10,
    };
    assert_eq!(settings.telemetry, Some(expected));
    let shown = format!("{:?} {:?}", settings.report(), settings.telemetry);
    assert!(!shown.contains("s3") && !shown.contains("s4"), "{shown}");
    let outside = load(DB, &variables).telemetry.expect("it is on");
    assert_eq!(
        (outside.url.as_str(), outside.headers.len()),
        ("http://127.0.0.1:4318/v1/traces", 2)
    );
    assert_eq!(outside.headers[1], header("x-team", "b c"));
}

#[test]
fn an_endpoint_that_is_none_is_told_with_its_place_and_what_to_write() {
    let of =
        |endpoint: &str, more: &str| mistakes(&format!("{DB}telemetry:\n  otlp_endpoint: '{endpoint}'\n{more}"), &[]);
    for endpoint in [
        "collector:4318",
        "grpc://c:4317",
        "http://",
        "not a url",
        "http://c/?a=b",
    ] {
        let told = of(endpoint, "");
        assert!(
            told.contains("config.yaml:3:") && told.contains("write http://127.0.0.1:4318"),
            "{told}"
        );
    }
    let told = of("http://user:s3cret@c:4318", "");
    assert!(told.contains("telemetry.headers") && !told.contains("s3cret"), "{told}");
    let told = of("http://c:4318", "  headers: {'a b': x}\n");
    assert!(told.contains("\"a b\""), "{told}");
    let told = mistakes(
        DB,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x"),
        ],
    );
    assert!(
        told.contains("variable OTEL_EXPORTER_OTLP_ENDPOINT") && told.contains("name=value"),
        "{told}"
    );
}

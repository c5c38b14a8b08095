//! Every rule is shown something that breaks it, and something alike that does not.

use super::*;

fn source(path: &str, text: &str) -> Source {
    Source::new(path, text.to_owned())
}

/// `line rule` of everything that the word and shape rules find.
fn words(path: &str, text: &str) -> Vec<String> {
    let documented = format!("//! Docs.\n{text}");
    let found = words::check(&source(path, &documented));
    found
        .iter()
        .map(|violation| format!("{} {}", violation.line, violation.rule))
        .collect()
}

/// `line what` of the edges that the files of a small host break.
fn edges(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<_> = files.iter().map(|(path, text)| source(path, text)).collect();
    edges::check(&sources)
        .iter()
        .map(|found| format!("{} {}", found.line, found.what))
        .collect()
}

#[test]
fn tidy_is_clean() {
    let violations = check(&crate::workspace::root()).expect("the repository can be read");
    let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn comments_and_literals_are_blanked_in_place() {
    let text = "let a = \"x\\\"y\"; // z\nlet b = r#\"q\"w\"#; /* /* n */ m */ let c: &'static str = 'd';\nlet \u{e9} = '\\'';";
    let code = source("a.rs", text).code;
    assert_eq!(code.len(), text.len());
    assert_eq!(code.lines().count(), text.lines().count());
    assert_eq!(
        code.split_whitespace().collect::<Vec<_>>().join(" "),
        "let a = \" \"; let b = r#\" \"#; let c: &'static str = ' '; let \u{e9} = ' ';"
    );
    assert_eq!(
        source("a.rs", "let r#type = br\"unsafe\"; b'\"'; x").code,
        "let r#type = br\"      \"; b' '; x"
    );
    // An open end must not run over.
    for open in ["\"abc", "r#\"abc", "/* abc", "'\\", "\"\\", "r", "'", "br#"] {
        assert_eq!(source("a.rs", open).code.len(), open.len(), "{open}");
    }
}

#[test]
fn dependencies_between_modules_point_one_way() {
    let runner = ("host/src/runner.rs", "//! R.\n");
    let plugins = ("host/src/plugins.rs", "//! P.\n");
    let store =
        "//! S.\nuse crate::{\n    clock::Clock,\n    plugins::{Pool, runner},\n};\nfn f() { crate::runner::go() }\n";
    assert_eq!(
        edges(&[runner, plugins, ("host/src/clock.rs", ""), ("host/src/store.rs", store)]),
        [
            "4 `store` must not know `plugins`: `store` stands at the bottom and knows only clock, config, expressions, failpoint, names, report, task, telemetry, traces, yaml",
            "6 `store` must not know `runner`: `store` stands at the bottom and knows only clock, config, expressions, failpoint, names, report, task, telemetry, traces, yaml",
        ]
    );
    let allowed = "use crate::plugins::Pool;\nuse crate::runner::Own;\n// crate::cli\nconst X: &str = \"crate::cli\";";
    assert_eq!(
        edges(&[plugins, ("host/src/cli.rs", ""), ("host/src/runner/shard.rs", allowed)]),
        Vec::<String>::new()
    );
}

#[test]
fn a_path_over_super_is_an_edge_too() {
    let plugins = ("host/src/plugins.rs", "");
    let found = edges(&[
        plugins,
        (
            "host/src/store/writer.rs",
            "use super::super::plugins::Pool;\nuse super::plugins;\n",
        ),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("1 `store` must not know `plugins`"), "{found:?}");
    let tests = ("host/src/store/tests.rs", "use crate::plugins::Pool;");
    assert_eq!(edges(&[plugins, tests]), Vec::<String>::new());
}

#[test]
fn a_new_module_needs_a_place() {
    let found = edges(&[("host/src/novelty/inner.rs", "//! N.\n")]);
    assert_eq!(
        found,
        ["1 module `novelty` has no place yet: say in xtask/src/tidy/edges.rs what it may see"]
    );
}

#[test]
fn a_crate_is_named_only_by_its_owner() {
    assert_eq!(
        words(
            "host/src/runner.rs",
            "use rusqlite::Connection;\nfn f(c: &wasmtime::Engine) {}"
        ),
        ["2 owned crate", "3 owned crate"]
    );
    assert_eq!(words("host/src/store/writer.rs", "use rusqlite::Connection;"), [""; 0]);
    assert_eq!(
        words(
            "host/src/runner.rs",
            "use crate::broker::redis::Link;\nlet redis = 1; // redis::x"
        ),
        [""; 0]
    );
    assert_eq!(words("tests/flows.rs", "use rusqlite::Connection;"), [""; 0]);
}

#[test]
fn the_wall_clock_has_one_reader() {
    assert_eq!(
        words(
            "host/src/runner.rs",
            "let t = chrono::Utc::now();\nlet s = SystemTime::now();"
        ),
        ["2 wall clock", "3 wall clock"]
    );
    assert_eq!(words("host/src/clock.rs", "let t = chrono::Utc::now();"), [""; 0]);
    assert_eq!(
        words(
            "host/src/runner.rs",
            "let t = Instant::now(); let n = self.clock.now();"
        ),
        [""; 0]
    );
}

#[test]
fn unsafe_has_one_place() {
    assert_eq!(
        words(
            "host/src/plugins/cache.rs",
            "unsafe { f() }\n#![deny(unsafe_code)] // unsafe"
        ),
        ["2 unsafe"]
    );
    assert_eq!(words("host/src/plugins/precompiled.rs", "unsafe { f() }"), [""; 0]);
}

#[test]
fn nothing_is_left_for_later() {
    let mark = concat!("FIX", "ME");
    assert_eq!(
        words(
            "xtask/src/a.rs",
            &format!("todo!();\nunimplemented!(\"x\");\n// {mark}: later")
        ),
        ["2 unfinished", "3 unfinished", "4 unfinished"]
    );
    let ignored = "#[ignore]\n#[ignore = \"\"]\n#[ignore = \"needs a week\"]\nfn f() {}";
    assert_eq!(words("tests/a.rs", ignored), ["2 ignored test", "3 ignored test"]);
}

#[test]
fn a_file_has_docs_and_its_tests_beside_it() {
    let bare = words::check(&source("host/src/a.rs", "#![deny(missing_docs)]\nuse std::fmt;\n"));
    assert_eq!(bare.len(), 1);
    assert_eq!(
        words::check(&source("host/src/a.rs", "#![deny(missing_docs)]\n\n//! Docs.\n")),
        []
    );
    assert_eq!(words::check(&source("host/src/a/tests.rs", "use super::*;")), []);
    assert_eq!(words::check(&source("tests/a.rs", "use super::*;")).len(), 1);
    assert_eq!(words("host/src/a/mod.rs", ""), ["1 no mod.rs"]);
    assert_eq!(
        words("host/src/a.rs", "#[cfg(test)]\nmod tests {\n}"),
        ["3 tests beside"]
    );
    assert_eq!(words("host/src/a.rs", "#[cfg(test)]\nmod tests;"), [""; 0]);
}

fn sizes(text: &str, exceptions: &str) -> Vec<String> {
    let exceptions = exceptions::Exceptions::parse(exceptions).expect("the exceptions can be read");
    let found = sizes::check(&[source("host/src/a.rs", text)], &exceptions);
    found
        .iter()
        .map(|violation| format!("{}:{} {}", violation.path, violation.line, violation.what))
        .collect()
}

fn long_function(lines: usize) -> String {
    let body = "    let s = \"}\"; // }\n".repeat(lines - 3);
    format!("fn declared(x: [u8; 3]);\n\nfn long(\n    f: fn(u32) -> u32) {{\n{body}}}\n")
}

#[test]
fn files_and_functions_have_a_size() {
    assert_eq!(sizes(&long_function(80), ""), [""; 0]);
    assert_eq!(
        sizes(&long_function(81), ""),
        ["host/src/a.rs:3 `long` has 81 lines, 80 at most: give its steps names"]
    );
    assert_eq!(sizes(&"// x\n".repeat(500), ""), [""; 0]);
    assert_eq!(
        sizes(&"// x\n".repeat(501), ""),
        ["host/src/a.rs:1 the file has 501 lines, 500 at most: split it by subject"]
    );
    let tests = source("host/src/a/tests.rs", &"// x\n".repeat(900));
    assert_eq!(sizes::check(&[tests], &exceptions::Exceptions::default()), []);
}

#[test]
fn exceptions_only_shrink() {
    let long = long_function(90);
    assert_eq!(sizes(&long, "host/src/a.rs#long 90 a table"), [""; 0]);
    assert_eq!(sizes(&long, "host/src/a.rs#long 89 a table").len(), 1);
    assert_eq!(
        sizes(&long, "# why\nhost/src/a.rs#long 95 a table"),
        ["xtask/tidy-exceptions.txt:2 `host/src/a.rs#long` has shrunk to 90: write that number"]
    );
    let gone = sizes("", "host/src/b.rs 600 generated");
    assert_eq!(
        gone,
        ["xtask/tidy-exceptions.txt:1 `host/src/b.rs` does not exist any more: take the line out"]
    );
    let small = sizes(&long_function(20), "host/src/a.rs#long 90 a table");
    assert_eq!(
        small,
        ["xtask/tidy-exceptions.txt:1 `host/src/a.rs#long` is within the limit now: take the line out"]
    );
    let error = exceptions::Exceptions::parse("host/src/a.rs 600").expect_err("a reason is needed");
    assert!(error.to_string().contains("is not `path lines reason`"), "{error}");
}

#[test]
fn pure_crates_get_no_runtime_through_the_back_door() {
    let lock = "[[package]]\nname = \"web\"\ndependencies = [\n \"serde\",\n \"tokio 1.0.0\",\n]\n\n[[package]]\nname = \"tokio\"\n\n[[package]]\nname = \"serde\"\n";
    let manifest = "[package]\nname = \"grepx-engine\"\n[dependencies]\nserde.workspace = true\nweb = \"1\"\n[dependencies.redis]\nversion = \"1\"\n[dev-dependencies]\ntokio = \"1\"\n";
    let found = manifests::impure("host/crates/engine/Cargo.toml", manifest, &manifests::graph(lock));
    let found: Vec<_> = found
        .iter()
        .map(|found| (found.line, found.what.split(" in ").next().unwrap_or_default()))
        .collect();
    assert_eq!(found, [(5, "web → tokio"), (6, "redis")]);
}

#[test]
fn code_in_docs_is_taken_from_a_file() {
    let read = |file: &str| (file == "a.rs").then(|| "fn kind_name() {\n    \"kind-name\"\n}\n".to_owned());
    let told = |text: &str| {
        let found = docs::page("docs/a.md", text, read);
        found
            .iter()
            .map(|it| format!("{} {}", it.line, it.what))
            .collect::<Vec<_>>()
    };
    let block = |above: &str, code: &str| format!("text\n{above}\n```rust\n{code}\n```\n```sh\ncargo test\n```\n");
    assert_eq!(told(&block("<!-- a.rs -->", "    \"kind-name\"\n}")), [""; 0]);
    assert_eq!(
        told(&block("<!-- a.rs kind-name=a-b -->", "fn a_b() {\n    \"a-b\"")),
        [""; 0]
    );
    assert_eq!(
        told(&block("<!-- a.rs -->", "fn kind_name() {\n}")),
        ["3 these lines do not stand in a.rs: take them over again"]
    );
    assert_eq!(told(&block("<!-- b.rs -->", "x")), ["3 b.rs cannot be read"]);
    assert!(told(&block("", "x"))[0].contains("where is it tested?"));
}

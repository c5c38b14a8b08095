//! Loading, refusing and replacing files.

use super::*;

async fn only_problem(place: &Place) -> Problem {
    let (plugins, mut problems) = Plugins::load(place.settings()).await.expect("plugins start");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(plugins.kinds().iter().count(), 0);
    problems.remove(0)
}

#[tokio::test]
async fn a_missing_directory_is_a_problem_and_not_the_end() {
    let place = Place::new();
    std::fs::remove_dir(place.plugins()).expect("remove");
    let problem = only_problem(&place).await;
    assert!(problem.to_string().contains("cargo xtask build-plugins"), "{problem}");
}

#[tokio::test]
async fn files_that_are_no_plugins_are_told_apart() {
    let good = Guest::default().component();
    let text = |text: &str| wat::parse_str(text).expect("valid text");
    let keyvalue = r#"(component (import "wasi:keyvalue/store@0.2.0" (instance (export "f" (func)))))"#;
    let newer = r#"(component (import "grepx:plugin/clock@1.1.0" (instance (export "f" (func)))))"#;
    let cases = [
        (b"hello".to_vec(), "is not WebAssembly"),
        (Vec::new(), "is not WebAssembly"),
        (good[..good.len() / 2].to_vec(), "is not a valid component"),
        (text("(module)"), "is a core module, not a component"),
        (text("(component)"), "exports no task kind"),
        (
            text(keyvalue),
            "asks for wasi:keyvalue (wasi:keyvalue/store@0.2.0), which is not granted",
        ),
        (text(newer), "which this host does not have"),
    ];
    for (bytes, reason) in cases {
        let place = Place::new();
        std::fs::write(place.plugins().join("bad.wasm"), bytes).expect("write");
        let problem = only_problem(&place).await;
        assert!(problem.to_string().contains(reason), "{problem}");
        assert!(problem.file.ends_with("bad.wasm"));
    }
}

#[tokio::test]
async fn a_hostile_description_does_not_load() {
    let cases = [
        ("(loop $again (br $again))", "no answer within 50 ms"),
        (
            "(loop $again (drop (memory.grow (i32.const 16))) (br $again))",
            "asked for more than",
        ),
        ("(unreachable)", "`describe` failed"),
    ];
    for (describe, reason) in cases {
        let place = Place::new();
        Guest {
            describe,
            ..Guest::default()
        }
        .write(&place.plugins(), "bad.wasm");
        let mut settings = place.settings();
        settings.call_timeout = Duration::from_millis(50);
        let (_, problems) = Plugins::load(settings).await.expect("plugins start");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].to_string().contains(reason), "{}", problems[0]);
    }
}

#[tokio::test]
async fn of_two_files_with_one_kind_the_one_modified_last_serves() {
    let place = Place::new();
    let older = Guest::default().write(&place.plugins(), "b.wasm");
    let newer = Guest {
        data: "[]",
        ..Guest::default()
    }
    .write(&place.plugins(), "a.wasm");
    touch(&older, 1_000);
    touch(&newer, 2_000);
    let (plugins, problems) = Plugins::load(place.settings()).await.expect("plugins start");
    assert_eq!(problems, []);
    let serving = |plugins: &Plugins| plugins.kinds().get("guest").expect("kind").file.path.clone();
    assert_eq!(serving(&plugins), newer);
    let registry = plugins.kinds();
    let shadowed: Vec<_> = registry
        .standings()
        .filter(|(_, standing)| *standing == Standing::Shadowed { by: newer.clone() })
        .collect();
    assert_eq!(shadowed.len(), 1);
    assert_eq!(shadowed[0].0.info.file.path, older);

    touch(&older, 3_000);
    plugins.install(&older).await.expect("the same content");
    assert_eq!(serving(&plugins), older);
    plugins.remove(&older).await;
    assert_eq!(serving(&plugins), newer, "the other one takes over");
}

fn touch(path: &Path, seconds: u64) {
    let time = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
    let file = std::fs::File::options().write(true).open(path).expect("the file");
    file.set_modified(time).expect("its time");
}

#[tokio::test]
async fn nothing_is_granted_unless_the_operator_says_so() {
    let place = Place::new();
    let asking = Guest {
        capabilities: "connection:celery",
        ..Guest::default()
    };
    asking.write(&place.plugins(), "asking.wasm");
    let problem = only_problem(&place).await;
    assert!(
        problem
            .reason
            .contains("asks for `connection:celery`, which is not granted"),
        "{problem}"
    );

    let mut settings = place.settings();
    let grants = Grants::of_connections(["celery"]);
    settings.per_plugin.insert(
        "guest".to_owned(),
        PluginSettings {
            grants,
            ..PluginSettings::default()
        },
    );
    let (plugins, problems) = Plugins::load(settings).await.expect("plugins start");
    assert_eq!(problems, []);
    assert!(plugins.kinds().get("guest").is_some());
}

#[tokio::test]
async fn a_broken_replacement_changes_nothing_and_a_good_one_takes_over() {
    let (_, plugins, place) = run(Guest::default(), |_| {}).await;
    let path = place.plugins().join("guest.wasm");
    let before = plugins.kinds().get("guest").expect("kind").file.digest.clone();

    std::fs::write(&path, b"broken").expect("write");
    plugins.install(&path).await.expect_err("broken");
    assert_eq!(plugins.kinds().get("guest").expect("kind").file.digest, before);
    assert!(plugins.run_activity("guest", &ctx(), &empty(), silent()).await.is_ok());

    Guest {
        kind: "renamed",
        ..Guest::default()
    }
    .write(&place.plugins(), "guest.wasm");
    plugins.install(&path).await.expect("good");
    assert!(plugins.kinds().get("guest").is_none());
    assert!(
        plugins
            .run_activity("renamed", &ctx(), &empty(), silent())
            .await
            .is_ok()
    );

    plugins.remove(&path).await;
    assert_eq!(plugins.kinds().iter().count(), 0);
    assert_eq!(plugins.kinds().files().count(), 0);
}

#[tokio::test]
async fn compiled_code_is_taken_from_the_cache_unless_it_was_altered() {
    let (_, plugins, place) = run(Guest::default(), |_| {}).await;
    let from_cache = |plugins: &Plugins| plugins.kinds().get("guest").expect("kind").file.from_cache;
    assert!(!from_cache(&plugins));
    drop(plugins);
    let (plugins, _) = Plugins::load(place.settings()).await.expect("plugins start");
    assert!(from_cache(&plugins));

    let kept = |extension: &str| {
        let files = std::fs::read_dir(place.cache()).expect("cache");
        let mut files = files.map(|file| file.expect("entry").path());
        files
            .find(|path| path.extension().is_some_and(|known| known == extension))
            .expect("kept")
    };
    let alter = |path: &Path| {
        let mut bytes = std::fs::read(path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        std::fs::write(path, bytes).expect("write");
    };
    alter(&kept("described"));
    let (plugins, problems) = Plugins::load(place.settings()).await.expect("plugins start");
    assert_eq!(problems, []);
    assert!(from_cache(&plugins), "only what it says was altered");
    assert!(plugins.kinds().get("guest").is_some(), "so it was asked");
    alter(&kept("cwasm"));
    let (plugins, problems) = Plugins::load(place.settings()).await.expect("plugins start");
    assert_eq!(problems, []);
    assert!(!from_cache(&plugins), "altered code was loaded");
    let result = plugins.run_activity("guest", &ctx(), &empty(), silent()).await;
    assert_eq!(result, Ok(Step::Done(empty())));
    let (plugins, _) = Plugins::load(place.settings()).await.expect("plugins start");
    assert!(from_cache(&plugins), "the cache was repaired");
}

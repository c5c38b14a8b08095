//! The plugins of this repository, as they are shipped.

use std::path::PathBuf;

use super::*;

fn shipped(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo xtask build-plugins`",
        path.display()
    );
    path
}

#[tokio::test]
async fn noop_gives_its_arguments_back() {
    let place = Place::new();
    std::fs::copy(shipped("noop.wasm"), place.plugins().join("noop.wasm")).expect("copy");
    let (plugins, problems) = Plugins::load(place.settings()).await.expect("plugins start");
    assert_eq!(problems, []);
    let input = Json::from(&json!({"args": [], "kwargs": {"a": [1, 2]}}));
    let result = plugins.run_activity("noop", &ctx(), &input, silent()).await;
    assert_eq!(result, Ok(Step::Done(Json::from(&json!({"a": [1, 2]})))));
}

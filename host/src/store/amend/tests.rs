use serde_json::json;

use super::super::testing::{Fixture, first, fixture, id, run};
use super::Amendment;

#[tokio::test]
async fn a_run_is_renamed_and_labelled_and_keeps_the_rest() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    let mut new = run(1);
    new.tags = vec!["old".to_owned()];
    new.labels = super::super::testing::json(r#"{"a": 1, "b": 2}"#);
    store.create(new, None, first(id(1))).await.expect("created");
    let amendment = Amendment {
        name: Some("better".to_owned()),
        labels: json!({"b": 3, "c": "x"}).as_object().cloned().expect("an object"),
        ..Amendment::default()
    };
    assert!(store.amend(id(1), amendment).await.expect("kept"));
    let found = store.flow_run(id(1)).await.expect("read").expect("it is there");
    assert_eq!(found.run.name, "better");
    assert_eq!(found.run.tags, ["old"]);
    assert_eq!(found.run.labels.as_str(), r#"{"a":1,"b":3,"c":"x"}"#);
    let amendment = Amendment {
        tags: Some(vec![]),
        ..Amendment::default()
    };
    assert!(store.amend(id(1), amendment).await.expect("kept"));
    let found = store.flow_run(id(1)).await.expect("read").expect("it is there");
    assert_eq!((found.run.name.as_str(), found.run.tags.len()), ("better", 0));
    assert!(!store.amend(id(2), Amendment::default()).await.expect("asked"));
}

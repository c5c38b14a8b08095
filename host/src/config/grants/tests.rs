use serde_json::json;

use super::*;

#[test]
fn the_list_and_the_mapping_say_the_same() {
    let list = json!([
        "connection:celery",
        "start-flow",
        "clock",
        "env:HOME",
        "http:*.example.com"
    ]);
    let map = json!({
        "connections": ["celery"], "start_flow": true, "clock": true, "env": ["HOME"], "http": ["*.example.com"],
    });
    let list = Grants::read(&list).expect("a list");
    assert_eq!(Grants::read(&map), Ok(list.clone()));
    assert_eq!(list.connections, ["celery"]);
    assert_eq!(list.http.expect("granted").hosts, ["*.example.com"]);
}

#[test]
fn methods_and_secrets_need_a_mapping() {
    let grants = Grants::read(&json!({
        "http": {"hosts": ["api.example.com"], "methods": ["get", "POST"]},
        "secrets": [{"name": "api", "hosts": ["api.example.com"]}],
    }));
    let grants = grants.expect("valid");
    assert_eq!(grants.http.expect("granted").methods, ["GET", "POST"]);
    assert_eq!(grants.secrets[0].name, "api");
}

#[test]
fn every_mistake_says_what_to_write() {
    for (wrong, part) in [
        (json!("celery"), "a list of capabilities or a mapping"),
        (json!(["files"]), "connection:NAME"),
        (json!(["secret:api"]), "secrets: [{name: api"),
        (json!({"htpp": []}), "there is no grant \"htpp\""),
        (json!({"http": {"hosts": []}}), "no hosts"),
        (json!({"http": {"host": ["a"]}}), "not \"host\""),
        (json!({"secrets": [{"name": "a"}]}), "secrets.hosts has to be a list"),
        (json!({"secrets": [{"name": "a", "hosts": []}]}), "towards no host"),
        (json!({"clock": "yes"}), "true or false"),
        (json!({"env": [1]}), "have to be texts"),
    ] {
        let error = Grants::read(&wrong).expect_err("a mistake");
        assert!(error.contains(part), "{error}");
    }
}

use serde_json::json;

use super::{details, is_loopback, segment};

#[test]
fn a_segment_of_a_path_holds_any_name() {
    assert_eq!(segment("a/b c%"), "a%2Fb%20c%25");
    assert_eq!(segment("plain-name_1.2~x"), "plain-name_1.2~x");
}

#[test]
fn only_this_machine_is_asked_without_a_proxy() {
    for url in [
        "http://127.0.0.1:4200/api",
        "http://localhost/api",
        "http://[::1]:4200/api",
    ] {
        assert!(is_loopback(url), "{url}");
    }
    for url in [
        "http://example.org/api",
        "http://10.0.0.1:4200/api",
        "http://127.0.0.1.example.org/api",
    ] {
        assert!(!is_loopback(url), "{url}");
    }
}

#[test]
fn the_faults_of_a_request_are_one_sentence() {
    let body =
        json!({"exception_detail": [{"loc": ["body", "limit"], "msg": "too large"}, {"loc": ["body"], "msg": "odd"}]});
    let text = details(&body).expect("faults");
    assert_eq!(
        text,
        "the server does not accept the request: body.limit: too large; body: odd"
    );
}

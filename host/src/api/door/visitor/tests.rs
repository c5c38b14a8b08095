use axum::http::{HeaderMap, HeaderValue};

use super::address;

#[track_caller]
fn check(peer: &str, forwarded: &[&'static str], wanted: &str) {
    let mut headers = HeaderMap::new();
    for value in forwarded {
        headers.append("x-forwarded-for", HeaderValue::from_static(value));
    }
    let peer = peer.parse().expect("an address");
    assert_eq!(address(Some(peer), &headers).as_deref(), Some(wanted));
}

#[test]
fn only_a_proxy_on_this_machine_is_believed() {
    check("10.0.0.7:1", &[], "10.0.0.7");
    check("10.0.0.7:1", &["1.2.3.4"], "10.0.0.7");
    check("127.0.0.1:1", &["9.9.9.9, 1.2.3.4"], "1.2.3.4 through 127.0.0.1");
    check("127.0.0.1:1", &["9.9.9.9", "1.2.3.4"], "1.2.3.4 through 127.0.0.1");
    check("127.0.0.1:1", &["<script>"], "127.0.0.1");
}

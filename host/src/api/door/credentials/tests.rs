use axum::http::{HeaderMap, HeaderValue, header};

use super::{Shown, shown};
use crate::api::door::key::digest;

#[track_caller]
fn check(values: &[&str], wanted: Shown) {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).expect("a value"));
    }
    assert_eq!(shown(&headers), wanted, "{values:?}");
}

#[test]
fn what_prefects_clients_send_is_understood() {
    check(&[], Shown::Nothing);
    check(&["Bearer grepx_abc"], Shown::Key(digest("grepx_abc")));
    check(&["bearer  grepx_abc"], Shown::Key(digest("grepx_abc")));
    // admin:pass
    check(&["Basic YWRtaW46cGFzcw=="], Shown::AuthString(digest("admin:pass")));
}

#[test]
fn anything_else_is_odd() {
    check(&["Bearer "], Shown::Odd);
    check(&["grepx_abc"], Shown::Odd);
    check(&["Basic !!!"], Shown::Odd);
    check(&["Digest YWRtaW46cGFzcw=="], Shown::Odd);
    check(&["Bearer a", "Bearer b"], Shown::Odd);
}

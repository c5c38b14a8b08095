use axum::http::Request;

use super::{Names, split};

fn names(host: &str, allowed: &[&str], address: &str) -> Names {
    let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
    Names::new(host, &allowed, address.parse().expect("an address"))
}

fn loopback(allowed: &[&str]) -> Names {
    names("127.0.0.1", allowed, "127.0.0.1:4200")
}

fn request(method: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri("/api/flows/filter");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request")
}

#[track_caller]
fn host(names: &Names, host: &str, strict: bool, wanted: bool) {
    let answer = names.check(&request("GET", &[("host", host)]), strict);
    assert_eq!(answer.is_ok(), wanted, "{host}: {answer:?}");
}

#[track_caller]
fn origin(names: &Names, method: &str, host: &str, origin: &str, wanted: bool) {
    let answer = names.check(&request(method, &[("host", host), ("origin", origin)]), true);
    assert_eq!(answer.is_ok(), wanted, "{origin} → {host}: {answer:?}");
}

#[test]
fn an_authority_is_a_name_and_a_port() {
    assert_eq!(split("LocalHost:4200"), ("localhost".to_owned(), Some(4200)));
    assert_eq!(split("[::1]:80"), ("::1".to_owned(), Some(80)));
    assert_eq!(split("::1"), ("::1".to_owned(), None));
    assert_eq!(split("example.org."), ("example.org".to_owned(), None));
}

#[test]
fn on_loopback_only_our_own_names_are_answered() {
    let names = loopback(&["grepx.example.org"]);
    for ours in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:4200",
        "[::1]:4200",
        "grepx.example.org",
        "grepx.example.org:8443",
    ] {
        host(&names, ours, false, true);
    }
    for strange in [
        "rebound.example.com",
        "10.0.0.1:4200",
        "127.0.0.1.example.com",
        "localhost.example.com",
        "",
    ] {
        host(&names, strange, false, false);
    }
    assert!(
        names.check(&request("GET", &[]), true).is_ok(),
        "browsers always send one"
    );
}

#[test]
fn where_others_reach_us_names_count_when_nothing_else_guards() {
    let names = names("0.0.0.0", &[], "0.0.0.0:4200");
    host(&names, "anything.example.org", false, true);
    host(&names, "anything.example.org", true, false);
    host(&names, "192.168.1.5:4200", true, true);
    let named = self::names("build.lan", &[], "10.0.0.1:4200");
    host(&named, "build.lan:4200", true, true);
}

#[test]
fn two_names_are_none() {
    let names = loopback(&[]);
    let twice = request("GET", &[("host", "localhost"), ("host", "evil.example")]);
    assert!(names.check(&twice, true).is_err());
    let line = Request::builder()
        .uri("http://evil.example/api/flows/filter")
        .header("host", "localhost")
        .body(())
        .expect("a request");
    assert!(names.check(&line, true).is_err());
}

#[test]
fn a_page_of_somebody_else_may_not_ask() {
    let names = loopback(&["grepx.example.org", "other.example.org:8443"]);
    let here = "127.0.0.1:4200";
    origin(&names, "POST", here, "http://127.0.0.1:4200", true);
    origin(&names, "POST", "localhost:4200", "http://localhost:4200", true);
    // Another program of this machine has another port.
    origin(&names, "POST", here, "http://127.0.0.1:8000", false);
    origin(&names, "POST", here, "http://127.0.0.1", false);
    origin(&names, "POST", here, "http://localhost:4200", false);
    origin(&names, "POST", here, "http://evil.example", false);
    origin(&names, "GET", here, "http://evil.example", false);
    origin(&names, "POST", here, "null", false);
    // A proxy that speaks TLS, and passes our own address on.
    origin(&names, "POST", here, "https://grepx.example.org", true);
    origin(&names, "POST", here, "https://grepx.example.org:8443", false);
    origin(&names, "POST", here, "https://other.example.org:8443", true);
}

#[test]
fn without_an_origin_the_browser_says_whose_page_it_is() {
    let names = loopback(&[]);
    let asks = |method: &str, site: &str| {
        names
            .check(
                &request(method, &[("host", "localhost"), ("sec-fetch-site", site)]),
                true,
            )
            .is_ok()
    };
    assert!(!asks("POST", "cross-site"));
    assert!(!asks("DELETE", "same-site"));
    assert!(asks("GET", "cross-site"), "a link");
    assert!(asks("POST", "same-origin"));
    assert!(asks("POST", "none"));
}

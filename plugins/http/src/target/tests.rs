use super::*;

fn parsed(url: &str) -> (bool, String, String) {
    let target = Target::parse(url).expect("it parses");
    (target.secure, target.authority.clone(), target.path_with_query())
}

#[test]
fn a_url_is_taken_as_it_stands() {
    for (url, secure, authority, path) in [
        ("https://Api.Example.com", true, "api.example.com", "/"),
        ("HTTP://a:8080/x/../y", false, "a:8080", "/x/../y"),
        ("https://a?q=1", true, "a", "/?q=1"),
        ("https://a/p%20q?x=%2F&y#part", true, "a", "/p%20q?x=%2F&y"),
        ("http://[::1]:80/", false, "[::1]:80", "/"),
    ] {
        assert_eq!(parsed(url), (secure, authority.to_owned(), path.to_owned()), "{url}");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_with_the_reason() {
    for (url, why) in [
        ("example.com/x", "begin with https"),
        ("ftp://a/", "begin with https"),
        ("https:///x", "names no host"),
        ("https://:80/", "names no host"),
        ("https://me:word@a/", "holds a user name"),
        ("https://a:99999/", "port"),
        ("https://a b/", "percent-encode it"),
        ("https://a/ü", "percent-encode it"),
        ("https://a/\r\nx: y", "percent-encode it"),
        ("https://[::zz]/", "no name and no address"),
        ("https://a_b!c/", "no name and no address"),
    ] {
        let error = Target::parse(url).expect_err("refused");
        assert_eq!(error.class, ErrorClass::InvalidInput);
        assert!(error.message.contains(why), "{url}: {error}");
        assert!(!error.message.contains("word"), "{url}: {error}");
    }
}

#[test]
fn the_host_is_without_its_port() {
    for (url, host) in [
        ("http://a:80/", "a"),
        ("http://a/", "a"),
        ("http://[::1]/", "[::1]"),
        ("http://[::1]:8/", "[::1]"),
    ] {
        assert_eq!(Target::parse(url).expect("it parses").host(), host);
    }
}

#[test]
fn names_are_added_to_the_query_and_encoded() {
    let query = |value: Value| serde_json::from_value(value).expect("a map");
    let mut target = Target::parse("https://a/?k=v").expect("it parses");
    let wanted = json!({ "a b": "ü&=", "list": [1, true, null, "x"], "none": null });
    target.add(&query(wanted)).expect("scalars");
    assert_eq!(target.query, "k=v&a%20b=%C3%BC%26%3D&list=1&list=true&list=x");

    let error = target
        .add(&query(json!({ "deep": { "a": 1 } })))
        .expect_err("no scalar");
    assert!(error.message.contains("query.deep"), "{error}");
    let long = target
        .add(&query(json!({ "long": "x".repeat(9000) })))
        .expect_err("too long");
    assert!(long.message.contains("send a body instead"), "{long}");
}

use super::*;
use crate::plugins::grants::SecretGrant;

const VALUE: &str = "s3cr3t\"/ü value";

fn held() -> Held {
    let mut secrets = Secrets::default();
    secrets.insert("api", VALUE.to_owned()).expect("long enough");
    let grants = Grants {
        secrets: vec![SecretGrant {
            name: "api".to_owned(),
            hosts: vec!["*.example.com".parse().expect("a host")],
        }],
        ..Grants::default()
    };
    Held::new(&secrets, &grants, b"key")
}

#[test]
fn references_become_placeholders_and_unknown_ones_are_named() {
    let held = held();
    let placeholder = held.placeholder("api").expect("granted").to_owned();
    assert!(!placeholder.contains("s3cr3t"));
    let done = held
        .refer(r#"{"a":"Bearer ${secret:api}","b":"${secret:a b}"}"#)
        .expect("granted");
    assert_eq!(done, format!(r#"{{"a":"Bearer {placeholder}","b":"${{secret:a b}}"}}"#));
    assert_eq!(held.refer("${secret:other}"), Err("other".to_owned()));
    assert_eq!(held.refer("nothing").expect("nothing"), "nothing");
}

#[test]
fn a_value_goes_only_where_it_may() {
    let held = held();
    let text = format!("x {}", held.placeholder("api").expect("granted"));
    assert_eq!(held.reveal(&text, "api.example.com", 443, plain), format!("x {VALUE}"));
    assert_eq!(held.reveal(&text, "example.org", 443, plain), text);
    let bytes = held.reveal_bytes(text.clone().into_bytes(), "api.example.com", 443);
    assert_eq!(bytes, format!("x {VALUE}").into_bytes());
    let url = held.reveal(&text, "api.example.com", 443, in_url);
    assert!(!url.contains('"') && url.contains("s3cr3t"), "{url}");
}

#[test]
fn every_usual_shape_is_hidden() {
    let held = held();
    let json = serde_json::json!({ "echo": VALUE }).to_string();
    for shape in [
        VALUE.to_owned(),
        json,
        in_url(VALUE),
        base64::Engine::encode(&base64::prelude::BASE64_STANDARD, VALUE),
    ] {
        let scrubbed = held.scrub(&shape).into_owned();
        assert!(scrubbed.contains("<secret:api>"), "{scrubbed}");
        assert!(
            !scrubbed.contains("s3cr3t") && !scrubbed.contains("czNjcjN0"),
            "{scrubbed}"
        );
        assert_eq!(held.scrub_bytes(shape.clone().into_bytes()), scrubbed.into_bytes());
        assert_eq!(held.found_in(shape.as_bytes()), Some("api"));
    }
    assert_eq!(held.found_in(b"else"), None);
}

#[test]
fn values_that_cannot_be_hidden_are_refused_and_none_is_shown() {
    let mut secrets = Secrets::default();
    assert!(secrets.insert("short", "12345".to_owned()).is_err());
    secrets.insert("long", "123456".to_owned()).expect("long enough");
    assert_eq!(format!("{secrets:?}"), r#"{"long"}"#);
}

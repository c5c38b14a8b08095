use std::fmt;

use super::*;

#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the port cannot be read")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn a_foreign_error_keeps_its_chain() {
    let error = "x"
        .parse::<u16>()
        .map_err(Outer)
        .or_retryable("port")
        .expect_err("x is no port");
    assert_eq!(error.class, ErrorClass::Retryable);
    assert_eq!(error.code, "port");
    assert_eq!(error.message, "the port cannot be read: invalid digit found in string");
}

#[test]
fn an_error_survives_the_boundary() {
    let error = Error::rate_limited("http-429", "slow down")
        .retry_after_ms(1500)
        .details(serde_json::json!({ "exc_type": "TooMany" }));
    assert_eq!(Error::from(raw::Error::from(error.clone())), error);
}

#[test]
fn details_that_are_not_json_are_kept_as_text() {
    let mut raw = raw::Error::from(Error::permanent("x", "y"));
    raw.details = Some(b"Traceback: {".to_vec());
    assert_eq!(Error::from(raw).details, Some(Box::new(Value::from("Traceback: {"))));
}

use std::time::Duration;

use super::*;
use crate::config::{Config, Parts};

fn error(fault: Fault) -> Error {
    let config = Config {
        url: Some("https://api.example.com:8443/v1?key=hidden".into()),
        ..Config::default()
    };
    let request = Request::new(&Ctx::for_tests(), Parts::default(), config).expect("a request");
    let limits = Limits {
        time: Duration::from_millis(1500),
        bytes: 10,
    };
    fault.into_error(&request, limits)
}

#[test]
fn a_refused_host_is_told_with_the_line_to_add() {
    let error = error(Fault::NotGranted);
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Unauthorised, "http-not-granted")
    );
    assert!(
        error.message.contains(
            "adding under plugins.grants `http: {http: {hosts: [api.example.com]}}`, with GET among its methods"
        ),
        "{error}"
    );
}

#[test]
fn what_may_pass_is_retried_and_what_will_not_is_not() {
    for (fault, class, code) in [
        (Fault::Dns("NXDOMAIN".into()), ErrorClass::Retryable, "http-dns"),
        (Fault::Connect("refused"), ErrorClass::Retryable, "http-connect"),
        (Fault::Broken("it ended".into()), ErrorClass::Retryable, "http-broken"),
        (Fault::TimedOut, ErrorClass::Retryable, "http-timeout"),
        (Fault::Certificate, ErrorClass::Permanent, "http-certificate"),
        (Fault::TooLarge, ErrorClass::Permanent, "http-response-too-large"),
        (
            Fault::AddressProhibited,
            ErrorClass::Unauthorised,
            "http-address-prohibited",
        ),
        (
            Fault::Refused("too long".into()),
            ErrorClass::InvalidInput,
            "invalid-input",
        ),
    ] {
        let error = error(fault.clone());
        assert_eq!((error.class, error.code.as_str()), (class, code), "{fault:?}");
        assert!(!error.message.contains("hidden"), "{error}");
    }
    assert!(error(Fault::TimedOut).message.contains("within 1.5 s"));
}

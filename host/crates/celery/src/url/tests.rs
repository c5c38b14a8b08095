use super::*;

fn redis(url: &str) -> Redis {
    match url.parse() {
        Ok(Endpoint::Redis(redis)) => redis,
        other => panic!("{url}: {other:?}"),
    }
}

#[test]
fn addresses_are_read() {
    let cases = [
        ("redis://", "redis://localhost:6379/0"),
        ("redis://h", "redis://h:6379/0"),
        (" REDIS://h:7000/5 ", "redis://h:7000/5"),
        ("redis://h/", "redis://h:6379/0"),
        ("redis://[::1]:7000/1", "redis://[::1]:7000/1"),
        ("redis://[::1]", "redis://[::1]:6379/0"),
        ("redis://u:p@h/2", "redis://u:***@h:6379/2"),
        ("redis://:p@h", "redis://:***@h:6379/0"),
        ("redis://u@h", "redis://u@h:6379/0"),
        ("redis://:@h", "redis://h:6379/0"),
        ("redis://h?virtual_host=4", "redis://h:6379/4"),
        ("rediss://h?ssl_cert_reqs=none", "rediss://h:6379/0"),
        (
            "redis+socket:///run/redis.sock?virtual_host=3",
            "redis+socket:///run/redis.sock?virtual_host=3",
        ),
        (
            "redis+socket://:p@/run/redis.sock",
            "redis+socket://:***@/run/redis.sock?virtual_host=0",
        ),
        ("unix:///run/a%20b?db=1", "redis+socket:///run/a b?virtual_host=1"),
        (
            "sentinel://a:1/2;sentinel://b/2",
            "sentinel://a:1/2;sentinel://b:26379/2",
        ),
        (
            "sentinel://:p@a;sentinel://b;",
            "sentinel://:***@a:26379/0;sentinel://:***@b:26379/0",
        ),
        ("memory://", "memory://"),
        ("cache+memory://", "memory://"),
        ("memory", "memory://"),
        ("disabled://", "disabled://"),
    ];
    for (url, shown) in cases {
        let endpoint: Endpoint = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(endpoint.to_string(), shown, "{url}");
    }
}

#[test]
fn credentials_are_percent_decoded_and_hidden() {
    let redis = redis("redis://us%40er:p%3A%2F%40%C5%BE@h/0");
    assert_eq!(redis.credentials.user.as_deref(), Some("us@er"));
    let password = redis.credentials.password.as_ref().expect("given");
    assert_eq!(password.expose(), "p:/@ž");
    assert_eq!(format!("{password:?}"), "***");
    assert!(!format!("{redis:?}").contains("p:/@ž"));
    assert_eq!(Endpoint::Redis(redis).to_string(), "redis://us%40er:***@h:6379/0");
    assert_eq!(
        self::redis("redis://:a@b@h").credentials.password,
        Some(Secret::new("a@b")),
        "a raw @ is taken"
    );
}

#[test]
fn tls_parameters_are_read() {
    let tls = redis("rediss://h:1/0?ssl_cert_reqs=CERT_OPTIONAL&ssl_ca_certs=%2Fca.pem&ssl_certfile=/c&ssl_keyfile=/k");
    let expected = Tls {
        check: CertificateCheck::Optional,
        check_hostname: true,
        ca_certs: Some("/ca.pem".into()),
        certfile: Some("/c".into()),
        keyfile: Some("/k".into()),
    };
    assert_eq!(tls.tls, Some(expected));
    let check = |url: &str| redis(url).tls.map(|tls| (tls.check, tls.check_hostname));
    assert_eq!(check("rediss://h"), Some((CertificateCheck::Required, true)));
    assert_eq!(
        check("rediss://h?ssl_cert_reqs=required"),
        Some((CertificateCheck::Required, true))
    );
    assert_eq!(
        check("rediss://h?ssl_cert_reqs=CERT_NONE"),
        Some((CertificateCheck::None, true))
    );
    assert_eq!(
        check("rediss://h?ssl_check_hostname=False"),
        Some((CertificateCheck::Required, false))
    );
    assert_eq!(check("redis://h"), None);
    assert_eq!(redis("redis://h?socket_timeout=5&x").ignored, ["socket_timeout", "x"]);
}

#[test]
fn faults_say_what_to_do_and_never_show_the_password() {
    let cases = [
        ("", "is empty"),
        ("host:6379", "has no scheme"),
        ("amqp://u:secret@h//", "amqp:// is not supported yet; point workers"),
        ("rpc://", "not supported yet"),
        ("db+sqlite:///x", "not supported yet"),
        ("http://u:secret@h", "unknown scheme http"),
        ("redis://u:secret@h/x", "the database must be a number"),
        ("redis://u:secret@h:0", "the port must be a number"),
        ("redis://u:secret@h:99999", "the port must be a number"),
        ("redis://u:secret@::1:5", "IPv6 address stands in brackets"),
        ("redis://u:secret@[::1", "without `]`"),
        ("redis://u:secret@a;redis://u:secret@b", "only possible with sentinel"),
        ("redis://u:secret;x@h", "must be written as %3B"),
        ("redis://u:x;secret@h", "must be written as %3B"),
        ("sentinel://:secret@a;:secret@b", "must start with sentinel"),
        ("redis://u:secret%ff@h", "password is not UTF-8"),
        ("redis://u:sec/secret@h", "must be written as %2F"),
        ("redis://:/secret@h", "must be written as %2F"),
        ("redis://u:sec?secret@h", "%3F"),
        ("redis://u:sec#secret@h", "`#` must be written as %23"),
        ("redis://u:secret@h?ssl_cert_reqs=none", "need the scheme rediss"),
        (
            "rediss://u:secret@h?ssl_cert_reqs=maybe",
            "must be required, optional or none",
        ),
        ("rediss://u:secret@h?ssl_cert_req=none", "ssl_cert_req is not known"),
        ("redis+socket://u:secret@h/x", "three slashes"),
        ("redis+socket://", "path of the socket is missing"),
        (
            "redis+socket:///x?password=secret&db=y",
            "the database must be a number",
        ),
        ("sentinel://u:secret@h;redis://b", "must start with sentinel"),
        ("sentinel://h/1;sentinel://h/2", "different databases"),
        ("redis://u:secret@h h/0", "space or a control character"),
    ];
    for (url, expected) in cases {
        let error = url.parse::<Endpoint>().expect_err(url).to_string();
        assert!(error.contains(expected), "{url}: {error}");
        assert!(!error.contains("secret"), "{url}: {error}");
    }
    let long = format!("redis://{}", "h".repeat(MAX_URL_BYTES));
    assert_eq!(long.parse::<Endpoint>(), Err(UrlError::TooLong));
}

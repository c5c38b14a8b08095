use super::*;

fn permit(pattern: &str, host: &str, port: u16) -> Option<Permit> {
    pattern.parse::<HostPattern>().expect(pattern).permit(host, port)
}

#[test]
fn a_name_stands_for_itself_and_a_star_for_what_is_below() {
    assert_eq!(permit("api.example.com", "api.example.com", 443), Some(Permit::Public));
    assert_eq!(permit("API.example.com", "api.example.com", 8443), Some(Permit::Public));
    assert_eq!(permit("example.com", "api.example.com", 443), None);
    assert_eq!(permit("*.example.com", "a.b.example.com", 443), Some(Permit::Public));
    assert_eq!(permit("*.example.com", "example.com", 443), None);
    assert_eq!(permit("*.example.com", "badexample.com", 443), None);
    assert_eq!(permit("*", "anything.test", 1), Some(Permit::Public));
}

#[test]
fn a_port_narrows() {
    assert_eq!(permit("example.com:8443", "example.com", 8443), Some(Permit::Public));
    assert_eq!(permit("example.com:8443", "example.com", 443), None);
}

#[test]
fn only_what_is_written_literally_may_be_private() {
    assert_eq!(permit("127.0.0.1:80", "127.0.0.1", 80), Some(Permit::Literal));
    assert_eq!(permit("localhost", "localhost", 80), Some(Permit::Literal));
    assert_eq!(permit("[::1]:80", "::1", 80), Some(Permit::Literal));
    assert_eq!(permit("::1", "::1", 80), Some(Permit::Literal));
    assert_eq!(permit("*", "127.0.0.1", 80), Some(Permit::Public));
}

#[test]
fn what_is_no_host_is_refused() {
    for wrong in [
        "",
        "http://a.b",
        "a/b",
        "a..b",
        "*.",
        "a.*.b",
        "**",
        "a:b",
        "a:99999",
        "ä.b",
    ] {
        assert!(wrong.parse::<HostPattern>().is_err(), "{wrong}");
    }
    for good in ["*.example.com:8443", "[::1]:80", "*", "10.0.0.1", "[fe80::1]"] {
        let pattern = good.parse::<HostPattern>().expect(good);
        assert_eq!(pattern.to_string(), good);
    }
}

#[test]
fn methods_are_granted_by_name() {
    let grant = HttpGrant {
        hosts: vec!["*".parse().expect("a host"), "localhost".parse().expect("a host")],
        methods: vec!["GET".to_owned()],
    };
    assert_eq!(grant.permits("GET", "localhost", 80), Some(Permit::Literal));
    assert_eq!(grant.permits("POST", "localhost", 80), None);
}

#[test]
fn any_connection_means_any_that_was_granted() {
    let any = Capability::Connection(Capability::ANY.to_owned());
    let to = |name: &str| Capability::Connection(name.to_owned());
    let grants = Grants::of_connections(["celery", "reports"]);
    assert!(grants.allows(&any) && !Grants::default().allows(&any));

    let command = |connection: &str| grepx_engine::Command {
        key: "result".to_owned(),
        op: grepx_engine::Op::Reply {
            connection: connection.into(),
            key: "key".into(),
        },
    };
    let missing = |asked: &Capability, connection| {
        crate::plugins::capability::missing(&[command(connection)], std::slice::from_ref(asked), &grants)
    };
    assert_eq!(missing(&any, "reports"), None);
    assert_eq!(missing(&any, "other"), Some(to("other")));
    assert_eq!(missing(&to("celery"), "celery"), None);
    assert_eq!(
        missing(&to("celery"), "reports"),
        Some(to("reports")),
        "granted, and not asked for"
    );
}

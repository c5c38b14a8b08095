use super::exact;

#[track_caller]
fn check(url: &str, address: &str, wanted: Option<&str>) {
    let found = exact(url, address.parse().expect("an address"));
    assert_eq!(found.as_deref(), wanted, "{url} {address}");
}

#[test]
fn the_operators_key_is_shown_to_that_host_only() {
    let here = "127.0.0.1:4200";
    check("http://127.0.0.1:4200/api", here, Some("http://127.0.0.1:4200/api"));
    check("http://127.0.0.1:4201/api", here, None);
    check("http://127.0.0.2:4200/api", here, None);
    check("http://[::1]:4200/api", here, None);
    check("http://example.org:4200/api", here, None);
    check("https://127.0.0.1:4200/api", here, None);
    check("http://127.0.0.1/api", here, None);
    check("http://127.0.0.1:4200@example.org/api", here, None);
}

#[test]
fn localhost_becomes_the_address_that_is_meant() {
    check(
        "http://localhost:4200/api",
        "127.0.0.1:4200",
        Some("http://127.0.0.1:4200/api"),
    );
    check("http://localhost:4200/api", "[::1]:4200", Some("http://[::1]:4200/api"));
    check(
        "http://localhost:4200/api",
        "0.0.0.0:4200",
        Some("http://127.0.0.1:4200/api"),
    );
    check("http://localhost:4200/api", "10.0.0.5:4200", None);
    check(
        "http://10.0.0.5:4200/api",
        "10.0.0.5:4200",
        Some("http://10.0.0.5:4200/api"),
    );
    check("http://10.0.0.5:4200/api", "0.0.0.0:4200", None);
}

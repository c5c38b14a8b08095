use std::collections::BTreeSet;

use axum::http::Method;

use super::{Found, RULES, find};
use crate::store::Scope;

/// Method and path of every `.route(…)` in the source of the router.
fn routes() -> BTreeSet<(String, String)> {
    let source = include_str!("../../../api.rs");
    let (around, inside) = source.split_once("\nfn admin_routes").expect("the routes under /api");
    let mut routes = routes_of("", around);
    routes.append(&mut routes_of("/api", inside));
    routes
}

fn routes_of(prefix: &str, source: &str) -> BTreeSet<(String, String)> {
    let mut routes = BTreeSet::new();
    for chunk in source.split(".route(").skip(1) {
        let (_, after) = chunk.split_once('"').expect("a path comes first");
        let (path, rest) = after.split_once('"').expect("the path ends");
        let rest = rest.split("\n}").next().unwrap_or(rest);
        for (word, method) in [
            ("get(", "GET"),
            ("post(", "POST"),
            ("patch(", "PATCH"),
            ("delete(", "DELETE"),
        ] {
            let called = |position: usize| !rest[..position].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if rest.match_indices(word).any(|(position, _)| called(position)) {
                routes.insert((method.to_owned(), format!("{prefix}{path}")));
            }
        }
    }
    routes
}

#[test]
fn every_route_has_its_line_and_every_line_its_route() {
    let ruled: BTreeSet<_> = RULES
        .iter()
        .map(|rule| (rule.method.to_owned(), rule.route.to_owned()))
        .collect();
    assert_eq!(ruled.len(), RULES.len(), "a line stands twice");
    assert_eq!(routes(), ruled);
}

#[test]
fn what_needs_no_key_is_listed_here() {
    let open: Vec<_> = RULES
        .iter()
        .filter(|rule| rule.scope.is_none())
        .map(|rule| rule.route)
        .collect();
    assert_eq!(
        open,
        [
            "/api/health",
            "/api/ready",
            "/api/openapi.json",
            "/api/docs",
            "/api/docs/{file}",
            "/api/hooks/{name}"
        ]
    );
}

#[test]
fn what_changes_something_needs_more_than_reading() {
    for rule in RULES {
        assert!(!rule.changes || rule.scope > Some(Scope::Read), "{}", rule.route);
        let writes = ["PATCH", "DELETE", "PUT"].contains(&rule.method);
        assert!(!writes || rule.changes, "{}", rule.route);
    }
}

#[test]
fn what_the_table_does_not_know_is_not_found_in_it() {
    assert!(matches!(find(&Method::GET, Some("/api/secret")), Found::Forgotten));
    assert!(matches!(find(&Method::PUT, Some("/api/health")), Found::OtherMethod));
    assert!(matches!(find(&Method::HEAD, Some("/api/health")), Found::Rule(_)));
    assert!(matches!(find(&Method::GET, None), Found::Nothing));
}

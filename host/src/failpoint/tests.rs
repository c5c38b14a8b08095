use std::collections::HashSet;

use super::*;

#[test]
fn each_point_has_a_name_of_its_own() {
    let names: HashSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
    assert_eq!(names.len(), Point::ALL.len());
}

#[test]
fn what_is_asked_is_read_or_refused() {
    assert_eq!(parse("store.before-commit:17"), Ok((Point::BeforeCommit, 17)));
    assert_eq!(parse("store.before-commit"), Ok((Point::BeforeCommit, 1)));
    for wrong in ["", "store", "store.before-commit:0", "store.before-commit:x", ":1"] {
        assert!(
            parse(wrong).is_err_and(|why| why.contains("grepx-host failpoints")),
            "{wrong}"
        );
    }
}

use super::Seen;

#[test]
fn an_id_says_where_the_client_was() {
    let seen = Seen {
        position: 1_764_154_254_000_123,
        lines: 42,
    };
    assert_eq!(Seen::parse(&seen.id()), Some(seen));
    for strange in ["", "end", "1", "1-", "-1", "1--1", "1-2-3", "a-1"] {
        assert_eq!(Seen::parse(strange), None, "{strange:?}");
    }
}

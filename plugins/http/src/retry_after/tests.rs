use super::*;

/// Noon, 2 March 2026 UTC.
const NOW: u64 = 1_772_452_800_000;

#[test]
fn seconds_and_dates_are_read_and_cut_at_a_day() {
    for (value, wait) in [
        ("0", Some(0)),
        (" 120 ", Some(120_000)),
        ("Mon, 02 Mar 2026 12:00:30 GMT", Some(30_000)),
        ("Monday, 02-Mar-26 12:00:30 GMT", Some(30_000)),
        ("Mon, 02 Mar 2026 11:00:00 GMT", Some(0)),
        ("Fri, 01 Jan 2100 00:00:00 GMT", Some(86_400_000)),
        ("99999999999999999999999999", Some(86_400_000)),
        ("", None),
        ("-1", None),
        ("soon", None),
    ] {
        assert_eq!(ms(value, NOW), wait, "{value:?}");
    }
}

use grepx_engine::Timestamp;

use super::{parse_rfc3339, rfc3339};

#[test]
fn instants_survive_text() {
    let at = Timestamp(1_772_366_400_250);
    assert_eq!(rfc3339(at), "2026-03-01T12:00:00.250Z");
    assert_eq!(parse_rfc3339(&rfc3339(at)).expect("own form"), at);
    assert_eq!(parse_rfc3339("2026-03-01T13:00:00.25+01:00").expect("an offset"), at);
}

#[test]
fn instants_beyond_the_calendar_are_shown_at_its_edge() {
    assert!(rfc3339(Timestamp(i64::MAX)).starts_with("+262142"));
    assert!(rfc3339(Timestamp(i64::MIN)).starts_with("-26214"));
}

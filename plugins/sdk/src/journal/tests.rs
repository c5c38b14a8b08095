use super::*;
use serde_json::json;

#[test]
fn outcomes_survive_being_kept() {
    let failure = Error::rate_limited("http-429", "slow down")
        .retry_after_ms(5)
        .details(json!({"a": 1}));
    for outcome in [
        Outcome::Fired,
        Outcome::Reply(b"{\"a\":1}".to_vec()),
        Outcome::Reply(vec![0xff, 0, 1]),
        Outcome::Signal(json!([1, null])),
        Outcome::Child(json!({"completed": true})),
        Outcome::Failed(failure),
        Outcome::Cancelled,
    ] {
        let kept = serde_json::to_string(&Kept::from(outcome.clone())).expect("writes");
        let kept: Kept = serde_json::from_str(&kept).expect("reads");
        assert_eq!(Outcome::from(&kept), outcome);
    }
}

#[test]
fn what_nobody_waits_for_need_not_go_out() {
    for (what, goes) in [
        ("timer", false),
        ("signal go", false),
        ("enqueue celery gpu", true),
        ("start-flow a/b", true),
        ("cancel 3-timer", false),
        ("cancel 12-start-flow", true),
    ] {
        assert_eq!(must_go_out(what), goes, "{what}");
    }
}

#[test]
fn events_of_unknown_commands_are_left_out() {
    let ctx = Ctx::for_tests();
    let input = Document(RawValue::from_string("{}".into()).expect("JSON"));
    let mut journal = Journal::new(&ctx, input, 1).expect("settings are an object");
    let event = |key: &str| Event {
        key: key.into(),
        outcome: Outcome::Fired,
    };
    journal.add(5, vec![event("0-timer"), event("cancel x"), event("-")]);
    assert_eq!(journal.rounds[1].events, []);
}

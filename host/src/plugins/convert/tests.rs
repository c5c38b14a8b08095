use super::*;

fn command(key: &str, op: steps::Op) -> steps::Command {
    steps::Command {
        key: key.to_owned(),
        op,
    }
}

#[test]
fn timers_become_instants() {
    let now = Timestamp(1_000);
    let found = vec![
        command("a", steps::Op::TimerIn(5)),
        command("b", steps::Op::TimerAt(7)),
        command("c", steps::Op::TimerIn(u64::MAX)),
        command("d", steps::Op::TimerAt(u64::MAX)),
    ];
    let ops: Vec<Op> = commands(found, now).expect("valid").into_iter().map(|c| c.op).collect();
    let expected = [1_005, 7, i64::MAX, i64::MAX].map(|ms| Op::TimerAt(Timestamp(ms)));
    assert_eq!(ops, expected);
}

#[test]
fn a_key_is_unique_in_an_answer() {
    let found = vec![command("a", steps::Op::TimerIn(5)), command("a", steps::Op::TimerIn(6))];
    assert_eq!(
        commands(found, Timestamp(0)),
        Err("two commands have the key `a`".to_owned())
    );
}

#[test]
fn commands_are_bounded() {
    let found = (0..=COMMANDS_MAX)
        .map(|i| command(&i.to_string(), steps::Op::TimerIn(1)))
        .collect();
    let reason = commands(found, Timestamp(0)).expect_err("too many");
    assert!(reason.contains("10001 commands, the limit is 10000"), "{reason}");
}

#[test]
fn results_are_json() {
    let of = |bytes: &[u8]| step(steps::Step::Done(bytes.to_vec()), Timestamp(0));
    assert_eq!(of(b"[1]"), Ok(Step::Done(Json::from(&serde_json::json!([1])))));
    assert!(of(b"[1").expect_err("truncated").contains("the result is not JSON"));
    assert!(of(b"\xff").expect_err("binary").contains("the result is not UTF-8"));
    assert!(of(b"").expect_err("empty").contains("the result is not JSON"));
}

#[test]
fn details_that_are_not_json_do_not_hide_the_error() {
    let mut error = error_out(&TaskError::new(ErrorClass::RateLimited, "c", "m"));
    error.details = Some(b"Traceback: \"x\"".to_vec());
    let error = error_in(error);
    assert_eq!(error.class, ErrorClass::RateLimited);
    assert_eq!(
        error.details.map(|d| d.to_value()),
        Some(serde_json::json!("Traceback: \"x\""))
    );
}

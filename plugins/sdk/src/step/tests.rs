use super::*;

type Pause = Step<u32, u32>;

#[test]
fn without_wake_keys_the_own_commands_that_are_answered_wake() {
    let Pause::Suspended(suspended) = Step::suspend(1)
        .enqueue("task", Message::new("celery", "celery", "{}"))
        .reply("result", "celery", "k")
        .timer_in("late", Duration::from_secs(1))
        .cancel("old")
    else {
        panic!("suspended");
    };
    assert_eq!(suspended.wake_keys(), Wake::Any(vec!["result".into(), "late".into()]));
}

#[test]
fn named_wake_keys_win() {
    let Pause::Suspended(suspended) = Step::suspend(1)
        .timer_in("a", Duration::ZERO)
        .timer_in("b", Duration::ZERO)
        .wake_all(["a", "b"])
    else {
        panic!("suspended");
    };
    assert_eq!(suspended.wake_keys(), Wake::All(vec!["a".into(), "b".into()]));
}

#[test]
#[should_panic(expected = "a step that is done or failed has no commands")]
fn a_finished_step_takes_no_commands() {
    let _ = Pause::done(1).timer_in("a", Duration::ZERO);
}

#[test]
fn the_state_carries_its_version_over_the_boundary() {
    let raw::Step::Suspended(suspended) = lower(Pause::suspend(5).status("waiting"), 3) else {
        panic!("suspended");
    };
    assert_eq!(
        (suspended.state.version, suspended.state.data.as_slice()),
        (3, b"5".as_slice())
    );
    assert_eq!(suspended.status.as_deref(), Some("waiting"));
}

#[test]
fn a_state_that_json_cannot_hold_fails_the_attempt() {
    let state = std::collections::HashMap::from([((1, 2), 3)]);
    let raw::Step::Failed(error) = lower(Step::<(), _>::suspend(state), 1) else {
        panic!("failed");
    };
    assert_eq!(error.code, "unwritable");
}

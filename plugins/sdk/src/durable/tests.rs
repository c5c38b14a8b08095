use serde::Deserialize;

use super::*;
use crate::TaskInput;

struct Count;

#[derive(Debug, Serialize, Deserialize)]
struct State {
    seen: Vec<String>,
}

impl Durable for Count {
    const KIND: &'static str = "count";
    const SUMMARY: &'static str = "Counts events";
    const STATE_VERSION: u32 = 2;
    const OLDEST_STATE: u32 = 1;
    type Input = TaskInput;
    type Output = usize;
    type State = State;

    fn input_schema() -> Value {
        json!({ "type": "object" })
    }

    fn start(_ctx: &Ctx, _input: TaskInput) -> Result<Step<usize, State>, Error> {
        Ok(Step::suspend(State { seen: vec![] }).signal("go", "go"))
    }

    fn resume(_ctx: &Ctx, state: State, events: Vec<Event>) -> Result<Step<usize, State>, Error> {
        if let Some(Event {
            outcome: Outcome::Failed(error),
            ..
        }) = events.first()
        {
            return Err(error.clone());
        }
        Ok(Step::done(state.seen.len() + events.len()))
    }

    fn stop(_ctx: &Ctx, state: State, _reason: StopReason) -> Vec<Command> {
        state.seen.iter().map(Command::cancel).collect()
    }

    fn migrate(_version: u32, state: Value) -> Result<State, Error> {
        let count = state.as_u64().unwrap_or(0);
        Ok(State {
            seen: (0..count).map(|n| n.to_string()).collect(),
        })
    }
}

crate::export_durable!(Count);

fn snapshot(version: u32, data: &str) -> Snapshot {
    Snapshot {
        version,
        data: data.into(),
    }
}

fn fired() -> raw::Event {
    raw::Event {
        key: "go".into(),
        outcome: raw::Outcome::Fired,
    }
}

#[test]
fn the_descriptor_says_which_states_it_resumes() {
    assert_eq!(Plugin::describe()[0].state_versions, Some((1, 2)));
}

#[test]
fn a_state_of_an_older_build_is_migrated() {
    let step = resume::<Count>(&Ctx::for_tests(), &snapshot(1, "3"), vec![fired()]);
    assert!(matches!(step, raw::Step::Done(ref bytes) if bytes == b"4"), "{step:?}");
    let step = resume::<Count>(&Ctx::for_tests(), &snapshot(2, r#"{"seen":["a"]}"#), vec![fired()]);
    assert!(matches!(step, raw::Step::Done(ref bytes) if bytes == b"2"), "{step:?}");
}

#[test]
fn a_state_from_the_future_or_a_broken_one_fails_with_its_versions() {
    let raw::Step::Failed(error) = resume::<Count>(&Ctx::for_tests(), &snapshot(3, "{}"), vec![]) else {
        panic!("failed");
    };
    assert!(
        error.message.ends_with("a state of version 3; it reads 1 to 2"),
        "{}",
        error.message
    );
    let raw::Step::Failed(error) = resume::<Count>(&Ctx::for_tests(), &snapshot(2, "{}"), vec![]) else {
        panic!("failed");
    };
    assert!(error.message.contains("missing field `seen`"), "{}", error.message);
}

#[test]
fn an_error_of_the_kind_fails_the_attempt() {
    let refused = Error::retryable("broker-away", "no connection");
    let event = raw::Event {
        key: "go".into(),
        outcome: raw::Outcome::Failed(refused.clone().into()),
    };
    let raw::Step::Failed(error) = resume::<Count>(&Ctx::for_tests(), &snapshot(1, "0"), vec![event]) else {
        panic!("failed");
    };
    assert_eq!(Error::from(error), refused);
}

#[test]
fn stop_with_an_unreadable_state_cleans_nothing_up_and_says_so() {
    let commands = stop::<Count>(&Ctx::for_tests(), &snapshot(1, "2"), StopReason::Cancelled);
    let keys: Vec<String> = commands.into_iter().map(|command| command.key).collect();
    assert_eq!(keys, ["cancel 0", "cancel 1"]);

    crate::log::taken();
    assert!(stop::<Count>(&Ctx::for_tests(), &snapshot(9, "{}"), StopReason::Cancelled).is_empty());
    let lines = crate::log::taken();
    assert!(lines[0].1.starts_with("nothing is cleaned up: "), "{lines:?}");
}

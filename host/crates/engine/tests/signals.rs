//! What is waited for may be waited for again: a signal with another command, whose key is another
//! one; a timer under its own. What comes while nobody waits for it is refused.

use std::sync::Arc;

use grepx_engine::{
    Command, Definition, Event, FlowRunId, Json, NodeId, Op, Outcome, Prepared, Run, Snapshot, Step, Suspended, Task,
    Timestamp, Wake,
};
use uuid::Uuid;

const NODE: NodeId = NodeId::task(0);

fn suspended(keys: &[&str]) -> Step {
    let commands = keys.iter().map(|key| Command {
        key: (*key).to_owned(),
        op: Op::Signal("approve".to_owned()),
    });
    Step::Suspended(Suspended {
        state: Snapshot {
            version: 1,
            data: vec![1].into(),
        },
        commands: commands.collect(),
        wake: Wake::Any(keys.iter().map(|key| (*key).to_owned()).collect()),
        status: Some(format!("waits for {}", keys.join(" "))),
    })
}

fn now() -> Timestamp {
    Timestamp(1_000)
}

fn started() -> Run {
    let definition = Definition::new("flow", None, vec![Task::new("task".to_owned(), "kind")]).expect("one task");
    let mut run = Run::new(FlowRunId(Uuid::from_u128(1)), Arc::new(definition));
    let _ = run.schedule(now(), now());
    let input = Prepared::Run {
        input: Json::null(),
        limit_ms: None,
    };
    take(&mut run, &Event::Admitted);
    take(
        &mut run,
        &Event::Prepared {
            node: NODE,
            renewals: 0,
            prepared: input,
        },
    );
    run
}

fn take(run: &mut Run, event: &Event) {
    run.apply(event, now()).expect("it is possible now");
}

fn answer(run: &mut Run, step: u32, answer: Step) {
    let mut event = None;
    for due in run.due(grepx_engine::Mark::default()).0 {
        if let grepx_engine::Due::Call {
            node,
            attempt,
            step: at,
        } = due
        {
            assert_eq!(at, step);
            event = Some(answered(node, attempt, at, answer.clone()));
        }
    }
    take(run, &event.expect("a call is due"));
}

fn answered(node: NodeId, attempt: u32, step: u32, answer: Step) -> Event {
    Event::Answered {
        node,
        attempt,
        step,
        answer,
        build: None,
    }
}

fn signal(run: &mut Run) -> bool {
    let Some((attempt, key)) = run.awaits_signal(NODE, "approve") else {
        return false;
    };
    let event = Event::Outcome {
        node: NODE,
        attempt,
        key,
        outcome: Outcome::Signal(Json::null()),
    };
    take(run, &event);
    true
}

#[test]
fn a_signal_can_be_waited_for_again_under_another_key_and_under_the_same() {
    let mut run = started();
    assert!(!signal(&mut run), "nobody waits before the first answer");
    answer(&mut run, 0, suspended(&["approve"]));
    assert_eq!(run.open_signals(NODE), ["approve"]);
    assert_eq!(run.status(NODE), Some("waits for approve"));
    for (step, key) in [(1, "approve 2"), (2, "approve 2"), (3, "approve 3")] {
        assert!(signal(&mut run));
        assert!(!signal(&mut run), "a command takes one signal");
        assert!(run.open_signals(NODE).is_empty());
        answer(&mut run, step, suspended(&[key]));
        assert_eq!(run.awaits_signal(NODE, "approve"), Some((1, key.to_owned())));
    }
    assert!(run.awaits_signal(NODE, "reject").is_none());
    assert!(signal(&mut run));
    answer(&mut run, 4, Step::Done(Json::null()));
    assert!(!signal(&mut run) && run.is_finished());
    assert_eq!(run.status(NODE), None);
}

#[test]
fn a_timer_that_is_set_again_for_the_same_time_fires() {
    let at = now().plus_ms(500);
    let until = || {
        let timer = Command {
            key: "limit".to_owned(),
            op: Op::TimerAt(at),
        };
        let Step::Suspended(mut suspended) = suspended(&["approve"]) else {
            panic!("it is suspended");
        };
        suspended.commands.push(timer);
        suspended.wake = Wake::Any(vec!["approve".to_owned(), "limit".to_owned()]);
        Step::Suspended(suspended)
    };
    let mut run = started();
    answer(&mut run, 0, until());
    assert!(signal(&mut run));
    answer(&mut run, 1, until());
    assert_eq!(run.next_timer(Timestamp(0)), Some(at));
    run.apply(&Event::Tick, at).expect("its time has come");
    answer(&mut run, 2, Step::Done(Json::null()));
    assert!(run.is_finished());
}

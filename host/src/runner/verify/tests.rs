use super::*;

fn state(state_type: StateType, name: &'static str) -> State {
    State {
        state_type,
        name,
        message: None,
        since: Timestamp(0),
    }
}

#[test]
fn a_slot_is_held_by_who_runs_and_by_nobody_else() {
    let running = state(StateType::Running, "Running");
    assert_eq!(wrong_slot(&running, true, Some(true)), None);
    assert_eq!(wrong_slot(&running, false, None), None, "without a pool it needs none");
    for slot in [None, Some(false)] {
        assert!(wrong_slot(&running, true, slot).is_some());
    }
    let queued = state(StateType::Scheduled, "AwaitingConcurrencySlot");
    assert_eq!(wrong_slot(&queued, true, Some(false)), None);
    assert_eq!(wrong_slot(&queued, true, Some(true)), None, "it has not been told yet");
    assert!(wrong_slot(&queued, true, None).is_some());
    for without in [
        state(StateType::Scheduled, "Scheduled"),
        state(StateType::Paused, "Paused"),
        state(StateType::Completed, "Completed"),
    ] {
        assert_eq!(wrong_slot(&without, true, None), None);
        for slot in [Some(true), Some(false)] {
            let wrong = wrong_slot(&without, true, slot).expect("told");
            assert!(wrong.contains(without.name), "{wrong}");
        }
    }
}

#[test]
fn a_message_stays_until_it_is_withdrawn() {
    let send = |attempt, key: &str, op, keep| OpenSend {
        id: SendId(1),
        run: FlowRunId(uuid::Uuid::nil()),
        node: NodeId::task(0),
        attempt,
        key: key.to_owned(),
        op,
        keep,
        sent_at: None,
    };
    let message = Op::Signal("stands for a message".to_owned());
    let task = send(1, "task", message, false);
    let cancel = |attempt, key: &str| send(attempt, "cancel", Op::Cancel(key.to_owned()), true);
    assert!(is_left_over(&task, std::slice::from_ref(&task)));
    assert!(is_left_over(
        &task,
        &[task.clone(), cancel(1, "other"), cancel(2, "task")]
    ));
    assert!(!is_left_over(&task, &[task.clone(), cancel(1, "task")]));
    assert!(!is_left_over(&cancel(1, "task"), &[task]), "it is to be done");
}

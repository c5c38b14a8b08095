//! A world for a run: a shell that does what is due, badly.

mod luck;
mod promises;

use std::collections::BTreeMap;
use std::sync::Arc;

use grepx_engine::{
    Command, Definition, Due, ErrorClass, Event, Fact, FlowRunId, Json, Mark, NodeId, Op, Outcome, Prepared, Record,
    Retry, Run, Snapshot, StateType, Step, Suspended, Task, TaskError, Timestamp, Verdict, Wake,
};
use uuid::Uuid;

use luck::definition;
pub(crate) use luck::{Luck, Rng};
pub(crate) use promises::Seen;

pub(crate) struct Simulation {
    rng: Rng,
    luck: Luck,
    now: Timestamp,
    run: Run,
    mark: Mark,
    log: Vec<Record>,
    /// Answers on their way.
    mail: Vec<Event>,
    old_mail: Vec<Event>,
    attempts: BTreeMap<NodeId, u32>,
    seen: Seen,
}

const STEPS_MAX: usize = 20_000;

fn number(value: u64) -> Json {
    Json::from(&serde_json::json!(value))
}

impl Simulation {
    pub(crate) fn new(seed: u64, luck: Luck) -> Self {
        let mut rng = Rng::new(seed ^ 0xABCD);
        let definition = definition(&mut rng);
        let now = Timestamp(1_000_000);
        let mut run = Run::new(FlowRunId(Uuid::from_u128(u128::from(seed))), definition);
        let start_at = if rng.percent(30) {
            now.plus_ms(rng.below(500))
        } else {
            now
        };
        let log = run.schedule(start_at, now);
        Self {
            rng,
            luck,
            now,
            run,
            mark: Mark::default(),
            log,
            mail: Vec::new(),
            old_mail: Vec::new(),
            attempts: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    pub(crate) fn run(mut self) -> Seen {
        for _ in 0..STEPS_MAX {
            if self.run.is_finished() {
                self.check_end();
                if !self.goes_on() {
                    return self.seen;
                }
            }
            self.dispatch();
            self.misfortune();
            self.deliver();
        }
        panic!(
            "stuck in {:?} with due {:?}",
            self.run.state(),
            self.run.due(Mark::default())
        );
    }

    /// Does what is due since the last look, and now and then everything once more.
    fn dispatch(&mut self) {
        let sweep = self.rng.percent(20);
        let after = if sweep { Mark::default() } else { self.mark };
        let (due, mark) = self.run.due(after);
        self.mark = mark;
        for due in due {
            if let Some(event) = self.answer(&due) {
                if self.rng.percent(self.luck.lost) {
                    continue;
                }
                if self.rng.percent(self.luck.doubled) {
                    self.mail.push(event.clone());
                }
                self.mail.push(event);
            }
        }
    }

    fn answer(&mut self, due: &Due) -> Option<Event> {
        Some(match due {
            Due::Slot => Event::Admitted,
            Due::Prepare { node } => Event::Prepared {
                node: *node,
                renewals: self.run.renewals(),
                prepared: self.prepare(*node),
            },
            Due::Call { node, attempt, step } => {
                let call = self.run.call(*node).expect("a due call can be made");
                assert_eq!((call.attempt, call.step), (*attempt, *step));
                assert_eq!(call.resume.is_some(), *step > 0);
                Event::Answered {
                    node: *node,
                    attempt: *attempt,
                    step: *step,
                    answer: self.step(*step),
                    // Another build from step to step, as after a swap.
                    build: (step % 2 == 0).then(|| format!("{step:064x}").into()),
                }
            }
            Due::Judge { node, attempt } => {
                let (failed, _, _) = self.run.failure(*node).expect("a failure to judge");
                assert_eq!(failed, *attempt);
                Event::Judged {
                    node: *node,
                    attempt: *attempt,
                    verdict: match self.rng.below(3) {
                        0 if *attempt < 5 => Verdict::RetryInMs(self.rng.below(200)),
                        _ => Verdict::GiveUp("enough".to_owned()),
                    },
                }
            }
            Due::Stop { node, attempt, .. } => {
                assert!(self.run.stopping(*node).is_some());
                Event::Stopped {
                    node: *node,
                    attempt: *attempt,
                    commands: Vec::new(),
                }
            }
            Due::Watch { node, attempt, key } => {
                assert!(self.run.watched(*node, *attempt, key).is_some());
                Event::Outcome {
                    node: *node,
                    attempt: *attempt,
                    key: key.clone(),
                    outcome: Outcome::Reply(b"value".to_vec().into()),
                }
            }
        })
    }

    fn prepare(&mut self, node: NodeId) -> Prepared {
        let mapped = self.run.definition().task(node.task).for_each.is_some() && node.index.is_none();
        match self.rng.below(20) {
            0 => Prepared::Skip {
                why: "run_if is false".to_owned(),
            },
            1 => Prepared::Invalid(TaskError::new(ErrorClass::InvalidInput, "bad", "bad")),
            _ if mapped => Prepared::Map {
                items: (0..self.rng.below(5)).map(number).collect(),
            },
            _ => Prepared::Run {
                input: number(1),
                limit_ms: self.rng.percent(50).then(|| 1 + self.rng.below(1_000)),
            },
        }
    }

    fn step(&mut self, step: u32) -> Step {
        if self.rng.percent(self.luck.fails) {
            return Step::Failed(TaskError::new(ErrorClass::Retryable, "bad", "bad luck"));
        }
        if step > 6 || !self.rng.percent(self.luck.suspends) {
            return Step::Done(number(u64::from(step)));
        }
        let reply = Command {
            key: format!("reply{step}"),
            op: Op::Reply {
                connection: "c".into(),
                key: "k".into(),
            },
        };
        let timer = Command {
            key: format!("timer{step}"),
            op: Op::TimerAt(self.now.plus_ms(self.rng.below(300))),
        };
        let keys = vec![reply.key.clone(), timer.key.clone()];
        Step::Suspended(Suspended {
            state: Snapshot {
                version: 1,
                data: vec![1, 2, 255].into(),
            },
            commands: vec![reply, timer],
            wake: if self.rng.percent(50) {
                Wake::Any(keys)
            } else {
                Wake::All(keys)
            },
            status: Some("waits".to_owned()),
        })
    }

    fn misfortune(&mut self) {
        if self.rng.percent(self.luck.restarts) {
            self.restart();
        }
        if self.rng.percent(self.luck.pauses) {
            self.mail.push(Event::Pause);
        }
        if matches!(self.run.state().state_type, StateType::Paused) {
            self.mail.push(Event::Resume);
        }
        if self.rng.percent(self.luck.cancels) {
            self.mail.push(Event::Cancel {
                reason: "enough".to_owned(),
            });
        }
        if self.rng.percent(self.luck.marks)
            && let Some(node) = self.some_node()
        {
            self.mail.push(self.mark(node));
        }
        if self.rng.percent(self.luck.doubled) && !self.old_mail.is_empty() {
            let again = self.rng.below(self.old_mail.len() as u64) as usize;
            self.mail.push(self.old_mail[again].clone());
        }
    }

    /// Somebody asks that an ended run goes on. Answers of the rounds before are still on their way.
    fn goes_on(&mut self) -> bool {
        let wanted = u64::from(ROUNDS_MAX.saturating_sub(self.run.round())) * self.luck.retries;
        if !self.rng.percent(wanted / u64::from(ROUNDS_MAX)) {
            return false;
        }
        let before = self.run.clone();
        let node = self.some_node();
        let start_at = self.now.plus_ms(self.rng.below(3) * self.rng.below(200));
        let event = match (self.rng.below(5), node) {
            (0, Some(NodeId { task, .. })) => retry(Retry::From(task), start_at),
            (1, Some(NodeId { task, .. })) => retry(Retry::Only(task), start_at),
            (2, Some(node)) => self.mark(node),
            (3, _) => retry(Retry::All, start_at),
            _ => retry(Retry::Failed, start_at),
        };
        self.take(&event);
        if self.run.is_finished() {
            assert_eq!(before, self.run, "what is refused changes nothing");
            return false;
        }
        self.check_reopened(&before, &event);
        true
    }

    fn some_node(&mut self) -> Option<NodeId> {
        let tasks = self.run.definition().tasks.len() as u64;
        let task = self.rng.below(tasks.max(1)) as u32;
        let items = u64::from(self.run.items(task).unwrap_or(0));
        match items {
            _ if tasks == 0 => None,
            0 => Some(NodeId::task(task)),
            _ => Some(NodeId::item(task, self.rng.below(items) as u32)),
        }
    }

    fn mark(&self, node: NodeId) -> Event {
        Event::MarkDone {
            node,
            note: "done by hand".to_owned(),
            result: Json::null(),
        }
    }

    /// Memory is lost, answers on their way too; the log is not.
    fn restart(&mut self) {
        let replayed = self.replayed();
        assert_eq!(replayed, self.run, "replay equals live");
        self.run = replayed;
        self.mark = Mark::default();
        self.mail.clear();
    }

    fn replayed(&self) -> Run {
        let log: Vec<Record> = self.log.iter().map(through_json).collect();
        Run::replay(self.run.id(), self.run.definition().clone(), log)
    }

    fn deliver(&mut self) {
        if self.mail.is_empty() || self.rng.percent(20) {
            self.now = match self.run.next_timer(self.now) {
                Some(at) if at > self.now => at,
                _ => self.now.plus_ms(1),
            };
            self.take(&Event::Tick);
            return;
        }
        let next = self.rng.below(self.mail.len() as u64) as usize;
        let event = self.mail.swap_remove(next);
        self.old_mail.push(event.clone());
        self.take(&event);
    }

    fn take(&mut self, event: &Event) {
        let before = self.run.clone();
        match self.run.apply(event, self.now) {
            Ok(records) => {
                let mut state = before;
                for record in &records {
                    self.check(&state, record);
                    state.fold(record);
                }
                assert_eq!(state, self.run);
                self.log.extend(records);
            }
            Err(_) => assert_eq!(before, self.run, "a refused event changes nothing"),
        }
    }
}

/// Times that one run is reopened at most.
const ROUNDS_MAX: u32 = 4;

fn retry(what: Retry, start_at: Timestamp) -> Event {
    Event::Retry { what, start_at }
}

fn through_json(record: &Record) -> Record {
    let text = serde_json::to_string(&record.fact).expect("a fact is JSON");
    let mut fact: Fact = serde_json::from_str(&text).expect("and back");
    match (&mut fact, &record.fact) {
        (Fact::Succeeded { result, .. }, Fact::Succeeded { result: live, .. })
        | (Fact::MarkedDone { result, .. }, Fact::MarkedDone { result: live, .. }) => result.clone_from(live),
        _ => {}
    }
    assert_eq!(fact, record.fact);
    Record {
        seq: record.seq,
        at: record.at,
        fact,
    }
}

/// Runs `layers` × `width` tasks, each layer after the one before; returns the number of facts.
pub(crate) fn run_grid(layers: usize, width: usize) -> usize {
    let mut tasks = Vec::new();
    for layer in 0..layers {
        for place in 0..width {
            let mut task = Task::new(format!("{layer}/{place}"), "kind");
            if layer > 0 {
                task.upstreams.push(((layer - 1) * width + place) as u32);
            }
            tasks.push(task);
        }
    }
    let definition = Arc::new(Definition::new("grid", None, tasks).expect("a grid is a DAG"));
    let now = Timestamp(0);
    let mut run = Run::new(FlowRunId(Uuid::nil()), definition);
    let mut facts = run.schedule(now, now).len() - 1;
    let mut mark = Mark::default();
    let mut looked_at = 0;
    while !run.is_finished() {
        let (due, next) = run.due(mark);
        mark = next;
        looked_at += due.len();
        for due in due {
            let event = match due {
                Due::Slot => Event::Admitted,
                Due::Prepare { node } => Event::Prepared {
                    node,
                    renewals: 0,
                    prepared: Prepared::Run {
                        input: Json::null(),
                        limit_ms: None,
                    },
                },
                Due::Call { node, attempt, step } => Event::Answered {
                    node,
                    attempt,
                    step,
                    answer: Step::Done(Json::null()),
                    build: None,
                },
                other => panic!("unexpected {other:?}"),
            };
            facts += run.apply(&event, now).expect("every answer is current").len();
        }
    }
    assert_eq!(looked_at, 1 + 2 * layers * width, "every command is looked at once");
    facts
}

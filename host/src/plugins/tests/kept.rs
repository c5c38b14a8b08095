//! Instances that answer several calls, and what ends them.

use super::*;

/// Answers how many calls its memory has seen; logs "{}" each time, and traps in the fourth.
const COUNTING: &str = "(i32.store8 (i32.const 8192) (i32.add (i32.load8_u (i32.const 8192)) (i32.const 1))) \
    (call $log (i32.const 2) (i32.const 8192) (i32.const 1)) \
    (if (i32.eq (i32.load8_u (i32.const 8192)) (i32.const 52)) (then (unreachable))) \
    (i32.store8 (i32.const 0) (i32.const 0)) \
    (i32.store (i32.const 8) (i32.const 8192)) (i32.store (i32.const 12) (i32.const 1)) (i32.const 0)";

async fn counting(calls_per_instance: u32) -> (Plugins, Place) {
    let place = Place::new();
    let guest = Guest {
        run: COUNTING,
        data: "0",
        ..Guest::default()
    };
    guest.write(&place.plugins(), "guest.wasm");
    let mut settings = place.settings();
    settings.calls_per_instance = calls_per_instance;
    let (plugins, problems) = Plugins::load(settings).await.expect("plugins start");
    assert_eq!(problems, []);
    (plugins, place)
}

/// What `calls` calls say, one after the other.
async fn said(plugins: &Plugins, calls: usize) -> Vec<String> {
    let mut answers = Vec::new();
    for _ in 0..calls {
        let lines = Arc::new(Lines::default());
        let answer = plugins.run_activity("guest", &ctx(), &empty(), lines.clone()).await;
        answers.push(match answer {
            Ok(Step::Done(json)) => json.as_str().to_owned(),
            Err(Failure::Trapped { .. }) => "trapped".to_owned(),
            other => panic!("{other:?}"),
        });
        let logged = lines.0.lock().expect("not poisoned").len();
        assert_eq!(logged, 1, "the line of this call is in its log, and no other");
    }
    answers
}

#[tokio::test]
async fn a_call_sees_nothing_of_the_one_before() {
    let (plugins, _place) = counting(1).await;
    assert_eq!(said(&plugins, 3).await, ["1", "1", "1"]);
}

#[tokio::test]
async fn an_instance_answers_as_many_calls_as_it_may() {
    let (plugins, _place) = counting(2).await;
    assert_eq!(said(&plugins, 5).await, ["1", "2", "1", "2", "1"]);
}

#[tokio::test]
async fn an_instance_that_trapped_is_never_used_again() {
    let (plugins, _place) = counting(100).await;
    assert_eq!(said(&plugins, 6).await, ["1", "2", "3", "trapped", "1", "2"]);
}

#[tokio::test]
async fn an_instance_that_nobody_calls_goes() {
    let (plugins, _place) = counting(100).await;
    assert_eq!(said(&plugins, 2).await, ["1", "2"]);
    plugins.collect(std::collections::HashSet::new()).await;
    assert_eq!(said(&plugins, 1).await, ["3"], "it was used since the look before");
    plugins.collect(std::collections::HashSet::new()).await;
    plugins.collect(std::collections::HashSet::new()).await;
    assert_eq!(said(&plugins, 1).await, ["1"]);
}

#[tokio::test]
async fn another_build_never_gets_the_memory_of_this_one() {
    let (plugins, place) = counting(100).await;
    assert_eq!(said(&plugins, 2).await, ["1", "2"]);
    let guest = Guest {
        run: COUNTING,
        data: "0 ",
        ..Guest::default()
    };
    let path = guest.write(&place.plugins(), "guest.wasm");
    plugins.install(&path).await.expect("it loads");
    assert_eq!(said(&plugins, 1).await, ["1"]);
}

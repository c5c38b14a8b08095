use grepx_plugin_sdk::testing;

use super::*;

fn ask(attempt: u32, failure: &Error, config: Value) -> Verdict {
    let ctx = Ctx {
        attempt,
        ..Ctx::for_tests()
    };
    let config = serde_json::from_value(config).expect("the test's configuration reads");
    Retry::on_failure(&ctx, failure, config)
}

fn outage() -> Error {
    Error::retryable("http-503", "the service is away")
}

#[test]
fn the_seeds_configuration_retries_three_times_after_thirty_seconds() {
    let config = json!({ "max_retries": 3, "retry_delay_seconds": 30 });
    for attempt in 1..=3 {
        assert_eq!(ask(attempt, &outage(), config.clone()), Verdict::RetryIn(30_000));
    }
    assert_eq!(ask(4, &outage(), config), Verdict::GiveUp("3 of 3 retries used".into()));
}

#[test]
fn without_a_configuration_nothing_is_retried() {
    assert_eq!(
        ask(1, &outage(), json!({})),
        Verdict::GiveUp("no retries are configured".into())
    );
}

#[test]
fn the_failure_can_raise_the_delay_even_over_the_longest_but_not_lower_it() {
    let config = json!({ "max_retries": 1, "retry_delay_seconds": 5, "max_delay_seconds": 10 });
    assert_eq!(
        ask(1, &outage().retry_after_ms(60_000), config.clone()),
        Verdict::RetryIn(60_000)
    );
    assert_eq!(ask(1, &outage().retry_after_ms(1000), config), Verdict::RetryIn(5000));
}

#[test]
fn a_failure_that_is_not_retried_gives_up_at_once() {
    let config = json!({ "max_retries": 3, "never_retry_on": ["http-503"] });
    let Verdict::GiveUp(why) = ask(1, &outage(), config) else {
        panic!("gives up")
    };
    assert_eq!(why, "http-503 is not retried: never_retry_on names it");
}

#[test]
fn the_same_step_draws_the_same_delay() {
    let config = json!({ "max_retries": 9, "retry_delay_seconds": 9, "backoff": "full_jitter" });
    assert_eq!(ask(2, &outage(), config.clone()), ask(2, &outage(), config));
}

#[test]
fn null_is_the_default_where_prefect_writes_it() {
    let config = json!({ "max_retries": 1, "retry_jitter_factor": null, "retry_on": null, "backoff": null,
        "never_retry_on": null, "max_delay_seconds": null, "max_total_seconds": null });
    assert_eq!(testing::problems(&Plugin::describe()[0].input_schema, &config), [""; 0]);
    assert_eq!(ask(1, &outage(), config), Verdict::RetryIn(0));
    let nothing = json!({ "max_retries": null, "retry_delay_seconds": null, "backoff_factor": null });
    assert_eq!(
        testing::problems(&Plugin::describe()[0].input_schema, &nothing),
        [""; 0]
    );
    assert_eq!(
        ask(1, &outage(), nothing),
        Verdict::GiveUp("no retries are configured".into())
    );
}

#[test]
fn a_budget_ends_the_retries_that_would_begin_after_it() {
    let ask = |elapsed_ms: u64, failure: &Error, budget: f64| {
        let ctx = Ctx::for_tests();
        let started = (ctx.now_ms - elapsed_ms).to_string();
        let config = json!({ "max_retries": 9, "retry_delay_seconds": 30, "max_total_seconds": budget });
        let config = serde_json::from_value(config).expect("the test's configuration reads");
        Retry::on_failure(&ctx.with_meta("first-attempt-ms", &started), failure, config)
    };
    assert_eq!(ask(10_000, &outage(), 40.0), Verdict::RetryIn(30_000));
    assert_eq!(
        ask(10_001, &outage(), 40.0),
        Verdict::GiveUp("the next attempt would begin 41 s after the first one, max_total_seconds is 40".into())
    );
    let busy = outage().retry_after_ms(60_000);
    assert!(
        matches!(ask(0, &busy, 59.5), Verdict::GiveUp(_)),
        "also when the failure asks to wait"
    );
    assert_eq!(ask(0, &busy, 60.0), Verdict::RetryIn(60_000));
}

#[test]
fn without_knowing_the_first_attempt_the_budget_is_left_alone_and_said_so() {
    let _ = log::taken();
    let config = json!({ "max_retries": 1, "max_total_seconds": 0 });
    assert_eq!(ask(1, &outage(), config), Verdict::RetryIn(0));
    assert!(log::taken()[0].1.contains("max_total_seconds is not looked at"));
}

#[test]
fn a_value_out_of_range_never_retries_and_says_why() {
    for (config, why) in [
        (
            json!({ "retry_delay_seconds": -1 }),
            "retry_delay_seconds is -1; it must be between 0 and",
        ),
        (
            json!({ "retry_delay_seconds": [1, 1e12] }),
            "retry_delay_seconds is 1000000000000",
        ),
        (
            json!({ "retry_delay_seconds": vec![1; 2000] }),
            "retry_delay_seconds has 2000 delays",
        ),
        (
            json!({ "backoff_factor": 0.5 }),
            "backoff_factor is 0.5; it must be between 1 and",
        ),
        (json!({ "retry_jitter_factor": -0.1 }), "retry_jitter_factor is -0.1"),
        (json!({ "max_delay_seconds": -3 }), "max_delay_seconds is -3"),
        (json!({ "max_total_seconds": -3 }), "max_total_seconds is -3"),
        (
            json!({ "retry_on": ["ValueError", " "] }),
            "retry_on holds an empty name",
        ),
        (
            json!({ "never_retry_on": vec!["x"; 300] }),
            "never_retry_on has 300 names",
        ),
    ] {
        let mut config = config;
        config["max_retries"] = json!(3);
        let schema = &Plugin::describe()[0].input_schema;
        assert!(
            !testing::problems(schema, &config).is_empty(),
            "{config} fits the schema"
        );
        let Verdict::GiveUp(said) = ask(1, &outage(), config.clone()) else {
            panic!("{config} retries")
        };
        assert!(
            said.starts_with("the task's retry_config does not fit: ") && said.contains(why),
            "{said}"
        );
    }
}

#[test]
fn the_schema_checks_the_known_keys_and_leaves_others_alone() {
    let described = Plugin::describe();
    testing::check(&described);
    let schema = &described[0].input_schema;
    let fits = [
        json!({}),
        json!({ "max_retries": 3, "retry_delay_seconds": [1, 2.5], "note": "ours" }),
        json!({ "retry_jitter_factor": null, "backoff": "full_jitter", "retry_on": ["ValueError"] }),
    ];
    for config in fits {
        assert_eq!(testing::problems(schema, &config), [""; 0], "{config}");
    }
    for (config, at) in [
        (json!({ "max_retries": -1 }), "/max_retries: "),
        (json!({ "max_retries": "3" }), "/max_retries: "),
        (json!({ "retry_delay_seconds": "30" }), "/retry_delay_seconds: "),
        (json!({ "backoff": "linear" }), "/backoff: "),
        (json!({ "never_retry_on": "ValueError" }), "/never_retry_on: "),
    ] {
        let problems = testing::problems(schema, &config);
        assert!(
            problems.first().is_some_and(|it| it.starts_with(at)),
            "{config}: {problems:?}"
        );
        assert!(
            serde_json::from_value::<Config>(config.clone()).is_err(),
            "{config} reads"
        );
    }
}

use serde::Deserialize;

use super::*;

struct Once;

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    wait: u64,
}

impl Policy for Once {
    const KIND: &'static str = "once";
    const SUMMARY: &'static str = "One retry";
    type Config = Config;

    fn config_schema() -> Value {
        json!({ "type": "object" })
    }

    fn on_failure(ctx: &Ctx, failure: &Error, config: Config) -> Verdict {
        match ctx.attempt {
            1 => Verdict::RetryIn(config.wait),
            _ => Verdict::GiveUp(format!("{} again", failure.code)),
        }
    }
}

crate::export_policy!(Once);

fn ask(attempt: u32, config: &str) -> raw::Verdict {
    let ctx = Ctx {
        attempt,
        ..Ctx::for_tests()
    };
    on_failure::<Once>(&ctx, Error::retryable("e", "m").into(), config.as_bytes())
}

#[test]
fn a_row_without_a_config_has_the_defaults() {
    for absent in ["", "null", "{}"] {
        assert!(matches!(ask(1, absent), raw::Verdict::RetryIn(0)), "{absent}");
    }
    assert!(matches!(ask(1, r#"{"wait":5}"#), raw::Verdict::RetryIn(5)));
    assert!(matches!(ask(2, "{}"), raw::Verdict::GiveUp(why) if why == "e again"));
}

#[test]
fn a_config_that_does_not_fit_gives_up_and_names_the_member() {
    let raw::Verdict::GiveUp(why) = ask(1, r#"{"wait":"5"}"#) else {
        panic!("gives up")
    };
    assert!(why.contains("retry_config does not fit: wait: "), "{why}");
}

#[test]
fn zero_seconds_or_none_mean_no_limit() {
    let ctx = Ctx::for_tests();
    assert_eq!(time_limit::<Once>(&ctx, Some(300), b"{}"), Some(300_000));
    assert_eq!(time_limit::<Once>(&ctx, Some(0), b"{}"), None);
    assert_eq!(time_limit::<Once>(&ctx, None, b"{}"), None);
    assert_eq!(time_limit::<Once>(&ctx, Some(2), br#"{"wait":-1}"#), Some(2000));
    assert_eq!(Plugin::describe()[0].kind, "once");
}

use grepx_plugin_sdk::testing;

use super::*;

fn judged(attempt: u32, failure: &Error) -> Verdict {
    let ctx = Ctx {
        attempt,
        ..Ctx::for_tests()
    };
    let config = json!({ "max_retries": 2, "first_delay_seconds": 3 });
    testing::judge::<kind_name>(&ctx, failure, &config)
}

#[test]
fn it_would_load() {
    testing::check(&Plugin::describe());
}

#[test]
fn every_wait_is_twice_as_long_and_they_end() {
    let away = Error::retryable("away", "nobody is there");
    assert_eq!(judged(1, &away), Verdict::RetryIn(3000));
    assert_eq!(judged(2, &away), Verdict::RetryIn(6000));
    assert_eq!(judged(3, &away), Verdict::GiveUp("failed 3 times".into()));
    assert_eq!(judged(1, &away.retry_after_ms(9000)), Verdict::RetryIn(9000));
}

#[test]
fn what_is_wrong_stays_wrong() {
    let wrong = Error::permanent("wrong", "no");
    assert_eq!(judged(1, &wrong), Verdict::GiveUp("wrong will not get better by itself".into()));
}

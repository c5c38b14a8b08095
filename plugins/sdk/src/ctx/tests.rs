use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, Deserialize)]
struct Settings {
    #[serde(default)]
    limits: std::collections::BTreeMap<String, u32>,
}

#[test]
fn settings_name_the_field_that_is_wrong() {
    let ctx = Ctx::for_tests().with_settings(json!({ "limits": { "gpu": "many" } }));
    let error = ctx.settings::<Settings>().expect_err("a text is no number");
    assert!(error.message.contains("limits.gpu"), "{}", error.message);

    let fine = Ctx::for_tests().with_settings(json!({ "limits": { "gpu": 2 } }));
    assert_eq!(fine.settings::<Settings>().expect("fits").limits["gpu"], 2);
}

#[test]
fn remaining_time_never_goes_below_zero() {
    let mut ctx = Ctx::for_tests();
    assert_eq!(ctx.remaining(), None);
    ctx.deadline_ms = Some(ctx.now_ms + 1500);
    assert_eq!(ctx.remaining(), Some(Duration::from_millis(1500)));
    ctx.deadline_ms = Some(ctx.now_ms - 1);
    assert_eq!(ctx.remaining(), Some(Duration::ZERO));
}

#[test]
fn chance_repeats_with_the_step_and_differs_between_steps() {
    let ctx = Ctx::for_tests();
    let draw = |mut rng: Rng| [rng.next_u64(), rng.next_u64()];
    assert_eq!(draw(ctx.rng()), draw(ctx.rng()));
    assert_ne!(draw(ctx.rng()), draw(Rng::seeded(ctx.seed + 1)));
}

#[test]
fn fractions_stay_in_range_and_spread() {
    let mut rng = Rng::seeded(1);
    let drawn: Vec<f64> = (0..1000).map(|_| rng.fraction()).collect();
    assert!(drawn.iter().all(|x| (0.0..1.0).contains(x)));
    let mean = drawn.iter().sum::<f64>() / 1000.0;
    assert!((0.45..0.55).contains(&mean), "{mean}");
}

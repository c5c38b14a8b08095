use super::*;

fn delays(config: &Config) -> Vec<u64> {
    (0..5)
        .map(|used| before_retry(used, config, &mut Rng::seeded(1)))
        .collect()
}

#[test]
fn a_list_repeats_its_last() {
    let list = |seconds: &[f64]| Config {
        retry_delay_seconds: Delays::List(seconds.to_vec()),
        ..Config::default()
    };
    assert_eq!(
        delays(&list(&[1.0, 10.0, 60.0])),
        [1000, 10_000, 60_000, 60_000, 60_000]
    );
    assert_eq!(delays(&list(&[])), [0; 5]);
}

#[test]
fn exponential_grows_up_to_the_longest_delay() {
    let config = Config {
        retry_delay_seconds: Delays::One(1.5),
        backoff: Some(Backoff::Exponential),
        max_delay_seconds: Some(10.0),
        ..Config::default()
    };
    assert_eq!(delays(&config), [1500, 3000, 6000, 10_000, 10_000]);
    let config = Config {
        backoff_factor: Some(10.0),
        max_delay_seconds: Some(1e9),
        ..config
    };
    assert_eq!(delays(&config)[..3], [1500, 15_000, 150_000]);
}

#[test]
fn a_delay_that_is_configured_as_such_is_cut_only_by_a_configured_limit() {
    let two_hours = Config {
        retry_delay_seconds: Delays::One(7200.0),
        ..Config::default()
    };
    assert_eq!(delays(&two_hours), [7_200_000; 5]);
    let growing = Config {
        backoff: Some(Backoff::Exponential),
        ..two_hours.clone()
    };
    assert_eq!(delays(&growing), [7_200_000; 5]);
    let limited = Config {
        max_delay_seconds: Some(60.0),
        ..two_hours
    };
    assert_eq!(delays(&limited), [60_000; 5]);
}

#[test]
fn no_number_of_retries_overflows() {
    let at_once = Config {
        backoff: Some(Backoff::Exponential),
        ..Config::default()
    };
    assert_eq!(before_retry(u32::MAX, &at_once, &mut Rng::seeded(1)), 0);

    let config = Config {
        retry_delay_seconds: Delays::One(1.0),
        backoff: Some(Backoff::Exponential),
        ..Config::default()
    };
    assert_eq!(before_retry(u32::MAX, &config, &mut Rng::seeded(1)), 3_600_000);
}

#[test]
fn full_jitter_stays_below_the_exponential_delay_and_spreads() {
    let config = Config {
        retry_delay_seconds: Delays::One(1.0),
        backoff: Some(Backoff::FullJitter),
        ..Config::default()
    };
    let drawn: Vec<u64> = (0..200)
        .map(|seed| before_retry(2, &config, &mut Rng::seeded(seed)))
        .collect();
    assert!(drawn.iter().all(|&ms| ms <= 4000), "{drawn:?}");
    assert!(
        drawn.iter().any(|&ms| ms < 1000) && drawn.iter().any(|&ms| ms > 3000),
        "{drawn:?}"
    );
}

#[test]
fn prefects_jitter_only_lengthens() {
    let config = Config {
        retry_delay_seconds: Delays::One(10.0),
        retry_jitter_factor: Some(0.5),
        ..Config::default()
    };
    let drawn: Vec<u64> = (0..200)
        .map(|seed| before_retry(0, &config, &mut Rng::seeded(seed)))
        .collect();
    assert!(drawn.iter().all(|ms| (10_000..=15_000).contains(ms)), "{drawn:?}");
    assert!(drawn.iter().any(|&ms| ms > 14_000), "{drawn:?}");
}

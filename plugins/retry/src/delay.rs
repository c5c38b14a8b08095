//! How long to wait before a retry, without what the failure itself asks for.

use grepx_plugin_sdk::Rng;

use crate::config::{Backoff, Config, Delays};

/// Growth stops here by default; a longer delay that is configured as such stays.
const LONGEST_GROWN_SECONDS: f64 = 3600.0;

const DEFAULT_FACTOR: f64 = 2.0;

/// Milliseconds before the retry after `used` earlier ones.
pub(crate) fn before_retry(used: u32, config: &Config, rng: &mut Rng) -> u64 {
    let base = base_seconds(used, &config.retry_delay_seconds);
    // Bounded, because zero times infinity is not a number.
    let grown = base
        * config
            .backoff_factor
            .unwrap_or(DEFAULT_FACTOR)
            .powf(f64::from(used))
            .min(f64::MAX);
    let ceiling = |default: f64| config.max_delay_seconds.unwrap_or(default);
    let (delay, longest) = match config.backoff.unwrap_or(Backoff::Fixed) {
        Backoff::Fixed => (base, ceiling(f64::INFINITY)),
        Backoff::Exponential => (grown, ceiling(base.max(LONGEST_GROWN_SECONDS))),
        Backoff::FullJitter => {
            let longest = ceiling(base.max(LONGEST_GROWN_SECONDS));
            (grown.min(longest) * rng.fraction(), longest)
        }
    };
    let jitter = 1.0 + rng.fraction() * config.retry_jitter_factor.unwrap_or(0.0);
    // The conversion saturates: what is negative becomes 0.
    ((delay * jitter).min(longest) * 1000.0).round() as u64
}

fn base_seconds(used: u32, delays: &Delays) -> f64 {
    match delays {
        Delays::One(seconds) => *seconds,
        Delays::List(list) => {
            let nth = usize::try_from(used).unwrap_or(usize::MAX);
            *list.get(nth).or_else(|| list.last()).unwrap_or(&0.0)
        }
    }
}

#[cfg(test)]
mod tests;

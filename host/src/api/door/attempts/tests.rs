use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::{ADDRESSES_MAX, Attempts, WINDOW, WRONG_MAX};

fn address(n: u32) -> IpAddr {
    Ipv4Addr::from(n).into()
}

#[test]
fn after_too_many_wrong_ones_an_address_waits_and_others_do_not() {
    let attempts = Attempts::default();
    let start = Instant::now();
    for _ in 0..WRONG_MAX {
        assert_eq!(attempts.wait(address(1), start), None);
        attempts.wrong(address(1), start);
    }
    let later = start + Duration::from_secs(20);
    assert_eq!(attempts.wait(address(1), later), Some(WINDOW - Duration::from_secs(20)));
    assert_eq!(attempts.wait(address(2), later), None);
    assert_eq!(attempts.wait(address(1), start + WINDOW), None);
    attempts.wrong(address(1), start + WINDOW);
    assert_eq!(attempts.wait(address(1), start + WINDOW), None, "it begins anew");
}

#[test]
fn what_is_remembered_is_bounded() {
    let attempts = Attempts::default();
    let start = Instant::now();
    for n in 0..10_000 {
        attempts.wrong(address(n), start + Duration::from_millis(n.into()));
    }
    assert_eq!(attempts.0.lock().expect("no panic").len(), ADDRESSES_MAX);
}

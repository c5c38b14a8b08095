use super::*;

fn tally(completed: u32, failed: u32, skipped: u32) -> Tally {
    Tally {
        completed,
        failed,
        skipped,
    }
}

/// w = wait, r = run, s = skip, f = upstream failed; for two upstreams.
#[test]
fn two_upstreams_in_every_mixture() {
    use TriggerRule::*;
    let mixtures = [
        (0, 0, 0),
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        (2, 0, 0),
        (1, 1, 0),
        (1, 0, 1),
        (0, 2, 0),
        (0, 1, 1),
        (0, 0, 2),
    ];
    for (rule_of, expected) in [
        (AllSuccess, "wwfsrfsffs"),
        (AllDone, "wwwwrrrrrr"),
        (OneSuccess, "wrwwrrrffs"),
        (OneFailed, "wwrwsrsrrs"),
        (NoneFailed, "wwfwrfrffr"),
        (Always, "wwwwrrrrrr"),
    ] {
        let got: String = mixtures
            .iter()
            .map(|&(c, f, s)| match rule(rule_of, tally(c, f, s), 2) {
                Ruling::Wait => 'w',
                Ruling::Run => 'r',
                Ruling::Skip(Skip::UpstreamFailed(_)) => 'f',
                Ruling::Skip(_) => 's',
            })
            .collect();
        assert_eq!(got, expected, "{rule_of:?}");
    }
}

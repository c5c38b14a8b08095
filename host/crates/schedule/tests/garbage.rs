//! Any cron text whatever gives a schedule or a refusal, and its first instants, soon enough.
//!
//! The same texts on every machine: a fixed seed. The bound on time is generous, as machines
//! are busy; what it catches is a search that does not end.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use grepx_schedule::{Schedule, Spec};

/// xorshift64*: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const RULES: [&str; 24] = [
    "0 9 * * 1-5",
    "*/15 * * * *",
    "0 0 29 2 *",
    "0 0 29 2 1",
    "0 0 L * *",
    "0 0 28-L * *",
    "0 0 13 * 5#2",
    "0 0 L 2 5#5",
    "59 23 31 12 * 59 2099",
    "* * * * * *",
    "* * * * * * *",
    "0 0 1 1 * 0 1970-2099/7",
    "0 0 29 2 * 0 2096,1972",
    "22-3/2 20-4/3 31-29/5 NOV-FEB FRI-MON",
    "@daily",
    "@yearly",
    "0 0 * * L5",
    "0 0 * * mon-fri#5",
    "0 0 29 2 0#5",
    "0 0 31 * 1#5",
    "59 59 59 59 59 59 59",
    "0 0 30 2 *",
    "? ? ? ? ?",
    "5-5 5-5 5-5 5-5 5-5 5-5",
];

const PIECES: [&str; 34] = [
    "*",
    "/",
    "-",
    ",",
    "#",
    "L",
    "l",
    "?",
    " ",
    "\t",
    "\n",
    "0",
    "1",
    "5",
    "7",
    "29",
    "31",
    "59",
    "60",
    "99999999999",
    "18446744073709551616",
    "1970",
    "2099",
    "mon",
    "DEC",
    "sun-sat",
    "@",
    "R(0-10)",
    "H",
    "W",
    "\u{0}",
    "é",
    "٣",
    "-1",
];

const ZONES: [&str; 6] = [
    "UTC",
    "America/New_York",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Sao_Paulo",
];

fn text(random: &mut Random) -> String {
    let mut text: Vec<char> = random.pick(&RULES).chars().collect();
    match random.below(5) {
        0 => {
            // Bytes of any kind.
            let bytes: Vec<u8> = (0..random.below(60)).map(|_| random.below(256) as u8).collect();
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        1 => return (0..random.below(40)).map(|_| random.pick(&PIECES)).collect(),
        2 => return text.iter().collect::<String>().repeat(1 + random.below(200)),
        _ => {}
    }
    for _ in 0..random.below(4) {
        let at = random.below(text.len() + 1);
        match random.below(3) {
            0 if at < text.len() => drop(text.remove(at)),
            _ => drop(text.splice(at..at, random.pick(&PIECES).chars().collect::<Vec<_>>())),
        }
    }
    text.into_iter().collect()
}

/// What a text may take: reading it and giving its first three instants, from any date.
const BOUND: Duration = Duration::from_millis(10);

/// Reads a rule, checks its first instants, and says whether it was one.
fn try_out(spec: &Spec, start: DateTime<Utc>) -> bool {
    match Schedule::parse(spec, None) {
        Err(refusal) => {
            assert!(refusal.to_string().len() < 1000, "{refusal}");
            false
        }
        Ok(schedule) => {
            let first: Vec<_> = schedule.from(start).take(3).collect();
            assert!(first.windows(2).all(|two| two[0] < two[1]), "{spec:?} {first:?}");
            assert!(first.iter().all(|at| *at >= start), "{spec:?} {start} {first:?}");
            assert!(!schedule.describe().is_empty());
            schedule.notes();
            true
        }
    }
}

#[test]
fn any_text_ends_in_time() {
    let mut random = Random(0xdead_beef_cafe);
    let mut taken = 0;
    let mut slowest = Duration::ZERO;
    for _ in 0..40_000 {
        let config = serde_json::json!({
            "cron": text(&mut random), "day_or": random.below(2) == 0, "timezone": random.pick(&ZONES),
        });
        let spec = Spec {
            schedule_type: "cron".to_owned(),
            config,
        };
        // 1970 to 2200.
        let start = DateTime::<Utc>::from_timestamp(random.below(7_258_118_400) as i64, 1).expect("in range");
        let time = || {
            let clock = Instant::now();
            let fine = try_out(&spec, start);
            (clock.elapsed(), fine)
        };
        let (mut best, fine) = time();
        taken += usize::from(fine);
        // A machine that was busy for once is not a slow rule.
        for _ in 0..20 {
            if best > BOUND {
                best = best.min(time().0);
            }
        }
        assert!(best <= BOUND, "{best:?} for {spec:?} from {start}");
        slowest = slowest.max(best);
    }
    println!("{taken} of 40,000 taken, the slowest in {slowest:?}");
    assert!(taken > 3000, "{taken}");
}

#[test]
fn ends_of_the_calendar_end_the_instants() {
    for rule in ["* * * * * *", "0 0 29 2 *", "0 0 L * *", "0 0 * * L5"] {
        for zone in ZONES {
            let config = serde_json::json!({"cron": rule, "timezone": zone});
            let schedule = Schedule::parse(
                &Spec {
                    schedule_type: "cron".to_owned(),
                    config,
                },
                None,
            )
            .expect("a rule");
            assert_eq!(schedule.after(DateTime::<Utc>::MAX_UTC), None);
            assert!(schedule.after(DateTime::<Utc>::MIN_UTC).is_some());
            for year in [1, 1583, 1900, 4990, 4999, 5000, 9990, 9999] {
                let start = format!("{year:04}-12-30T00:00:00Z")
                    .parse::<DateTime<Utc>>()
                    .expect("a date");
                let first: Vec<_> = schedule.from(start).take(3).collect();
                assert!(first.windows(2).all(|two| two[0] < two[1]), "{rule} {zone} {year}");
            }
        }
    }
}

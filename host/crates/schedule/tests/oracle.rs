//! Random cron rules against a clock that runs: every minute of two years in twenty zones.
//!
//! The judge shares nothing with the crate but the zones' offsets. It reads no rule: a rule is
//! made as sets together with its text. It looks for no time: each minute of the wall clock is
//! held against the sets. It knows no gap: it lets UTC run and notes when each wall-clock
//! minute is first shown; one that never is comes as late after the last one shown as it would.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use grepx_schedule::{Schedule, Spec};

const ZONES: [Tz; 20] = [
    Tz::UTC,
    Tz::America__New_York,
    Tz::America__Sao_Paulo,
    Tz::America__St_Johns,
    Tz::America__Havana,
    Tz::America__Santiago,
    Tz::America__Nuuk,
    Tz::Europe__London,
    Tz::Europe__Dublin,
    Tz::Europe__Berlin,
    Tz::Europe__Chisinau,
    Tz::Africa__Casablanca,
    Tz::Africa__Cairo,
    Tz::Asia__Kolkata,
    Tz::Asia__Kathmandu,
    Tz::Asia__Beirut,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Apia,
    Tz::Pacific__Chatham,
    Tz::Antarctica__Troll,
];

/// Minutes of the two years; years with a leap day, and with the day that Apia left out.
const MINUTES: usize = 2 * 366 * 1440;

/// xorshift64*: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit)).expect("below a small number")
    }
}

/// Some values of a field, and a text for them: a star, numbers, a range or a step.
fn field(random: &mut Random, first: u32, last: u32, star: u32) -> (Vec<u32>, String) {
    let size = last - first + 1;
    match random.below(10) {
        n if n < star => ((first..=last).collect(), "*".to_owned()),
        7 => {
            let step = 2 + random.below(size - 1);
            ((first..=last).step_by(step as usize).collect(), format!("*/{step}"))
        }
        8 => {
            let low = first + random.below(size - 1);
            let high = low + 1 + random.below(last - low);
            ((low..=high).collect(), format!("{low}-{high}"))
        }
        9 => {
            // Around the end of the field.
            let high = first + random.below(size - 1);
            let low = high + 1 + random.below(last - high);
            ((low..=last).chain(first..=high).collect(), format!("{low}-{high}"))
        }
        _ => {
            let values: Vec<u32> = (0..=random.below(3)).map(|_| first + random.below(size)).collect();
            let text = values.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            (values, text)
        }
    }
}

/// A rule as sets, and its text.
#[derive(Debug)]
struct Rule {
    text: String,
    day_or: bool,
    minutes: Vec<u32>,
    hours: Vec<u32>,
    months: Vec<u32>,
    days: Option<Vec<u32>>,
    last_day: bool,
    weekdays: Option<Vec<u32>>,
    /// The nth weekday, or the last one (0).
    nth: Option<(u32, u32)>,
}

impl Rule {
    fn random(random: &mut Random) -> Rule {
        let (minutes, minute) = field(random, 0, 59, 2);
        let (hours, hour) = field(random, 0, 23, 4);
        let (months, month) = field(random, 1, 12, 6);
        let (days, mut day) = field(random, 1, 31, 5);
        let (weekdays, mut weekday) = field(random, 0, 6, 5);
        let mut rule = Rule {
            text: String::new(),
            day_or: random.below(3) > 0,
            minutes,
            hours,
            months,
            days: (day != "*").then_some(days),
            last_day: false,
            weekdays: (weekday != "*").then_some(weekdays),
            nth: None,
        };
        match random.below(8) {
            0 => {
                rule.last_day = true;
                day = if rule.days.is_some() {
                    format!("{day},L")
                } else {
                    "L".to_owned()
                };
                rule.days.get_or_insert_default();
            }
            1 => {
                let (nth, of) = (random.below(6), random.below(7));
                rule.nth = Some((nth, of));
                rule.days = None;
                (day, weekday) = (
                    "*".to_owned(),
                    if nth == 0 {
                        format!("L{of}")
                    } else {
                        format!("{of}#{nth}")
                    },
                );
            }
            _ => {}
        }
        rule.text = format!("{minute} {hour} {day} {month} {weekday}");
        rule
    }

    fn matches(&self, wall: NaiveDateTime, month_length: u32) -> bool {
        if !self.minutes.contains(&wall.minute()) || !self.hours.contains(&wall.hour()) {
            return false;
        }
        let (day, weekday) = (wall.day(), wall.weekday().num_days_from_sunday());
        let of_month = self
            .days
            .as_ref()
            .map(|days| days.contains(&day) || self.last_day && day == month_length);
        let of_week = match (self.nth, &self.weekdays) {
            (Some((0, of)), _) => Some(weekday == of && day + 7 > month_length),
            (Some((nth, of)), _) => Some(weekday == of && (day - 1) / 7 + 1 == nth),
            (None, weekdays) => weekdays.as_ref().map(|weekdays| weekdays.contains(&weekday)),
        };
        self.months.contains(&wall.month())
            && match (of_month, of_week) {
                (Some(of_month), Some(of_week)) if self.day_or => of_month || of_week,
                (of_month, of_week) => of_month.unwrap_or(true) && of_week.unwrap_or(true),
            }
    }
}

fn first_minute(year: i32) -> NaiveDateTime {
    NaiveDate::from_ymd_opt(year, 1, 1)
        .and_then(|day| day.and_hms_opt(0, 0, 0))
        .expect("a year has a first day")
}

/// For each minute of wall-clock time the minute of UTC that it comes at, both from `base` on.
fn clock(zone: Tz, base: NaiveDateTime) -> Vec<i32> {
    let mut shown = vec![i32::MIN; MINUTES];
    for utc in -1500..MINUTES as i32 + 1500 {
        let at = base + TimeDelta::minutes(i64::from(utc));
        let offset = zone.offset_from_utc_datetime(&at).fix().local_minus_utc();
        assert_eq!(offset % 60, 0, "{zone}");
        if let Some(slot) = usize::try_from(utc + offset / 60)
            .ok()
            .and_then(|wall| shown.get_mut(wall))
            && *slot == i32::MIN
        {
            *slot = utc;
        }
    }
    for wall in 1..MINUTES {
        if shown[wall] == i32::MIN {
            shown[wall] = shown[wall - 1] + 1;
        }
    }
    shown
}

/// The minutes of wall-clock time, from `base` on, that a rule names.
fn walls(rule: &Rule, base: NaiveDateTime) -> Vec<usize> {
    let mut length = 0;
    let matches = |minute: &usize| {
        let wall = base + TimeDelta::minutes(*minute as i64);
        if wall.day() == 1 && wall.hour() == 0 && wall.minute() == 0 || length == 0 {
            length = u32::from(wall.date().num_days_in_month());
        }
        rule.matches(wall, length)
    };
    (0..MINUTES).filter(matches).collect()
}

#[test]
fn random_rules_fire_when_a_running_clock_says() {
    let mut random = Random(0x05ee_d0fc_10c4);
    for year in [2011, 2024] {
        let base = first_minute(year);
        let mut rules: Vec<(Rule, Vec<usize>)> = Vec::new();
        let mut never = String::new();
        while rules.len() < 60 {
            let rule = Rule::random(&mut random);
            let walls = walls(&rule, base);
            if schedule(&rule, Tz::UTC).is_some() {
                rules.push((rule, walls));
            } else if !walls.is_empty() && !never_by_day_of_month(&rule) {
                let _ = writeln!(never, "{rule:?}");
            }
        }
        assert!(never.is_empty(), "refused, though they fire:\n{never}");
        for (n, zone) in ZONES.into_iter().enumerate() {
            let shown = clock(zone, base);
            // Two days at the ends, where the clock of another zone is not within the two years.
            let (low, high) = (2 * 1440, MINUTES as i32 - 2 * 1440);
            for (rule, walls) in rules.iter().skip(n % 5).step_by(5) {
                let mut expected: Vec<i32> = walls.iter().map(|wall| shown[*wall]).collect();
                expected.sort_unstable();
                expected.dedup();
                expected.retain(|at| (low..high).contains(at));
                let schedule = schedule(rule, zone).expect("it was taken in UTC");
                let instant = |minute: i32| (base + TimeDelta::minutes(i64::from(minute))).and_utc();
                let ours = schedule.from(instant(low)).take_while(|at| *at < instant(high));
                let mut expected = expected.into_iter().map(instant);
                for at in ours {
                    assert_eq!(Some(at), expected.next(), "{zone} {rule:?}");
                }
                assert_eq!(expected.next(), None, "{zone} {rule:?}");
            }
        }
    }
}

/// Rules whose days of the month never come are refused, even if the weekdays would.
fn never_by_day_of_month(rule: &Rule) -> bool {
    let longest = |month: &u32| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let days = rule.days.as_deref().unwrap_or_default();
    let there = rule
        .months
        .iter()
        .any(|month| days.iter().any(|day| *day <= longest(month)));
    !rule.last_day && !days.is_empty() && !there
}

fn schedule(rule: &Rule, zone: Tz) -> Option<Schedule> {
    let config = serde_json::json!({"cron": rule.text, "day_or": rule.day_or, "timezone": zone.name()});
    Schedule::parse(
        &Spec {
            schedule_type: "cron".to_owned(),
            config,
        },
        None,
    )
    .ok()
}

#[test]
fn the_next_instant_does_not_depend_on_where_one_asks_from() {
    let mut random = Random(0x0a5e_ed0f_af7e);
    for _ in 0..300 {
        let rule = Rule::random(&mut random);
        let zone = ZONES[random.below(20) as usize];
        let Some(schedule) = schedule(&rule, zone) else {
            continue;
        };
        let base = first_minute(2010 + i32::try_from(random.below(30)).expect("small")).and_utc();
        let all: Vec<DateTime<Utc>> = schedule.from(base).take(200).collect();
        assert!(all.windows(2).all(|two| two[0] < two[1]), "{zone} {rule:?}");
        let Some(last) = all.last() else { continue };
        let span = u64::try_from((*last - base).num_seconds()).expect("it comes later");
        for _ in 0..20 {
            let at = base + TimeDelta::milliseconds((random.next() % (span * 1000 + 1)) as i64);
            let next = all.iter().copied().find(|instant| *instant > at);
            if next.is_some() {
                assert_eq!(schedule.after(at), next, "{zone} {rule:?} after {at}");
            }
        }
    }
}

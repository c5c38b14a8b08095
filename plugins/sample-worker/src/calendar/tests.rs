use super::*;

fn date(text: &str) -> Date {
    Date::parse(text).unwrap_or_else(|| panic!("{text} is a date"))
}

#[test]
fn days_count_from_1970() {
    // `date -u -d 2024-02-29 +%s` / 86400 and the like.
    for (text, days) in [
        ("1970-01-01", 0),
        ("2000-03-01", 11017),
        ("2024-02-29", 19782),
        ("2100-03-01", 47541),
    ] {
        assert_eq!(date(text).days_since_1970(), days, "{text}");
    }
}

#[test]
fn yesterday_crosses_months_years_and_leap_days() {
    for (today, yesterday) in [
        ("2024-03-01", "2024-02-29"),
        ("2023-03-01", "2023-02-28"),
        ("2026-01-01", "2025-12-31"),
        ("2025-05-01", "2025-04-30"),
        ("2025-05-17", "2025-05-16"),
    ] {
        assert_eq!(
            date(today).yesterday().map(|it| it.to_string()).as_deref(),
            Some(yesterday)
        );
    }
    assert_eq!(date("1970-01-01").yesterday(), None);
}

#[test]
fn weekends() {
    let weekend = ["2025-12-27", "2025-12-28", "1970-01-03"];
    assert!(weekend.iter().all(|day| date(day).is_weekend()));
    let weekdays = ["2025-12-26", "2025-12-29", "1970-01-01", "1970-01-05"];
    assert!(weekdays.iter().all(|day| !date(day).is_weekend()));
}

#[test]
fn what_is_no_date_is_refused() {
    for text in [
        "2025-02-29",
        "2025-13-01",
        "2025-00-10",
        "2025-1-10",
        "1969-12-31",
        "yesterday",
        "2025-04-31",
        "",
    ] {
        assert_eq!(Date::parse(text), None, "{text}");
    }
}

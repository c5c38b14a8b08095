//! What people read about rules.

use super::super::Recurrence;

fn describe(text: &str) -> String {
    Recurrence::parse(text).unwrap().describe()
}

fn notes(text: &str) -> String {
    Recurrence::parse(text).unwrap().notes().join(" / ")
}

#[test]
fn sentences() {
    for (text, sentence) in [
        ("FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", "Every weekday at 00:00"),
        ("FREQ=DAILY", "Every day at 00:00"),
        ("FREQ=WEEKLY", "Every Wednesday at 00:00"),
        (
            "DTSTART:20250101T090000\nFREQ=WEEKLY;BYDAY=MO,WE;INTERVAL=2",
            "Every 2 weeks on Monday and Wednesday at 09:00, counted from 2025-01-01 09:00",
        ),
        (
            "FREQ=MINUTELY;INTERVAL=15",
            "Every 15 minutes, counted from 2020-01-01 00:00",
        ),
        ("FREQ=HOURLY;BYMINUTE=0,30", "Every hour at minute 0 and 30"),
        (
            "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17",
            "Every month on the last Friday at 17:00",
        ),
        (
            "FREQ=MONTHLY;BYDAY=2MO,-2SU",
            "Every month on the 2nd Monday and 2nd last Sunday at 00:00",
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=1,15",
            "Every month on day 1 and 15 of the month at 00:00",
        ),
        ("FREQ=YEARLY", "Every year on January 1 at 00:00"),
        ("FREQ=YEARLY;BYEASTER=0", "Every year on Easter Sunday at 00:00"),
        (
            "FREQ=DAILY;COUNT=5",
            "Every day at 00:00, 5 times (the last on 2020-01-05 00:00)",
        ),
        (
            "DTSTART:20250101T090000\nFREQ=DAILY;UNTIL=20250630",
            "Every day at 09:00, from 2025-01-01, until 2025-06-30 00:00",
        ),
        (
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "Every month on Monday, Tuesday, Wednesday, Thursday and Friday at 00:00, only number -1 of each month",
        ),
        (
            "FREQ=DAILY;BYHOUR=9\nFREQ=DAILY;BYHOUR=17\nEXDATE:20250309T090000",
            "Every day at 09:00; and every day at 17:00, but for 1 excluded date",
        ),
        (
            "RDATE:20250310T090000,20250312T150000",
            "On 2 dates from 2025-03-10 to 2025-03-12",
        ),
        ("EXDATE:20250310T090000", "Never: there is nothing but exclusions"),
        (
            "FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7",
            "Every day at 00:00, 01:00, 02:00, 03:00, 04:00, 05:00 and 2 more times of the day",
        ),
    ] {
        assert_eq!(describe(text), sentence, "{text}");
    }
}

#[test]
fn notes_of_what_surprises() {
    assert!(notes("FREQ=WEEKLY").contains("a Wednesday"));
    assert!(notes("FREQ=DAILY;COUNT=5").contains("COUNT is counted from there"));
    assert!(notes("FREQ=MONTHLY;BYMONTHDAY=31").contains("left out"));
    assert!(notes("DTSTART;TZID=Foo/Bar:20250101T090000\nFREQ=DAILY").contains("TZID=Foo/Bar is not used"));
    assert!(notes("DTSTART:20250101T090000\nFREQ=DAILY;UNTIL=20250630").contains("beginning of that day"));
    assert_eq!(notes("DTSTART:20250101T090000\nFREQ=DAILY"), "");
}

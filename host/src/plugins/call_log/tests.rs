use super::*;
use crate::plugins::settings::Settings;

type Lines = Arc<Mutex<Vec<(Level, String)>>>;

fn log(lines: u32, line_bytes: usize) -> (Arc<CallLog>, Lines) {
    let seen = Lines::default();
    let sink = {
        let seen = Arc::clone(&seen);
        move |level: Level, text: &str| seen.lock().expect("not poisoned").push((level, text.to_owned()))
    };
    let limits = Limits {
        log_lines: lines,
        log_line_bytes: line_bytes,
        log_bytes: 1000,
        ..Settings::new("", "", "").limits("")
    };
    (CallLog::new(Arc::new(sink), &limits, Arc::default()), seen)
}

fn texts(lines: &Lines) -> Vec<String> {
    lines
        .lock()
        .expect("not poisoned")
        .iter()
        .map(|(_, text)| text.clone())
        .collect()
}

#[test]
fn too_many_lines_end_in_one_notice() {
    let (log, lines) = log(3, 100);
    for i in 0..10 {
        log.line(Level::Info, &format!("line {i}"));
    }
    let texts = texts(&lines);
    assert_eq!(texts.len(), 3);
    assert_eq!(texts[1], "line 1");
    assert!(texts[2].contains("limit of 3 log lines"), "{}", texts[2]);
}

#[test]
fn a_long_line_is_cut_at_a_character() {
    let (log, lines) = log(10, 5);
    log.line(Level::Info, "ééééé");
    assert_eq!(texts(&lines), ["éé … [cut at the limit of 5 bytes]"]);
}

#[test]
fn output_is_split_into_lines_and_its_rest_is_kept() {
    let (log, lines) = log(10, 100);
    log.write(Level::Info, b"one\ntw");
    log.write(Level::Info, b"o\n\nthree");
    log.finish();
    assert_eq!(texts(&lines), ["one", "two", "three"]);
}

#[test]
fn an_endless_line_takes_bounded_memory() {
    let (log, lines) = log(10, 100);
    for _ in 0..1000 {
        log.write(Level::Warn, &[b'x'; 1000]);
    }
    let held = log.state().partial[1].len();
    assert_eq!(held, 101);
    assert!(log.state().stderr.len() <= LAST_WORDS_BYTES);
    log.finish();
    assert!(texts(&lines)[0].ends_with("[cut at the limit of 100 bytes]"));
}

#[test]
fn last_words_prefer_the_panic() {
    let (log, _) = log(10, 100);
    assert_eq!(log.last_words(), None);
    log.line(Level::Error, "it went wrong");
    assert_eq!(log.last_words().as_deref(), Some("it went wrong"));
    log.write(
        Level::Warn,
        b"\nthread '<unnamed>' panicked at src/lib.rs:5:9:\nno such thing\n",
    );
    log.write(Level::Warn, BACKTRACE_NOTE.as_bytes());
    log.write(Level::Warn, b"\n");
    assert_eq!(
        log.last_words().as_deref(),
        Some("panicked at src/lib.rs:5:9: no such thing")
    );
}

#[test]
fn bytes_are_bounded_as_lines_are() {
    let (log, lines) = log(100, 600);
    for _ in 0..10 {
        log.line(Level::Info, &"x".repeat(400));
    }
    let texts = texts(&lines);
    assert_eq!(texts.len(), 3);
    assert!(texts[2].contains("limit of 1000 bytes of log"), "{}", texts[2]);
}

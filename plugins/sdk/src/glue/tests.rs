use std::sync::Mutex;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
struct Window {
    size: u32,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only its reading is tested")]
struct Document {
    windows: Vec<Window>,
}

#[test]
fn a_problem_names_the_member() {
    let problem = parse::<Document>(br#"{"windows":[{"size":1},{"size":-1}]}"#).expect_err("-1 is no u32");
    assert!(
        problem.starts_with("windows[1].size: invalid value: integer `-1`"),
        "{problem}"
    );
}

#[test]
fn text_after_the_document_is_refused() {
    assert_eq!(parse(br#"{"size":1} "#), Ok(Window { size: 1 }));
    let problem = parse::<Window>(br#"{"size":1} {}"#).expect_err("two documents");
    assert!(problem.contains("trailing"), "{problem}");
}

#[test]
fn a_result_that_json_cannot_hold_is_a_failure() {
    let map = std::collections::HashMap::from([((1, 2), 3)]);
    let error = write("the output", &map).expect_err("a key that is a pair");
    assert!(
        error.message.contains("the output cannot be written"),
        "{}",
        error.message
    );
}

#[test]
fn the_text_of_a_panic_says_where() {
    static SEEN: Mutex<String> = Mutex::new(String::new());
    let before = std::panic::take_hook();
    let me = std::thread::current().id();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() == me {
            *SEEN.lock().expect("one writer") = panic_text(panic);
        } else {
            before(panic);
        }
    }));
    let size = 3;
    std::panic::catch_unwind(|| panic!("window {size} is too small")).expect_err("panics");
    drop(std::panic::take_hook());
    let seen = SEEN.lock().expect("one reader").clone();
    assert!(seen.contains("glue/tests.rs:"), "{seen}");
    assert!(seen.ends_with(": window 3 is too small"), "{seen}");
}

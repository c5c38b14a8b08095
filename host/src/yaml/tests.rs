use std::path::Path;

use serde_json::json;

use super::*;

fn read(text: &str) -> Value {
    parse(Path::new("f.yaml"), text)
        .unwrap_or_else(|mistakes| panic!("{mistakes}"))
        .json()
}

fn mistakes(text: &str) -> String {
    parse(Path::new("f.yaml"), text).expect_err("is wrong").to_string()
}

#[test]
fn scalars_keep_what_was_written() {
    let found = read(
        "a: 0700\nb: no\nc: 1.10\nd: '5'\ne: 12:30\nf: -3\ng: ~\nh: .5\ni: 1_0\nj: !!str 7\nk: 18446744073709551615\nl: 1e3\nm: +4\nn: 0\no: .nan\np: 2024-01-01\nq: true\n",
    );
    assert_eq!(
        found,
        json!({"a": "0700", "b": "no", "c": 1.10, "d": "5", "e": "12:30", "f": -3, "g": null, "h": 0.5, "i": "1_0",
               "j": "7", "k": 18446744073709551615_u64, "l": 1000.0, "m": 4, "n": 0, "o": ".nan", "p": "2024-01-01", "q": true})
    );
}

#[test]
fn aliases_and_merge_keys_are_followed() {
    let found = read("base: &b {x: 1, y: 2}\none:\n  <<: *b\n  y: 3\ntwo: *b\n");
    assert_eq!(
        found,
        json!({"base": {"x": 1, "y": 2}, "one": {"y": 3, "x": 1}, "two": {"x": 1, "y": 2}})
    );
    assert_eq!(read(""), json!({}));
}

#[test]
fn mistakes_name_their_place() {
    assert_eq!(
        mistakes("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n"),
        "f.yaml:4:3: \"c\" stands twice, first on line 3; keep one of them\nf.yaml:5:1: \"a\" stands twice, first on line 1; keep one of them"
    );
    assert!(
        mistakes("a: [1, 2\nb: 3").starts_with("f.yaml:"),
        "{}",
        mistakes("a: [1, 2\nb: 3")
    );
    assert_eq!(
        mistakes("a: 1\n---\nb: 2\n"),
        "f.yaml:3:1: a second document begins here; write one per file"
    );
    assert_eq!(
        mistakes("a: !secret x\n"),
        "f.yaml:1:12: the tag !secret means nothing here; remove it"
    );
}

#[test]
fn bombs_and_towers_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", ")));
    }
    assert!(mistakes(&bomb).contains("anchors and aliases repeat more than"));
    let mut tower = String::from("a0: &a0 [x]\n");
    for level in 1..200 {
        tower.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(mistakes(&tower).contains("nested deeper than 140"));
}

#[test]
fn near_words_are_proposed() {
    assert_eq!(
        did_you_mean("depend_on", ["depends_on", "name"]),
        "; did you mean \"depends_on\"?"
    );
    assert_eq!(did_you_mean("zzz", ["depends_on", "name"]), "");
}

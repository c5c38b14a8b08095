use serde_json::json;

use super::special::{MAX_SENT_DEPTH, Unsendable, refuse, unwrap};
use super::*;

fn value(text: &str) -> Value {
    read(text.as_bytes()).expect(text).0
}

fn notes(text: &str) -> Vec<String> {
    read(text.as_bytes()).expect(text).1.lines()
}

#[test]
fn what_python_writes_is_read() {
    let cases = [
        ("NaN", json!(null), "NaN"),
        ("[1, NaN]", json!([1, null]), "/1: NaN"),
        (r#"{"a": Infinity}"#, json!({"a": null}), "/a: a number beyond"),
        (
            r#"{"a": {"b/c": -Infinity}}"#,
            json!({"a": {"b/c": null}}),
            "/a/b~1c: a number beyond",
        ),
        ("[1e400]", json!([null]), "/0: a number beyond"),
        ("[-1e400]", json!([null]), "/0: a number beyond"),
        (r#"["\ud83d"]"#, json!(["\u{fffd}"]), "/0: half"),
        (r#"["\ud83dx\ude00"]"#, json!(["\u{fffd}x\u{fffd}"]), "/0: half"),
        (r#"["\ud83d\u0041"]"#, json!(["\u{fffd}A"]), "/0: half"),
        (r#"["\ude00\ud83d"]"#, json!(["\u{fffd}\u{fffd}"]), "/0: half"),
        (
            "[1180591620717411303424]",
            json!([1180591620717411303424.0]),
            "/0: an integer",
        ),
        (
            "[-9223372036854775809]",
            json!([-9223372036854775808.0]),
            "/0: an integer",
        ),
    ];
    for (text, expected, note) in cases {
        assert_eq!(value(text), expected, "{text}");
        assert!(notes(text)[0].contains(note), "{text}: {:?}", notes(text));
    }
}

/// The tolerant reader agrees with the strict one on everything that is strict JSON.
#[test]
fn strict_documents_mean_the_same_to_both_readers() {
    let documents = [
        "null",
        " true ",
        "[]",
        "[ ]",
        "{}",
        "{ }",
        "0",
        "-0",
        "-0.0",
        "1.5e-7",
        "1E+2",
        "18446744073709551615",
        "-9223372036854775808",
        r#""NaN and Infinity""#,
        r#"{"a":1,"a":2}"#,
        r#"["\ud83d\ude00", "\u0000\/\b\f\"\\"]"#,
        "\t[1 ,\n{ \"k\" : [ ] } ]\r\n",
        "[1e18, 0.1, 123456789.125]",
        r#"["ž😀"]"#,
    ];
    for text in documents {
        let strict: Value = serde_json::from_str(text).expect(text);
        let (tolerant, notes) = reader::read(text).expect(text);
        assert_eq!(tolerant, strict, "{text}");
        assert!(notes.is_empty(), "{text}");
    }
}

#[test]
fn what_python_refuses_is_refused_with_its_place() {
    let cases: [(&[u8], usize); 19] = [
        (b"", 0),
        (b"  ", 2),
        (b"[1,]", 3),
        (b"[1 2]", 3),
        (b"{1:2}", 1),
        (b"{\"a\" 1}", 5),
        (b"{\"a\":1,}", 7),
        (b"nul", 0),
        (b"Nan", 0),
        (b"Infinit", 0),
        (b"-", 1),
        (b"01", 1),
        (b"1.", 2),
        (b"1e", 2),
        (b"\"a", 2),
        (b"\"\\x\"", 2),
        (b"\"\\u12g4\"", 3),
        (b"[] []", 3),
        (b"\"a\nb\"", 2),
    ];
    for (bytes, expected) in cases {
        match read(bytes) {
            Err(JsonError::Syntax { offset, .. }) => assert_eq!(offset, expected, "{}", String::from_utf8_lossy(bytes)),
            other => panic!("{}: {other:?}", String::from_utf8_lossy(bytes)),
        }
    }
    assert_eq!(read(b"[\"\xff\"]"), Err(JsonError::Utf8 { offset: 2 }));
    assert!(read(b"\xef\xbb\xbf{}").is_err(), "a byte order mark");
}

#[test]
fn depth_has_one_limit_on_both_ways() {
    for word in ["1", "NaN"] {
        let nested = |levels: usize| format!("{}{word}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok(), "{word}");
        for levels in [MAX_DEPTH + 1, 120, 500_000] {
            assert_eq!(
                read(nested(levels).as_bytes()),
                Err(JsonError::TooDeep { offset: MAX_DEPTH }),
                "{word}"
            );
        }
        let objects = format!(
            "{}{word}{}",
            r#"{"a":"#.repeat(MAX_DEPTH + 1),
            "}".repeat(MAX_DEPTH + 1)
        );
        assert!(matches!(read(objects.as_bytes()), Err(JsonError::TooDeep { .. })));
    }
}

#[test]
fn notes_are_bounded_and_say_so() {
    let text = format!("[{}NaN]", "NaN,".repeat(MAX_NOTES + 6));
    let (_, notes) = read(text.as_bytes()).expect("readable");
    assert_eq!((notes.shown.len(), notes.total), (MAX_NOTES, MAX_NOTES + 7));
    assert_eq!(notes.lines().last().map(String::as_str), Some("and 7 more"));
    let long_key = format!(r#"{{"{}": NaN}}"#, "k".repeat(1000));
    assert!(self::notes(&long_key)[0].len() < 100);
}

#[test]
fn special_types_become_strings() {
    let mut read = json!([
        {"__type__": "datetime", "__value__": "2024-01-02T03:04:05+00:00"},
        {"__type__": "uuid", "__value__": {"hex": "0123456789abcdef0123456789abcdef"}},
        {"__type__": "uuid", "__value__": {"hex": "žž"}},
        {"k": {"__type__": "base64", "__value__": "/wA="}},
        {"__type__": "mine", "__value__": {"__type__": "decimal", "__value__": "1.10"}},
        {"__type__": "decimal", "__value__": "1", "more": 1},
        {"__type__": "decimal", "__value__": 1},
        {"__type__": 7, "__value__": 1},
    ]);
    let mut unknown = Vec::new();
    unwrap(&mut read, &mut |name| unknown.push(name.to_owned()));
    assert_eq!(
        read,
        json!([
            "2024-01-02T03:04:05+00:00", "01234567-89ab-cdef-0123-456789abcdef", "žž", {"k": "/wA="},
            {"__type__": "mine", "__value__": "1.10"},
            {"__type__": "decimal", "__value__": "1", "more": 1},
            {"__type__": "decimal", "__value__": 1},
            {"__type__": 7, "__value__": 1},
        ])
    );
    assert_eq!(unknown, ["mine", "decimal", "(not a string)"]);
}

#[test]
fn unsendable_values_are_found_with_their_path() {
    let marked = json!({"a": [1, {"b/c": {"__type__": "date", "__value__": "x", "z": 1}}]});
    assert_eq!(
        refuse(&marked),
        Err(Unsendable::Marked {
            path: "/a/1/b~1c".into()
        })
    );
    assert_eq!(refuse(&json!({"__type__": 1, "x": {"__value__": 2}})), Ok(()));
    let mut deep = json!(1);
    for _ in 0..=MAX_SENT_DEPTH {
        deep = json!([deep]);
    }
    assert!(matches!(refuse(&deep), Err(Unsendable::TooDeep { path }) if path.starts_with("/0/0/")));
    assert_eq!(refuse(&deep[0]), Ok(()));
}

use serde_json::json;

use super::*;

#[test]
fn values_look_as_in_python() {
    let cases = [
        (json!(null), "None"),
        (json!([true, false]), "[True, False]"),
        (json!({"k": 1, "ž": []}), "{'k': 1, 'ž': []}"),
        (json!("it's"), r#""it's""#),
        (json!("it's \"x\""), r#"'it\'s "x"'"#),
        (json!("a\n\t\\\u{1}\u{7f}"), r"'a\n\t\\\x01\x7f'"),
        (json!(1.0), "1.0"),
        (json!(1e16), "1e+16"),
        (json!(1.5e-7), "1.5e-07"),
        (json!(1e-5), "1e-05"),
        (json!(0.0001), "0.0001"),
        (json!(-1e300), "-1e+300"),
        (json!(18446744073709551615u64), "18446744073709551615"),
    ];
    for (value, expected) in cases {
        assert_eq!(super::value(&value, 100), expected);
    }
    assert_eq!(tuple(&[], 10), "()");
    assert_eq!(tuple(&[json!(1)], 10), "(1,)");
    assert_eq!(tuple(&[json!(1), json!("a")], 10), "(1, 'a')");
}

#[test]
fn length_is_bounded_in_characters() {
    let long = vec![json!("ž".repeat(5_000_000))];
    let shown = list(&long, 1024);
    assert_eq!(shown.chars().count(), 1024 + 3);
    assert!(shown.starts_with("['žž") && shown.ends_with("ž..."));
    let many: Vec<Value> = (0..1_000_000).map(Value::from).collect();
    assert_eq!(list(&many, 10), "[0, 1, 2, ...");
    assert_eq!(list(&[json!(1)], 3), "[1]");
}

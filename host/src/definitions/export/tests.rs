use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::definitions::plan::same;

#[test]
fn scalars_are_quoted_when_they_could_mean_something_else() {
    for plain in ["abc", "a-b_c.d/e", "two words", "Download (all)", "null and void"] {
        assert_eq!(scalar(plain), plain);
    }
    for (text, quoted) in [
        ("", r#""""#),
        ("null", r#""null""#),
        ("True", r#""True""#),
        ("no", r#""no""#),
        ("1", r#""1""#),
        ("a: b", r#""a: b""#),
        ("a #b", r##""a #b""##),
        (" a", r#"" a""#),
        ("a ", r#""a ""#),
        ("<<", r#""<<""#),
        ("\u{85}\n\u{7f}", r#""\U00000085\n\U0000007f""#),
    ] {
        assert_eq!(scalar(text), quoted);
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[-~ :#a-z0-9.'\"\\n\\t&*!|>%@`{}\\[\\],?]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let map = prop::collection::vec((any::<String>(), inner.clone()), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::from),
            map.prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn every_json_value_survives_yaml(value in json()) {
        let mut text = "v:".to_owned();
        write_value(&mut text, &value, 2);
        let node = crate::yaml::parse(Path::new("f.yaml"), &text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        let found = node.json();
        prop_assert!(same(&found["v"], &value), "{text}\n{found}");
    }
}

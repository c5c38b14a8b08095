use serde_json::json;

use super::*;

fn descriptor(kind: &str) -> Descriptor {
    Descriptor {
        kind: kind.to_owned(),
        version: "1.0.0".to_owned(),
        summary: "adds".to_owned(),
        input_schema: br#"{"type":"object","required":["n"],"properties":{"n":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}}}}"#.to_vec(),
        output_schema: b"{}".to_vec(),
        capabilities: vec!["log".to_owned()],
        state_versions: None,
        meta: Vec::new(),
    }
}

fn reason(role: Role, found: Vec<Descriptor>) -> String {
    match check_all(Path::new("a.wasm"), role, found, Origin::Component) {
        Ok(_) => panic!("accepted"),
        Err(problem) => problem.to_string(),
    }
}

#[test]
fn kinds_are_names() {
    for good in ["add", "proj.tasks.Add_2", "a", "0", "http-get:v2"] {
        assert!(is_kind(good), "{good}");
    }
    for bad in ["", ".a", "-a", "a b", "a/b", "ä", &"a".repeat(201)] {
        assert!(!is_kind(bad), "{bad}");
    }
}

#[test]
fn a_wrong_descriptor_is_named_with_its_fault() {
    assert!(reason(Role::Activity, vec![]).contains("describes no kind"));
    assert!(reason(Role::Activity, vec![descriptor("a"), descriptor("a")]).contains("`a` twice"));
    assert!(reason(Role::Policy, vec![descriptor("a"), descriptor("b")]).contains("a policy has one"));
    assert!(reason(Role::Durable, vec![descriptor("a")]).contains("names no state-versions"));

    let with = |change: fn(&mut Descriptor)| {
        let mut wrong = descriptor("a");
        change(&mut wrong);
        reason(Role::Activity, vec![wrong])
    };
    assert!(with(|d| d.input_schema = b"{".to_vec()).contains("input-schema is not JSON"));
    assert!(with(|d| d.output_schema = br#"{"type":"strng"}"#.to_vec()).contains("output-schema is not a JSON Schema"));
    assert!(with(|d| d.state_versions = Some((2, 1))).contains("end (1) before they begin (2)"));
    assert!(with(|d| d.capabilities = vec!["http:*".to_owned()]).contains("`http:*` is not a capability"));
    assert!(with(|d| d.summary = "x".repeat(5000)).contains("summary has 5000 bytes"));
    let remote = |d: &mut Descriptor| d.input_schema = br#"{"$ref":"https://example.com/s.json"}"#.to_vec();
    assert!(with(remote).contains("input-schema is not a JSON Schema"));
    let backtracking = |d: &mut Descriptor| d.input_schema = br#"{"pattern":"(a+)+\\1$"}"#.to_vec();
    assert!(with(backtracking).contains("input-schema is not a JSON Schema"));
}

#[test]
fn input_is_judged_with_pointers_and_a_bound() {
    for origin in [Origin::Component, Origin::Kept] {
        let described = check_all(Path::new("a.wasm"), Role::Activity, vec![descriptor("a")], origin);
        let input = &described.unwrap_or_else(|p| panic!("{p}"))[0].input;
        assert_eq!(input.judge(&json!({"n": 1})), Ok(()));
        let messages = input.judge(&json!({"n": "x", "tags": ["a", 2]})).expect_err("wrong");
        assert_eq!(messages.len(), 2);
        assert!(messages.iter().any(|m| m.starts_with("/n: ")), "{messages:?}");
        assert!(messages.iter().any(|m| m.starts_with("/tags/1: ")), "{messages:?}");
        let messages = input.judge(&json!([])).expect_err("wrong");
        assert!(messages[0].starts_with("the input: "), "{messages:?}");
        let many = input.judge(&json!({"n": 1, "tags": vec![0; 1000]})).expect_err("wrong");
        assert_eq!(many.len(), MESSAGES_MAX + 1);
    }
}

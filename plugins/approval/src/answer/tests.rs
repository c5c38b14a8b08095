use super::*;

fn form() -> Value {
    json!({
        "type": "object",
        "required": ["amount"],
        "properties": { "amount": { "type": "integer", "minimum": 10 }, "why": { "type": "string" } },
        "additionalProperties": false,
    })
}

fn read(name: &str, payload: Value) -> Result<Answer, Refused> {
    super::read(name, payload, Some(&form()))
}

#[test]
fn the_signal_or_its_payload_says_yes_or_no() {
    let said = |name: &str, payload: Value| super::read(name, payload, None).map(|it| it.approved);
    for (name, payload, approved) in [
        ("approve", Value::Null, true),
        ("approve", json!({ "approved": true }), true),
        ("reject", json!({}), false),
        ("decide", json!({ "approved": true }), true),
        ("decide", json!({ "approved": false }), false),
        ("decide", json!(true), true),
    ] {
        assert_eq!(said(name, payload.clone()), Ok(approved), "{name} {payload}");
    }
    for (name, payload) in [
        ("approve", json!({ "approved": false })),
        ("reject", json!({ "approved": true })),
        ("decide", json!({})),
        ("decide", json!({ "approved": "yes" })),
        ("decide", Value::Null),
        ("approve", json!("yes")),
        ("approve", json!([])),
    ] {
        assert!(said(name, payload.clone()).is_err(), "{name} {payload}");
    }
}

#[test]
fn the_form_comes_as_a_member_or_beside_the_others() {
    let member = read("approve", json!({ "by": "ann", "form": { "amount": 12 } })).expect("it fits");
    let beside = read("approve", json!({ "by": "ann", "amount": 12 })).expect("it fits");
    assert_eq!(member, beside);
    assert_eq!(member.form, json!({ "amount": 12 }));
}

#[test]
fn what_does_not_fit_the_form_is_told_by_its_place() {
    let refused = |payload: Value| read("approve", payload).expect_err("refused");
    assert_eq!(refused(Value::Null), "form.amount: is missing");
    let small = refused(json!({ "amount": 3 }));
    assert!(small == "form.amount: has to be at least 10", "{small}");
    assert!(refused(json!({ "amount": 12, "extra": 1 })).contains("extra"));
    assert!(refused(json!({ "form": "12" })).starts_with("form: "));
    let many = super::read(
        "approve",
        json!({ "a": 1, "b": 1, "c": 1, "d": 1, "e": 1 }),
        Some(&json!({ "additionalProperties": { "type": "string" } })),
    );
    assert!(many.expect_err("refused").ends_with("; and more"));
}

#[test]
fn a_rejection_needs_no_form() {
    let answer = read("reject", json!({ "by": "ann", "note": "too much" })).expect("it is taken");
    assert_eq!((answer.approved, answer.form), (false, Value::Null));
    assert!(read("decide", json!({ "approved": false })).is_ok());
}

#[test]
fn names_and_notes_are_bounded_texts() {
    for payload in [
        json!({ "by": 7, "amount": 12 }),
        json!({ "note": ["x"], "amount": 12 }),
        json!({ "by": "x".repeat(300), "amount": 12 }),
        json!({ "note": "x".repeat(20_000), "amount": 12 }),
    ] {
        assert!(read("approve", payload).is_err());
    }
}

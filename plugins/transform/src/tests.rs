use grepx_plugin_sdk::testing;

use super::*;

fn run(config: Value, kwargs: &str) -> Result<String, Error> {
    let document = format!(r#"{{"name":null,"args":[1,"two"],"kwargs":{kwargs},"config":{config}}}"#);
    let output = Plugin::run("transform", &Ctx::for_tests(), document.as_bytes())?;
    Ok(String::from_utf8(output).expect("JSON is UTF-8"))
}

fn gives(program: &str, kwargs: &str) -> String {
    run(json!({ "program": program }), kwargs).expect("the program runs")
}

fn fails(program: &str, kwargs: &str) -> Error {
    run(json!({ "program": program }), kwargs).expect_err("the program fails")
}

#[test]
fn the_keyword_arguments_are_the_input() {
    let kwargs = r#"{"prices":[{"close":2.5},{"close":4}],"ticker":"AAPL"}"#;
    assert_eq!(
        gives("{ticker, last: .prices[-1].close}", kwargs),
        r#"{"ticker":"AAPL","last":4}"#
    );
    assert_eq!(gives("[.prices[].close] | add / length", kwargs), "3.25");
}

#[test]
fn positional_arguments_and_the_time_are_variables() {
    assert_eq!(gives("$args[1]", "{}"), r#""two""#);
    assert_eq!(gives("$now | todate", "{}"), r#""2026-03-02T12:00:00Z""#);
}

#[test]
fn the_library_is_there() {
    assert_eq!(gives(r#".t | test("^A+$")"#, r#"{"t":"AAA"}"#), "true");
    assert_eq!(gives(".t | @base64", r#"{"t":"hi"}"#), r#""aGk=""#);
    assert_eq!(
        gives("[.[]] | group_by(.k) | map(length)", r#"{"a":{"k":1},"b":{"k":1}}"#),
        "[2]"
    );
    assert_eq!(gives("pow(2; 10) | floor", "{}"), "1024");
}

#[test]
fn numbers_keep_their_digits() {
    assert_eq!(
        gives(".n", r#"{"n":12345678901234567890123}"#),
        "12345678901234567890123"
    );
    assert_eq!(gives(".n", r#"{"n":1.10}"#), "1.10");
}

#[test]
fn not_exactly_one_output_is_a_failure_unless_many_are_wanted() {
    let none = fails("empty", "{}");
    assert!(
        none.message.contains("gave 0 outputs instead of one; set config.many"),
        "{none}"
    );
    assert!(fails("1, 2, 3", "{}").message.contains("gave 3 outputs"));
    let many = |program: &str| run(json!({ "program": program, "many": true }), r#"{"a":[1,2]}"#);
    assert_eq!(many(".a[]").as_deref(), Ok("[1,2]"));
    assert_eq!(many("empty").as_deref(), Ok("[]"));
}

#[test]
fn a_program_that_does_not_parse_is_refused_with_its_place() {
    let error = fails("{a: 1,\n b: if . then}", "{}");
    assert_eq!(error.class, ErrorClass::InvalidInput);
    assert!(error.message.starts_with("config.program: line 2, column "), "{error}");
    assert!(error.message.contains("expected "), "{error}");
    assert!(
        fails("\"abc", "{}").message.starts_with("config.program: line 1"),
        "an open text"
    );
}

#[test]
fn a_program_has_a_longest_length() {
    let long = format!("1{}", " ".repeat(70_000));
    assert!(fails(&long, "{}").message.contains("more than 65536 characters"));
    let schema = &Plugin::describe()[0].input_schema;
    assert_eq!(
        testing::problems(schema, &json!({ "config": { "program": long } })).len(),
        1
    );
}

#[test]
fn undefined_names_are_refused_with_their_place() {
    assert_eq!(
        fails(".a | frob(1)", "{}").message,
        "config.program: line 1, column 6: undefined filter frob/1"
    );
    assert_eq!(
        fails("$nope", "{}").message,
        "config.program: line 1, column 1: undefined variable $nope"
    );
}

#[test]
fn what_would_differ_between_repetitions_is_left_out() {
    assert!(fails("now", "{}").message.contains("use $now"), "now");
    for program in ["env", "$ENV", "localtime", "input", "include \"x\"; ."] {
        assert_eq!(fails(program, "{}").class, ErrorClass::InvalidInput, "{program}");
    }
}

#[test]
fn a_failure_carries_what_jq_says() {
    let error = fails(".a + 1", r#"{"a":"x"}"#);
    assert_eq!(error.code, "transform-failed");
    assert!(
        error
            .message
            .starts_with("the jq program failed: cannot calculate \"x\" + 1"),
        "{error}"
    );
    assert_eq!(
        fails(r#"error("no prices")"#, "{}").message,
        "the jq program failed: no prices"
    );
    assert!(fails("halt", "{}").message.contains("halt(0)"));
}

#[test]
fn a_failure_does_not_quote_a_whole_dataset() {
    let kwargs = format!(r#"{{"a":"{}"}}"#, "é".repeat(5000));
    let error = fails(".a + 1", &kwargs);
    assert!(
        error.message.chars().count() < 400 && error.message.ends_with('…'),
        "{error}"
    );
}

#[test]
fn an_output_that_is_not_json_is_a_failure() {
    assert!(fails("nan", "{}").message.contains("JSON cannot hold"), "nan");
    assert!(
        fails("{(1|tojson|tobytes): 2}", "{}")
            .message
            .contains("JSON cannot hold")
    );
}

#[test]
fn it_would_load_and_needs_a_program() {
    let described = Plugin::describe();
    testing::check(&described);
    let schema = &described[0].input_schema;
    let fits = json!({ "kwargs": {}, "config": { "program": ".", "many": true } });
    assert_eq!(testing::problems(schema, &fits), [""; 0]);
    for document in [
        json!({}),
        json!({ "config": {} }),
        json!({ "config": { "program": "." , "mny": 1 } }),
    ] {
        assert_eq!(testing::problems(schema, &document).len(), 1, "{document}");
    }
}

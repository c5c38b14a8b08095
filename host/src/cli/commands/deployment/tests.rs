use clap::Parser as _;
use serde_json::{Value, json};

use super::super::start::seconds;
use super::{request, schedules};
use crate::cli::Cli;
use crate::cli::arguments::{Command, DeploymentCommand};
use crate::cli::exit::{Exit, Failure};

fn body(words: &[&str]) -> Result<Value, Failure> {
    let words = ["grepx-host", "deployment", "run", "d"].iter().chain(words);
    let cli = Cli::try_parse_from(words).expect("valid words");
    match cli.command {
        Command::Deployment(DeploymentCommand::Run(run)) => request(&run),
        _ => unreachable!("the words say deployment run"),
    }
}

#[test]
fn a_value_is_json_or_else_text() {
    let body = body(&[
        "--params",
        r#"{"a": 1, "b": 2}"#,
        "--param",
        "b=[1]",
        "--param",
        "c=AAPL",
    ])
    .expect("valid");
    assert_eq!(body["parameters"], json!({"a": 1, "b": [1], "c": "AAPL"}));
}

#[test]
fn params_have_to_be_an_object() {
    let failure = body(&["--params", "[1]"]).expect_err("a list");
    assert_eq!(failure.exit, Exit::Usage);
    assert_eq!(failure.error.to_string(), "--params has to be a JSON object, found [1]");
}

#[test]
fn a_start_is_sent_as_scheduled_time() {
    let body = body(&["--start-at", "2026-03-01T14:00:00+02:00"]).expect("valid");
    assert_eq!(
        body["state"]["state_details"]["scheduled_time"],
        "2026-03-01T12:00:00.000Z"
    );
}

#[test]
fn durations_have_units() {
    assert_eq!(seconds("x", "30s"), Ok(30));
    assert_eq!(seconds("x", "10 minutes"), Ok(600));
    assert_eq!(seconds("x", "2h"), Ok(7_200));
    assert_eq!(seconds("x", "1 day"), Ok(86_400));
    for wrong in [
        "",
        "5",
        "h",
        "-1s",
        "1 fortnight",
        "99999999999999999999s",
        "4000000000 days",
    ] {
        assert!(seconds("x", wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_schedule_is_one_line() {
    let deployment = json!({"paused": false, "schedules": [
        {"active": true, "schedule": {"cron": "0 9 * * *", "timezone": "Asia/Kolkata"}},
        {"active": false, "schedule": {"interval": 60.0, "timezone": "UTC"}},
    ]});
    assert_eq!(
        schedules(&deployment),
        "cron 0 9 * * * Asia/Kolkata; every 60.0 s (paused)"
    );
}

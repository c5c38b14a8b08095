use clap::CommandFactory as _;
use clap::Parser as _;

use super::arguments::{Command, DeploymentCommand};
use super::{Cli, Exit, run};

fn exit(words: &[&str]) -> Exit {
    run(["grepx-host"].iter().chain(words).map(Into::into))
}

#[test]
fn the_definition_of_the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn parameters_and_switches_of_deployment_run() {
    let words = [
        "grepx-host",
        "deployment",
        "run",
        "f/d",
        "--param",
        "n=3",
        "--param",
        "text=a=b",
        "--tag",
        "x",
        "--watch",
    ];
    let cli = Cli::try_parse_from(words).expect("valid");
    let Command::Deployment(DeploymentCommand::Run(run)) = cli.command else {
        panic!("another command")
    };
    assert_eq!(run.name, "f/d");
    assert_eq!(run.param, [("n".into(), "3".into()), ("text".into(), "a=b".into())]);
    assert_eq!(run.tag, ["x"]);
    assert!(run.watch);
}

#[test]
fn wrong_words_are_exit_2_and_help_is_exit_0() {
    assert_eq!(exit(&["deployment", "run", "x", "--param", "novalue"]), Exit::Usage);
    assert_eq!(exit(&["flow-run", "ls", "--limit", "201"]), Exit::Usage);
    assert_eq!(exit(&["nonsense"]), Exit::Usage);
    assert_eq!(exit(&["--help"]), Exit::Ok);
    assert_eq!(exit(&["version"]), Exit::Ok);
}

#[test]
fn a_server_that_does_not_answer_is_exit_3() {
    // A port that was free a moment ago: nobody listens on it.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|one| one.local_addr())
        .expect("a port")
        .port();
    let url = format!("http://127.0.0.1:{port}/api");
    assert_eq!(exit(&["flow", "ls", "--api-url", &url]), Exit::Unreachable);
}

#[test]
fn ids_are_looked_at_before_the_server_is_asked() {
    assert_eq!(
        exit(&[
            "flow-run",
            "inspect",
            "not-an-id",
            "--api-url",
            "http://127.0.0.1:9/api"
        ]),
        Exit::Usage
    );
}

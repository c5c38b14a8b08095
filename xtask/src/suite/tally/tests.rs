//! The summary lines of both test programs, as they print them.

use super::*;

fn counted(text: &str, program: Program) -> Tally {
    relay(Some(text.as_bytes()), &mut Vec::new(), program)
}

#[test]
fn nextest_summaries_are_counted() {
    let text = "        PASS [   0.005s] grepx-host 5 passed, 3 failed\n    test result: FAILED. 0 passed; 1 failed; 0 ignored\n\
        \u{20}    Summary [   1.204s] 9 tests run: 6 passed (1 slow, 1 leaky), 2 failed, 1 timed out, 4 skipped\n";
    assert_eq!(
        counted(text, Program::Nextest),
        Tally {
            passed: 6,
            failed: 3,
            skipped: 4,
            broken: 0
        }
    );
    let one = "     Summary [   0.001s] 1 test run: 1 passed, 0 skipped\n";
    assert_eq!(
        counted(one, Program::Nextest),
        Tally {
            passed: 1,
            ..Tally::default()
        }
    );
    let stopped = "     Summary [   0.001s] 2/5 tests run: 1 passed, 1 failed, 0 skipped\n";
    assert_eq!(
        counted(stopped, Program::Nextest),
        Tally {
            passed: 1,
            failed: 1,
            ..Tally::default()
        }
    );
}

#[test]
fn plain_summaries_are_added_up() {
    let text = "running 2 tests\n\
        test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
        test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.00s\n";
    let tally = counted(text, Program::Cargo);
    assert_eq!(
        tally,
        Tally {
            passed: 5,
            failed: 1,
            skipped: 1,
            broken: 0
        }
    );
    assert_eq!(tally.to_string(), "5 passed, 1 failed, 1 skipped");
}

#[test]
fn a_program_that_fails_without_a_failed_test_is_broken() {
    let tally = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        execute(&mut command, Program::Cargo, &mut io::sink(), io::sink()).expect("sh starts")
    };
    let broken = Tally {
        broken: 1,
        ..Tally::default()
    };
    assert_eq!(tally("exit 101"), broken);
    let failed = Tally {
        failed: 1,
        ..Tally::default()
    };
    assert_eq!(
        tally("echo 'test result: FAILED. 0 passed; 1 failed; 0 ignored'; exit 101"),
        failed
    );
    let passed = Tally {
        passed: 1,
        ..Tally::default()
    };
    assert_eq!(
        tally("echo 'test result: ok. 1 passed; 0 failed; 0 ignored' >&2"),
        passed
    );
}

#[test]
fn output_is_passed_on_as_it_is() {
    let mut copied = Vec::new();
    let bytes = b"one\n\xff\xfe two\nno newline";
    relay(Some(&bytes[..]), &mut copied, Program::Nextest);
    assert_eq!(copied, bytes);
}

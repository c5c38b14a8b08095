use rustix::process::Pid;

use super::{is_there, of_this_machine};
use crate::cli::exit::Exit;
use crate::store::{self, Holder};

fn own() -> u32 {
    std::process::id()
}

#[test]
fn this_process_is_there() {
    let pid = Pid::from_raw(own().cast_signed()).expect("a process");
    assert!(is_there(pid));
}

#[test]
fn only_a_server_of_this_machine_is_signalled() {
    let holder = Holder {
        process: Some(own()),
        machine: store::this_machine(),
        since: None,
        address: Some("http://127.0.0.1:4200".to_owned()),
    };
    assert!(of_this_machine(&holder).is_ok());
    let elsewhere = Holder {
        machine: Some("another-machine".to_owned()),
        ..holder.clone()
    };
    let command = Holder {
        address: None,
        ..holder
    };
    for (holder, word) in [(elsewhere, "another-machine"), (command, "command")] {
        let failure = of_this_machine(&holder).expect_err("not to be signalled");
        assert_eq!(failure.exit, Exit::Failed);
        assert!(failure.error.to_string().contains(word), "{}", failure.error);
    }
}

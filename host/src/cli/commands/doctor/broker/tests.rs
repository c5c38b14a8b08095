use grepx_engine::Timestamp;

use super::{Server, judge, version};
use crate::cli::commands::doctor::Level;

fn server() -> Server {
    Server {
        product: "Redis",
        version: "7.0.15".to_owned(),
        role: "master".to_owned(),
        maxmemory: 0,
        maxmemory_policy: "noeviction".to_owned(),
        used_memory: 1,
        evicted_keys: 0,
        append_only: true,
        last_save_failed: false,
        clock: Timestamp(0),
        clock_ahead_ms: 0,
    }
}

fn worst(server: &Server) -> Option<(Level, String)> {
    let findings = judge("celery", server).into_iter();
    findings
        .map(|finding| (finding.level, finding.what))
        .max_by_key(|(level, _)| *level)
}

#[test]
fn a_redis_that_may_forget_is_a_warning_only_when_it_has_a_limit() {
    let forgetful = Server {
        maxmemory_policy: "allkeys-lru".to_owned(),
        ..server()
    };
    assert_eq!(worst(&forgetful).map(|one| one.0), Some(Level::Ok));
    let limited = Server {
        maxmemory: 1 << 20,
        ..forgetful
    };
    let (level, what) = worst(&limited).expect("a finding");
    assert_eq!(level, Level::Warning);
    assert!(what.contains("allkeys-lru"), "{what}");
}

#[test]
fn replicas_old_versions_and_failed_saves_are_errors() {
    let level = |server: Server| worst(&server).map(|one| one.0);
    assert_eq!(level(server()), Some(Level::Ok));
    let replica = Server {
        role: "slave".to_owned(),
        ..server()
    };
    assert_eq!(level(replica), Some(Level::Error));
    let old = Server {
        version: "5.0.14".to_owned(),
        ..server()
    };
    assert_eq!(level(old), Some(Level::Error));
    let unsaved = Server {
        last_save_failed: true,
        ..server()
    };
    assert_eq!(level(unsaved), Some(Level::Error));
}

#[test]
fn versions_are_compared_as_numbers() {
    assert!(version("6.10.0") > version("6.2.6"));
    assert_eq!(version("unknown"), None);
}

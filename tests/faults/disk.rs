//! Disks that are full: a small file system in a namespace of the host's own, and a limit of the
//! size of its files, which any user may set.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use grepx_tests::Host;

/// Megabytes of the small file system; the builds of the plugins lie there too.
const MEGABYTES: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    Small,
    Limited,
}

/// Whether this user may make file systems of their own.
pub(crate) fn namespaces() -> bool {
    let tried = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/tmp"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

impl Disk {
    pub(crate) fn all() -> Vec<Self> {
        if namespaces() {
            vec![Self::Small, Self::Limited]
        } else {
            vec![Self::Limited]
        }
    }

    pub(crate) fn serve(self, host: &mut Host) {
        std::fs::create_dir_all(host.folder().join("state")).expect("a folder");
        let mount = format!("mount -t tmpfs -o size={MEGABYTES}m tmpfs state && exec \"$@\"");
        match self {
            Self::Small => host.serve_under(&["unshare", "-rm", "sh", "-c", &mount, "sh"]),
            Self::Limited => host.serve_under(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]),
        }
    }

    pub(crate) fn fill(self, host: &Host) {
        match self {
            Self::Small => {
                let mut filler = File::create(filler(host)).expect("a file");
                let block = vec![0; 1 << 16];
                while filler.write_all(&block).is_ok() {}
                // To the last byte: what is left is less than a page.
                while filler.write_all(&[0; 512]).is_ok() {}
            }
            Self::Limited => {
                let log = host.folder().join("state/grepx-host.db-wal");
                let bytes = std::fs::metadata(log).expect("a log").len();
                limit(host, &format!("{bytes}:unlimited"));
            }
        }
    }

    pub(crate) fn free(self, host: &Host) {
        match self {
            Self::Small => std::fs::remove_file(filler(host)).expect("removed"),
            Self::Limited => limit(host, "unlimited:unlimited"),
        }
    }
}

fn process(host: &Host) -> u32 {
    host.process.as_ref().expect("it serves").id()
}

/// As the host sees it.
fn filler(host: &Host) -> PathBuf {
    let state = host.folder().join("state/filler");
    PathBuf::from(format!("/proc/{}/root{}", process(host), state.display()))
}

fn limit(host: &Host, bytes: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &process(host).to_string(), &format!("--fsize={bytes}")])
        .status();
    assert!(status.expect("prlimit runs").success());
}

/// Seconds that the host has computed so far.
pub(crate) fn computed(host: &Host) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process(host))).expect("its figures");
    let after_name = stat.rsplit(')').next().expect("a name").split_whitespace();
    let ticks: f64 = after_name
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<f64>().expect("a number"))
        .sum();
    // USER_HZ, which Linux never changes for programs.
    ticks / 100.0
}

//! What a host holds of the machine while it lives: resident memory and open files.

use std::time::{Duration, Instant};

use grepx_tests::Host;

const BETWEEN: Duration = Duration::from_millis(500);
/// Growth from the second quarter of a long life to the last that counts as none.
const MEMORY_SLACK_KIB: u64 = 12 << 10;
const FILES_SLACK: u64 = 8;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Vitals {
    pub(crate) memory_kib: u64,
    pub(crate) files: u64,
}

impl Vitals {
    /// `None` when the process is gone.
    pub(crate) fn of(host: &Host) -> Option<Self> {
        let id = host.process.as_ref()?.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(Self {
            memory_kib: resident.trim().trim_end_matches(" kB").parse().ok()?,
            files: std::fs::read_dir(format!("/proc/{id}/fd")).ok()?.count() as u64,
        })
    }
}

/// A series over one life.
#[derive(Debug)]
pub(crate) struct Series {
    next: Instant,
    seen: Vec<Vitals>,
}

impl Series {
    pub(crate) fn new() -> Self {
        Self {
            next: Instant::now(),
            seen: Vec::new(),
        }
    }

    pub(crate) fn sample(&mut self, host: &Host) {
        if Instant::now() >= self.next {
            self.seen.extend(Vitals::of(host));
            self.next = Instant::now() + BETWEEN;
        }
    }

    /// The medians of the second quarter and of the last; the first one warms up.
    pub(crate) fn ends(&self) -> (Vitals, Vitals) {
        let quarter = self.seen.len() / 4;
        (
            median(&self.seen[quarter..2 * quarter]),
            median(&self.seen[3 * quarter..]),
        )
    }

    /// What has grown and should not have.
    pub(crate) fn growth(&self) -> Vec<String> {
        let (from, to) = self.ends();
        let mut grown = Vec::new();
        if to.memory_kib > from.memory_kib + from.memory_kib / 10 + MEMORY_SLACK_KIB {
            grown.push(format!(
                "resident memory grew from {} to {} KiB",
                from.memory_kib, to.memory_kib
            ));
        }
        if to.files > from.files + FILES_SLACK {
            grown.push(format!("open files grew from {} to {}", from.files, to.files));
        }
        grown
    }
}

fn median(seen: &[Vitals]) -> Vitals {
    let middle = |mut numbers: Vec<u64>| {
        numbers.sort_unstable();
        numbers.get(numbers.len() / 2).copied().unwrap_or(0)
    };
    Vitals {
        memory_kib: middle(seen.iter().map(|one| one.memory_kib).collect()),
        files: middle(seen.iter().map(|one| one.files).collect()),
    }
}

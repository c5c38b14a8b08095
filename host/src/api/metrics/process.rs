//! What the system knows of this process, under the names that Prometheus's own libraries use.
//! Linux says it in `/proc`; elsewhere these lines are absent.

use super::page::Page;

/// Ticks of the fields of `/proc/self/stat` in a second: 100 on every Linux that user space sees.
const TICKS: f64 = 100.0;

pub(super) fn add(page: &mut Page) {
    if let Some(kib) = resident_kib() {
        page.one("process_resident_memory_bytes", "Resident memory", kib * 1_024.0);
    }
    if let (Some(user), Some(system)) = (stat(11), stat(12)) {
        let seconds = [(Vec::new(), (user + system) / TICKS)];
        page.counter(
            "process_cpu_seconds",
            "Time on the processors, user and system",
            seconds,
        );
    }
    if let Some(threads) = stat(17) {
        page.one("process_threads", "Threads", threads);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        page.one("process_open_fds", "Open file descriptors", open.count() as f64);
    }
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        page.one("process_max_fds", "File descriptors that may be open", limit as f64);
    }
}

fn resident_kib() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Counted from the third one: the name before it may hold anything.
fn stat(place: usize) -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    text.rsplit(')').next()?.split_whitespace().nth(place)?.parse().ok()
}

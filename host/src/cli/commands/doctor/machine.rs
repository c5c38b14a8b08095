//! This machine: may the host write, is there room, is the clock right.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::Finding;
use super::patient::Patient;
use crate::cli::show::size;
use crate::clock;
use crate::store;

/// Below it, a busy day may fill the disk.
const ROOM_LOW: u64 = 1 << 30;
/// Below it, the run store soon takes no changes.
const ROOM_GONE: u64 = 64 << 20;
/// Files that can still be made.
const INODES_LOW: u64 = 1_000;
/// Clocks that differ by more make logs of host and workers hard to read, and times of results odd.
const SKEW_MS: i64 = 2_000;
/// 2025-01-01: this program is younger.
const CLOCK_MIN_MS: i64 = 1_735_689_600_000;

pub(super) fn state_directory(patient: &Patient) -> Vec<Finding> {
    let settings = &patient.settings;
    let dir = &settings.store.dir;
    let mut findings = Vec::new();
    if dir.exists() && !dir.is_dir() {
        return vec![Finding::error(
            dir.display().to_string(),
            "it is a file, and the state directory belongs there",
            "move it away, or correct store.dir (or prefect.home)",
        )];
    }
    match nearest(dir) {
        Some(there) if there == *dir => match probe(dir) {
            Ok(()) => findings.push(Finding::ok(dir.display().to_string(), "can be written")),
            Err(error) => findings.push(not_writable(dir, &error)),
        },
        Some(there) => findings.push(match probe(&there) {
            Ok(()) => Finding::ok(dir.display().to_string(), "not there yet, and can be made"),
            Err(error) => not_writable(&there, &error),
        }),
        None => findings.push(Finding::error(
            dir.display().to_string(),
            "no part of this path is there",
            "correct store.dir (or prefect.home)",
        )),
    }
    findings.extend(
        store::too_wide(dir, &[&settings.plugins.key_file])
            .into_iter()
            .map(|(path, mode)| {
                Finding::warning(
                    path.display().to_string(),
                    format!("others on this machine can read it (mode {mode:o})"),
                    format!("chmod go-rwx {}", path.display()),
                )
            }),
    );
    findings.extend(foreign(dir));
    findings
}

/// Files of another user, such as of a start by root.
fn foreign(dir: &Path) -> Vec<Finding> {
    let me = rustix::process::geteuid().as_raw();
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let files = entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
    files
        .filter(|(_, file)| file.uid() != me)
        .map(|(path, file)| {
            Finding::error(
                path.display().to_string(),
                format!(
                    "belongs to user {}, and this is user {me} (mode {:o})",
                    file.uid(),
                    file.permissions().mode() & 0o777
                ),
                format!(
                    "run the host as that user, or `chown {me}` what is in {}",
                    dir.display()
                ),
            )
        })
        .collect()
}

fn not_writable(dir: &Path, error: &std::io::Error) -> Finding {
    Finding::error(
        dir.display().to_string(),
        format!("nothing can be written there: {error}"),
        "give the user that the host runs as leave to write (chown, chmod u+w), or set store.dir to another folder",
    )
}

/// The path, or its nearest parent that is there.
fn nearest(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|path| path.is_dir()).map(Path::to_owned)
}

/// Whether a file can be made; it is gone afterwards.
fn probe(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(format!(".doctor-{}", Uuid::now_v7()));
    OpenOptions::new().write(true).create_new(true).open(&path)?;
    fs::remove_file(path)
}

pub(super) fn disk(patient: &Patient) -> Vec<Finding> {
    let settings = &patient.settings;
    let mut seen = Vec::new();
    let mut findings = Vec::new();
    for dir in [&settings.store.dir, &settings.plugins.cache_dir] {
        let Some(there) = nearest(dir) else { continue };
        let device = fs::metadata(&there).map(|dir| dir.dev()).ok();
        if device.is_none() || seen.contains(&device) {
            continue;
        }
        seen.push(device);
        findings.push(room(dir, &there));
    }
    findings
}

fn room(dir: &Path, there: &Path) -> Finding {
    let place = dir.display().to_string();
    let disk = match rustix::fs::statvfs(there) {
        Ok(disk) => disk,
        Err(error) => {
            return Finding::warning(
                place,
                format!("the disk does not say how full it is: {error}"),
                "look with `df`",
            );
        }
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let whole = disk.f_blocks.saturating_mul(disk.f_frsize).max(1);
    // Some file systems make inodes as they go, and count none.
    let inodes = (disk.f_files > 0).then_some(disk.f_favail);
    judge_room(&place, free, whole, inodes)
}

fn judge_room(place: &str, free: u64, whole: u64, inodes: Option<u64>) -> Finding {
    let help = "make room: `grepx-host gc` removes flow runs that ended long ago, and `gc --vacuum`, while no host runs, gives their room back";
    let what = format!("{} free of {} ({} %)", size(free), size(whole), free * 100 / whole);
    match () {
        () if free < ROOM_GONE => Finding::error(place, what, help),
        () if inodes.is_some_and(|inodes| inodes < INODES_LOW) => Finding::error(
            place,
            format!("only {} files can still be made (inodes)", inodes.unwrap_or(0)),
            "remove files on this disk: many small ones use it up",
        ),
        () if free < ROOM_LOW => Finding::warning(place, what, help),
        () => Finding::ok(place, what),
    }
}

pub(super) fn clock(patient: &Patient) -> Vec<Finding> {
    let now = clock::now();
    let mut findings = vec![if now.0 < CLOCK_MIN_MS {
        Finding::error(
            "this machine",
            format!("its clock says {}", clock::rfc3339(now)),
            "set the clock (`timedatectl set-ntp true`): schedules start by it",
        )
    } else {
        Finding::ok("this machine", format!("its clock says {}", clock::rfc3339(now)))
    }];
    findings.push(Finding::ok(
        "time zones",
        format!(
            "{} zones of the IANA database {}, which this program brings along; the machine's own are not used",
            chrono_tz::TZ_VARIANTS.len(),
            chrono_tz::IANA_TZDB_VERSION
        ),
    ));
    for (name, connection) in patient.connections().into_iter().flatten() {
        let servers = connection.servers.as_ref();
        let Some(server) = servers.and_then(|servers| servers.broker.as_ref().ok()) else {
            continue;
        };
        let ahead = server.clock_ahead_ms;
        let place = format!("{name} ({})", connection.url);
        findings.push(match ahead.abs() > SKEW_MS {
            false => Finding::ok(place, "its clock and this one agree"),
            true => Finding::warning(
                place,
                format!(
                    "its clock is {}.{} s {} this one",
                    ahead.abs() / 1_000,
                    ahead.abs() / 100 % 10,
                    if ahead > 0 { "ahead of" } else { "behind" }
                ),
                "let both machines keep the time by NTP: starts follow this machine's clock",
            ),
        });
    }
    findings
}

#[cfg(test)]
mod tests;

//! Instants at which a test lets the process die, to see that a crash there costs nothing.
//!
//! `GREPX_FAILPOINT=outbox.after-publish:3` ends the host by SIGKILL at the third passage of that
//! point: nothing is unwound, flushed or answered. Every point stands in the one list below, and
//! the crash tests die at each. In a release build a point is nothing at all.

#![allow(
    dead_code,
    reason = "a release build keeps the list and leaves out all that acts on it"
)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const VARIABLE: &str = "GREPX_FAILPOINT";

macro_rules! points {
    ($($point:ident = $name:literal,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Point {
            $($point,)*
        }

        impl Point {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$point,)*];

            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }
    };
}

points! {
    // The writer: every transaction, and those in which something is given, given back or made.
    BeforeCommit = "store.before-commit",
    AfterCommit = "store.after-commit",
    Admission = "store.admission",
    Admitted = "store.admitted",
    Release = "store.release",
    PlannedRun = "store.planned-run",
    // A new run is kept, and nobody has been told.
    Created = "run.created",
    Committed = "run.committed",
    TimerFired = "run.timer-fired",
    BeforePrepare = "plugin.before-prepare",
    AfterPrepare = "plugin.after-prepare",
    BeforeStart = "plugin.before-start",
    AfterStart = "plugin.after-start",
    BeforeResume = "plugin.before-resume",
    AfterResume = "plugin.after-resume",
    BeforeJudge = "plugin.before-judge",
    AfterJudge = "plugin.after-judge",
    BeforeStop = "plugin.before-stop",
    AfterStop = "plugin.after-stop",
    BeforePublish = "outbox.before-publish",
    AfterPublish = "outbox.after-publish",
    AfterMark = "outbox.after-mark",
    BeforeWithdraw = "outbox.before-withdraw",
    AfterWithdraw = "outbox.after-withdraw",
    BeforeRevoke = "outbox.before-revoke",
    AfterRevoke = "outbox.after-revoke",
    RevokeSettled = "outbox.revoke-settled",
    // The outbox has forgotten what was stopped.
    StopDone = "outbox.stop-done",
    ReplyReceived = "reply.received",
    BeforeMemoryRun = "memory.before-run",
    AfterMemoryRun = "memory.after-run",
    BeforeChild = "child.before-start",
    AfterChild = "child.after-start",
    ChildEnded = "child.ended",
    CancelAsked = "cancel.asked",
    CancelTaken = "cancel.taken",
    SignalTaken = "signal.taken",
    RetryAsked = "retry.asked",
    // An ended run is read back, and nothing of what is asked is kept.
    BroughtBack = "retry.brought-back",
    RetryTaken = "retry.taken",
    DoneTaken = "done.taken",
    BeforeFire = "schedule.before-fire",
    AfterFire = "schedule.after-fire",
    BeforePlan = "schedule.before-plan",
    AfterPlan = "schedule.after-plan",
    RunsRead = "boot.runs-read",
    OutboxTaken = "boot.outbox-taken",
    // Flow runs that ended long ago: one is gone and its rows are not; a step is kept.
    RemovalBegun = "removal.begun",
    RemovalStep = "removal.step-kept",
    // Commands on the store as a whole; the file beside it comes before the file in its place.
    BackupCopying = "backup.copying",
    BackupCopied = "backup.copied",
    BackupPlaced = "backup.placed",
    RestoreCopied = "restore.copied",
    RestoreReady = "restore.ready",
    RestoreKept = "restore.kept",
    RestoreCleared = "restore.cleared",
    RestorePlaced = "restore.placed",
    Vacuumed = "gc.vacuumed",
    DefinitionsForgotten = "gc.definitions-forgotten",
}

/// Where the process dies, and at which passage.
static ARMED: OnceLock<(Point, u64)> = OnceLock::new();
static PASSAGES: AtomicU64 = AtomicU64::new(0);

/// Reads what a test asks for.
///
/// # Errors
/// When there is no such point: a test that waits for it would wait in vain.
pub(crate) fn arm() -> Result<(), String> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    let Ok(asked) = std::env::var(VARIABLE) else {
        return Ok(());
    };
    let armed = parse(&asked)?;
    tracing::warn!(
        point = armed.0.name(),
        passage = armed.1,
        "{VARIABLE}: this host is going to die"
    );
    let _ = ARMED.set(armed);
    Ok(())
}

fn parse(asked: &str) -> Result<(Point, u64), String> {
    let (name, passage) = asked.rsplit_once(':').unwrap_or((asked, "1"));
    let point = Point::ALL.iter().find(|point| point.name() == name);
    let passage = passage.parse().ok().filter(|passage| *passage > 0);
    match (point, passage) {
        (Some(point), Some(passage)) => Ok((*point, passage)),
        _ => Err(format!(
            "{VARIABLE}={asked}: give the name of a point and a number from 1, as in {}:3; \
             `grepx-host failpoints` lists the names",
            Point::BeforeCommit.name()
        )),
    }
}

/// The process comes by here.
#[inline(always)]
pub(crate) fn reach(point: Point) {
    #[cfg(test)]
    machine::reach(point);
    if cfg!(debug_assertions)
        && let Some((armed, passage)) = ARMED.get()
        && *armed == point
        && PASSAGES.fetch_add(1, Ordering::Relaxed) + 1 == *passage
    {
        die();
    }
}

/// No unwinding, no flush, no answer. The thread goes no further, should the signal take a moment.
fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
pub(crate) mod machine;
#[cfg(test)]
mod tests;

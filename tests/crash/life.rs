//! A host that is killed and started again, with everything that it needs around it.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use grepx_tests::{Host, wait_at_most};

use crate::flows::{FLOWS, Kind};
use crate::load::Load;
use crate::trouble::Trouble;
use crate::vitals::Series;

/// How long the load is let go on before everything has to have ended.
const TO_THE_END: Duration = Duration::from_secs(90);
/// How long a host may go on without coming by its failpoint.
const TO_THE_POINT: Duration = Duration::from_secs(15);
const KILL: i32 = 9;

pub(crate) struct Life {
    pub(crate) host: Host,
    /// Redis and the worker.
    pub(crate) trouble: Trouble,
    /// Whether anything is done to them.
    troubled: bool,
    pub(crate) load: Load,
    pub(crate) kills: u32,
    /// Lives in trouble that did not come by their failpoint, and were ended by a kill.
    pub(crate) not_reached: u64,
    pub(crate) slowest_start: Duration,
    pub(crate) violations: Vec<String>,
}

impl Life {
    /// A host that has served once, and is gone.
    pub(crate) fn begin() -> Self {
        Self::new(1, false)
    }

    /// One around which everything goes wrong, as the seed has it.
    pub(crate) fn in_trouble(seed: u64) -> Self {
        Self::new(seed, true)
    }

    fn new(seed: u64, troubled: bool) -> Self {
        let trouble = Trouble::new(seed);
        let url = trouble.redis.url();
        // Where workers are killed, what they had is missed soon.
        let patience = if troubled { 2 } else { 60 };
        let celery = format!(
            "celery:\n  broker_url: {url}\n  result_backend: {url}\n  lost_after_seconds: {patience}\n\
             connections: {{celery: {{response_timeout_seconds: 1}}}}"
        );
        let mut host = Host::with(FLOWS).config(&celery).prepare();
        host.serve();
        let load = Load::new(&host, trouble.redis.client());
        host.kill();
        Self {
            host,
            load,
            trouble,
            troubled,
            kills: 0,
            not_reached: 0,
            slowest_start: Duration::ZERO,
            violations: Vec::new(),
        }
    }

    /// Starts the host with these variables. False when it died before it served.
    fn start(&mut self, environment: &[(&str, &str)]) -> bool {
        let began = Instant::now();
        self.host.spawn(environment);
        let up = self.host.comes_up();
        if up {
            self.slowest_start = self.slowest_start.max(began.elapsed());
        }
        up
    }

    /// Lets the host live under load until it dies at a failpoint.
    pub(crate) fn die_at(&mut self, point: &str, passage: u64, load: &[Kind]) {
        self.trouble.heal();
        self.load.want(load);
        let asked = format!("{point}:{passage}");
        let up = self.start(&[("GREPX_FAILPOINT", &asked)]);
        let died = if up {
            wait_at_most(TO_THE_POINT, || {
                // Its death may come in the middle of an answer.
                let _ = self.load.step(&self.host);
                self.has_ended()
            })
        } else {
            self.has_ended()
        };
        self.after_life(&asked, died);
    }

    /// Lets the host live for `time` from its start, under load, and kills it.
    pub(crate) fn die_after(&mut self, time: Duration, load: &[Kind]) {
        self.load.want(load);
        let began = Instant::now();
        self.host.spawn(&[]);
        let up = wait_at_most(time, || self.host.output().contains("\"serving\"").then_some(())).is_some();
        if up && self.host.comes_up() {
            let left = time.saturating_sub(began.elapsed());
            let _ = wait_at_most(left, || {
                self.step();
                self.has_ended()
            });
        }
        let early = self.has_ended();
        if early.is_some() {
            self.violations
                .push(format!("the host ended by itself: {}", tail(&self.host.output())));
        }
        self.after_life("a random instant", Some(KILL));
    }

    /// Lets the host live for `time` under a load that `more` makes, and looks at what it holds.
    pub(crate) fn live_for(&mut self, time: Duration, mut more: impl FnMut(&mut Load)) -> Series {
        let mut series = Series::new();
        assert!(self.start(&[]), "the host does not come up: {}", self.host.output());
        let ended = wait_at_most(time, || {
            more(&mut self.load);
            self.step();
            series.sample(&self.host);
            self.has_ended()
        });
        if ended.is_some() {
            self.violations
                .push(format!("the host ended by itself: {}", tail(&self.host.output())));
        }
        self.violations.extend(series.growth());
        self.after_life("a long life", Some(KILL));
        series
    }

    fn step(&mut self) {
        if self.troubled {
            self.trouble.step();
        }
        let _ = self.load.step(&self.host);
    }

    fn after_life(&mut self, what: &str, died: Option<i32>) {
        let output = self.host.output();
        if died.is_none() && self.troubled {
            // A stock worker may take longer than this to come back to a Redis that was killed.
            self.not_reached += 1;
        } else if died != Some(KILL) {
            let how = died.map_or("lived on".to_owned(), |code| format!("ended with {code}"));
            self.violations
                .push(format!("{what}: the host {how}: {}", tail(&output)));
        }
        if output.contains("panicked at") {
            self.violations
                .push(format!("{what}: something panicked: {}", tail(&output)));
        }
        self.host.kill();
        self.kills += 1;
    }

    /// The signal that ended the process, or 0.
    fn has_ended(&mut self) -> Option<i32> {
        let process = self.host.process.as_mut()?;
        Some(process.ended()?.signal().unwrap_or(0))
    }

    /// Starts the host once more and lets everything end.
    pub(crate) fn go_on_to_the_end(&mut self) {
        self.trouble.heal();
        assert!(self.start(&[]), "the host does not come up: {}", self.host.output());
        let ended = wait_at_most(TO_THE_END, || {
            self.trouble.replace_fallen();
            self.load.step(&self.host).expect("the host stays");
            (self.load.open() == 0).then_some(())
        });
        if ended.is_none() {
            let open = self.load.asked.iter().filter(|one| !one.is_over());
            let open: Vec<String> = open
                .map(|one| format!("{} ({:?}, {})", one.key, one.id, one.state))
                .collect();
            self.violations
                .push(format!("lost: {} flow runs never end: {}", open.len(), open.join(", ")));
        }
    }
}

/// The last lines, each cut.
fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let last = lines[lines.len().saturating_sub(4)..].iter();
    let cut: Vec<String> = last.map(|line| line.chars().take(300).collect()).collect();
    cut.join("\n")
}

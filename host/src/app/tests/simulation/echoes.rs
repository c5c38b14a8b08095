//! Values that are told again, long after somebody has had use for them: the attempt that they were
//! for is over, maybe the host that heard them first. Whoever takes them has to see that.

use tokio::sync::mpsc;

use crate::broker::Notice;
use crate::task;

use super::outside::{Outside, Shared};

/// Notices that wait for the runner.
const NOTICES: usize = 64;
/// How late a value comes again at most, milliseconds.
const LATE_MS_MAX: u64 = 30_000;
const SOON_MS_MAX: u64 = 3_000;

/// What was said and will be said again.
#[derive(Default)]
pub(super) struct Echoes {
    /// To the host that lives.
    host: Option<mpsc::UnboundedSender<Notice>>,
    /// For the next one.
    unheard: Vec<Notice>,
}

/// Stands between the broker and the runner of a host that begins to live.
pub(super) fn between(outside: &Shared, said: mpsc::Receiver<Notice>) -> mpsc::Receiver<Notice> {
    let (runner, heard) = mpsc::channel(NOTICES);
    let (host, echoes) = mpsc::unbounded_channel();
    {
        let mut outside = outside.lock();
        outside.echoes.host = Some(host);
        for notice in std::mem::take(&mut outside.echoes.unheard) {
            outside.echo(notice);
        }
    }
    task::spawn("echoes", pass(outside.clone(), said, echoes, runner));
    heard
}

async fn pass(
    outside: Shared,
    mut said: mpsc::Receiver<Notice>,
    mut echoes: mpsc::UnboundedReceiver<Notice>,
    runner: mpsc::Sender<Notice>,
) {
    loop {
        let notice = tokio::select! {
            biased;
            Some(echo) = echoes.recv() => echo,
            said = said.recv() => {
                let Some(notice) = said else { return };
                let mut outside = outside.lock();
                if matches!(notice, Notice::Value { .. }) && outside.bad_luck(40) {
                    outside.echo(notice.clone());
                }
                notice
            }
        };
        if runner.send(notice).await.is_err() {
            return;
        }
    }
}

impl Outside {
    fn echo(&mut self, notice: Notice) {
        // Often soon, when the next attempt has just begun.
        let most = if self.luck.percent(60) {
            SOON_MS_MAX
        } else {
            LATE_MS_MAX
        };
        let late = self.luck.below(most);
        self.after(late, move |outside| outside.echoes.arrive(notice));
    }
}

impl Echoes {
    fn arrive(&mut self, notice: Notice) {
        let unheard = match &self.host {
            Some(host) => host.send(notice).err().map(|refused| refused.0),
            None => Some(notice),
        };
        self.unheard.extend(unheard);
    }

    /// The host has ended.
    pub(super) fn gone(&mut self) {
        self.host = None;
    }
}

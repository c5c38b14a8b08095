//! The network between the host and the server: every exchange takes its time; the request or the
//! answer may get lost, a request may arrive twice, and late: also when whoever asked has gone.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use grepx_engine::{Bytes, Message};
use tokio::sync::oneshot;

use crate::broker::simulated::Played;
use crate::broker::{SendError, Whereabouts};

use super::outside::{Outside, Shared};

/// How the host's client waits for an answer, milliseconds.
const TIMEOUT: Duration = Duration::from_millis(2_000);

fn away() -> SendError {
    SendError::Unavailable {
        connection: super::flows::CONNECTION.to_owned(),
        reason: "the server does not answer".to_owned(),
    }
}

/// One request and its answer.
async fn exchange<T, F>(outside: &Shared, ask: F) -> Result<T, SendError>
where
    T: Send + 'static,
    F: Fn(&mut Outside) -> T + Clone + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    let back = {
        let mut outside = outside.lock();
        if !outside.up {
            return Err(away());
        }
        let there = outside.luck.below(30);
        let back = outside.luck.ms(30);
        if outside.bad_luck(4) {
            let (twice, late) = (ask.clone(), outside.luck.below(4_000));
            outside.after(late, move |outside| drop(twice(outside)));
        }
        let is_late = outside.bad_luck(5);
        let there = there + if is_late { outside.luck.below(4_000) } else { 0 };
        let (no_request, no_answer) = (outside.bad_luck(4), outside.bad_luck(4));
        if !no_request {
            outside.after(there, move |outside| {
                let said = ask(outside);
                if outside.up && !no_answer {
                    let _ = answer.send(said);
                }
            });
        }
        back
    };
    match tokio::time::timeout(TIMEOUT, answered).await {
        Ok(Ok(said)) => {
            tokio::time::sleep(back).await;
            Ok(said)
        }
        Ok(Err(_)) | Err(_) => Err(away()),
    }
}

impl Played for Shared {
    fn enqueue(&self, message: Message, guard: String) -> BoxFuture<'_, Result<(), SendError>> {
        exchange(self, move |outside| outside.publish(&message, &guard)).boxed()
    }

    fn withdraw(&self, message: Message, guard: String, published: bool) -> BoxFuture<'_, Result<bool, SendError>> {
        exchange(self, move |outside| outside.withdraw(&message, &guard, published)).boxed()
    }

    fn revoke(&self, ids: Vec<String>, terminate: bool) -> BoxFuture<'_, Result<u64, SendError>> {
        let revoke = move |outside: &mut Outside| {
            outside.revoke(&ids, terminate);
            1
        };
        exchange(self, revoke).boxed()
    }

    fn read(&self, key: String) -> BoxFuture<'_, Option<Bytes>> {
        let read = exchange(self, move |outside| outside.result(&key));
        read.map(|read| read.ok().flatten()).boxed()
    }

    fn whereabouts(&self, messages: Vec<Message>) -> BoxFuture<'_, Result<Vec<Whereabouts>, SendError>> {
        let look = move |outside: &mut Outside| {
            let place = |message: &Message| match outside.knows(message) {
                true => Whereabouts::Known,
                false => Whereabouts::Nowhere { workers: 1 },
            };
            messages.iter().map(place).collect()
        };
        exchange(self, look).boxed()
    }

    fn give_up(&self, _messages: Vec<Message>) -> BoxFuture<'_, Result<(), SendError>> {
        exchange(self, |_| ()).boxed()
    }
}

//! Where messages are that have brought no result: in their list, with a worker, or nowhere.
//!
//! A message in `unacked` that no worker has is nowhere, too: its worker is gone, and Celery would
//! deliver it again after the visibility timeout (an hour, unless set). Whoever gives it up takes it
//! out of there first, so that it does not run after all.
//!
//! The places are looked at in the order in which a message passes them (list, worker, result), so
//! that one that moves on during the look is met at a later place. Only a worker that takes a message
//! between two commands of its own can hide it for an instant; who concludes something from
//! "nowhere" looks twice.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use grepx_celery::TaskMessage;
use grepx_engine::Message;

use super::Remote;
use super::workers::Asked;
use crate::broker::{SendError, Whereabouts};

/// Messages and bytes of one list that are searched: it is read at once, because what is taken from
/// it between two readings would move the rest. A longer list keeps its messages out of suspicion.
const SEARCHED_MAX: u64 = 4_000;
const SEARCHED_BYTES_MAX: u64 = 64 << 20;

/// One message that is looked for.
struct Sought {
    id: String,
    delivery_tag: String,
    list: String,
    result_key: Option<String>,
}

impl Remote {
    /// In the order of `messages`.
    pub(crate) async fn whereabouts(&self, messages: &[Message]) -> Result<Vec<Whereabouts>, SendError> {
        let sought = messages
            .iter()
            .map(|message| self.sought(message))
            .collect::<Result<Vec<_>, _>>()?;
        let mut lists: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
        for one in &sought {
            lists.entry(&one.list).or_default().insert(&one.id);
        }
        let mut queued = HashSet::new();
        let mut unread = BTreeSet::new();
        for (list, ids) in lists {
            match self.find_in(list, &ids).await? {
                Some(found) => queued.extend(found),
                None => drop(unread.insert(list)),
            }
        }
        let ids: Vec<String> = sought.iter().map(|one| one.id.clone()).collect();
        let (held, asked) = self.held_by_workers(&ids).await?;
        let answered = self.answered_keys(&sought).await?;
        let place = |(index, one): (usize, &Sought)| {
            if queued.contains(&one.id) || held.contains(&one.id) || answered[index] {
                Whereabouts::Known
            } else if unread.contains(one.list.as_str()) {
                Whereabouts::Unknown
            } else {
                nowhere(asked)
            }
        };
        Ok(sought.iter().enumerate().map(place).collect())
    }

    fn sought(&self, message: &Message) -> Result<Sought, SendError> {
        let received = TaskMessage::decode(message.body.as_ref()).map_err(|error| self.invalid(error.to_string()))?;
        Ok(Sought {
            id: received.message.id,
            delivery_tag: received.message.delivery_tag,
            list: self.list(message)?,
            result_key: message.meta.get("result-key").cloned(),
        })
    }

    /// Those of `ids` that lie in the list; `None` when it is too long to be searched.
    async fn find_in(&self, list: &str, ids: &HashSet<&str>) -> Result<Option<Vec<String>>, SendError> {
        let mut connection = self.connected()?;
        let mut size = redis::pipe();
        size.cmd("LLEN").arg(list);
        size.cmd("MEMORY").arg("USAGE").arg(list).arg("SAMPLES").arg(20);
        let (length, bytes): (u64, Option<u64>) = self.answered(size.query_async(&mut connection).await)?;
        if length > SEARCHED_MAX || bytes.unwrap_or(0) > SEARCHED_BYTES_MAX {
            return Ok(None);
        }
        let mut command = redis::cmd("LRANGE");
        command.arg(list).arg(0).arg(-1);
        let messages: Vec<Vec<u8>> = self.answered(command.query_async(&mut connection).await)?;
        let known = messages.iter().filter_map(|message| TaskMessage::id_of(message));
        Ok(Some(known.filter(|id| ids.contains(id.as_str())).collect()))
    }

    /// Takes messages that no worker has out of what Celery delivers again.
    pub(crate) async fn give_up(&self, messages: &[Message]) -> Result<(), SendError> {
        let prefix = &self.settings.layout.key_prefix;
        let mut pipe = redis::pipe();
        pipe.atomic();
        for message in messages {
            let tag = self.sought(message)?.delivery_tag;
            pipe.cmd("ZREM")
                .arg(format!("{prefix}unacked_index"))
                .arg(&tag)
                .ignore();
            pipe.cmd("HDEL").arg(format!("{prefix}unacked")).arg(&tag).ignore();
        }
        self.answered(pipe.query_async(&mut self.connected()?).await)
    }

    async fn answered_keys(&self, sought: &[Sought]) -> Result<Vec<bool>, SendError> {
        let mut connection = self.backend.connection().map_err(|reason| SendError::Unavailable {
            connection: self.settings.name.clone(),
            reason,
        })?;
        let mut pipe = redis::pipe();
        for one in sought {
            pipe.cmd("EXISTS").arg(one.result_key.as_deref().unwrap_or_default());
        }
        self.answered(pipe.query_async(&mut connection).await)
    }
}

/// A worker that did not answer may have it, and one without remote control is never heard: where
/// nobody listens, nothing is known.
fn nowhere(asked: Asked) -> Whereabouts {
    match asked {
        Asked { receivers: 0, .. } | Asked { silent: 1.., .. } => Whereabouts::Unknown,
        Asked { receivers, silent: 0 } => Whereabouts::Nowhere { workers: receivers },
    }
}

//! What shards are told, and by whom they are answered.

use std::collections::HashSet;
use std::sync::Arc;

use grepx_engine::{Definition, Due, Event, FlowRunId, Json, NodeId};
use tokio::sync::oneshot;

use crate::store::{self, Created, LogRow, NewRun, Planned};

use super::live::{Live, Work};
use super::lost::Found;
use super::tags::Slot;
use super::{Error, Triggered};

/// What arrives at a shard.
#[derive(Debug)]
pub(crate) enum Mail {
    Create {
        new: Box<NewRun>,
        planned: Option<Planned>,
        definition: Arc<Definition>,
        reply: oneshot::Sender<Result<Triggered, Error>>,
    },
    Created {
        run: FlowRunId,
        outcome: Result<Created, store::Error>,
        reply: oneshot::Sender<Result<Triggered, Error>>,
    },
    Event {
        run: FlowRunId,
        event: Event,
        reply: Option<oneshot::Sender<Result<(), Error>>>,
    },
    /// Another run of the deployment takes its place. Told again until it has gone.
    Displace {
        run: FlowRunId,
        reason: String,
    },
    /// Something that has happened outside, for whoever waits for it.
    Signal {
        run: FlowRunId,
        node: NodeId,
        /// When it is for one attempt only.
        attempt: Option<u32>,
        name: String,
        payload: Json,
        reply: Option<oneshot::Sender<Result<(), Error>>>,
    },
    /// Work that was dispatched is over.
    Done(Box<Done>),
    /// A commit is in the store; what waited for it may be done.
    Committed {
        run: FlowRunId,
        perform: Vec<Due>,
    },
    /// A commit is not in the store, so memory is wrong.
    Reload {
        run: FlowRunId,
    },
    /// `None` when there is nothing to go on with.
    Reloaded {
        run: FlowRunId,
        read: Result<Option<Box<Live>>, store::Error>,
    },
    /// Why nobody takes the messages of these nodes; `None` when it is not known any more.
    Explained {
        run: FlowRunId,
        nodes: Vec<NodeId>,
        reason: Option<Arc<str>>,
    },
    /// What a look for the message of a node has found.
    Sought(Found),
    /// Which builds suspended attempts need. `None` while a run is being read back.
    Builds {
        reply: oneshot::Sender<Option<HashSet<Arc<str>>>>,
    },
    /// Other plugins serve: what is held may go on.
    Look,
    /// A slot of a tag is free, and this node is the first in line.
    Again {
        run: FlowRunId,
        node: NodeId,
    },
    Drain {
        reply: oneshot::Sender<()>,
    },
}

#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) run: FlowRunId,
    pub(crate) node: NodeId,
    pub(crate) work: Work,
    /// Of the dispatch; an older one's answer does not end a newer one.
    pub(crate) ticket: u64,
    pub(crate) answer: Answer,
    pub(crate) logs: Vec<LogRow>,
}

#[derive(Debug)]
pub(crate) enum Answer {
    Event(Event),
    /// A node may begin, and has its slots of tags.
    Begin(Event, Slot),
    /// Cannot be done now, with the reason; it is tried again.
    Hold(String),
}

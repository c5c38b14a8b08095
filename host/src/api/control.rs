//! What the API asks of the runner. A trait, so that the answers of the API can be tested with a
//! runner that refuses, is away, or has long since moved on.

use std::fmt;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use grepx_engine::FlowRunId;

use crate::runner::{Error, RunRequest, Runner, Triggered};

pub trait Control: fmt::Debug + Send + Sync {
    fn trigger(&self, request: RunRequest) -> BoxFuture<'_, Result<Triggered, Error>>;
    fn cancel(&self, run: FlowRunId, reason: String) -> BoxFuture<'_, Result<(), Error>>;
    fn pause(&self, run: FlowRunId) -> BoxFuture<'_, Result<(), Error>>;
    fn resume(&self, run: FlowRunId) -> BoxFuture<'_, Result<(), Error>>;
}

impl Control for Runner {
    fn trigger(&self, request: RunRequest) -> BoxFuture<'_, Result<Triggered, Error>> {
        Self::trigger(self, request).boxed()
    }

    fn cancel(&self, run: FlowRunId, reason: String) -> BoxFuture<'_, Result<(), Error>> {
        Self::cancel(self, run, reason).boxed()
    }

    fn pause(&self, run: FlowRunId) -> BoxFuture<'_, Result<(), Error>> {
        Self::pause(self, run).boxed()
    }

    fn resume(&self, run: FlowRunId) -> BoxFuture<'_, Result<(), Error>> {
        Self::resume(self, run).boxed()
    }
}

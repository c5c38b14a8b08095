//! A stock `celery worker` that serves `tests/celery/grepx_tasks.py`.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::{Process, RedisServer, provided};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    Prefork,
    Solo,
}

#[derive(Debug)]
pub struct Worker {
    pub process: Process,
    _folder: TempDir,
}

impl Worker {
    /// A worker of `queues` (`celery` is the default one), ready for work.
    ///
    /// # Panics
    /// When Celery is not there or does not get ready.
    #[must_use]
    pub fn start(redis: &RedisServer, pool: Pool, queues: &str) -> Self {
        let mut worker = Self::spawn(redis, pool, queues);
        worker.process.wait_for_line(" ready.");
        worker
    }

    /// As `start`, without waiting.
    ///
    /// # Panics
    /// When Celery is not there.
    #[must_use]
    pub fn spawn(redis: &RedisServer, pool: Pool, queues: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tasks = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("celery");
        let mut command = Command::new(provided("GREPX_TEST_VENV").join("bin/celery"));
        command
            .current_dir(folder.path())
            .env("PYTHONPATH", tasks)
            .env("BROKER_URL", redis.url())
            .args([
                "-A",
                "grepx_tasks",
                "worker",
                "--loglevel=INFO",
                "-n",
                "test@localhost",
                "-Q",
                queues,
            ])
            .args(match pool {
                Pool::Prefork => ["--pool=prefork", "--concurrency=4"],
                Pool::Solo => ["--pool=solo", "--concurrency=1"],
            });
        let process = Process::start(command, &folder.path().join("worker.log"));
        Self {
            process,
            _folder: folder,
        }
    }
}

//! Questions to the workers by remote control. The answers of all three questions come through
//! one list, which is polled instead of popped with blocking: a blocking command would hold up
//! everything else on the shared connection.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use grepx_celery::control::{
    Answer, Command, MAX_IDS, Mailbox, Reply, ReplyTo, Request, queue_names, registered_names, task_places,
};
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::Remote;
use crate::broker::{Inspection, SendError, Worker};

/// How long an inspection may explain further waits.
const FRESH: Duration = Duration::from_secs(5);
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Nobody waits for this answer, and a worker that is not heard leaves everything open.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses between looks at the list of answers.
const POLL_MIN: Duration = Duration::from_millis(2);
const POLL_MAX: Duration = Duration::from_millis(50);
/// Answers taken at a time.
const BATCH: usize = 100;
/// What is asked, all at once.
const QUESTIONS: [Command; 3] = [Command::Ping, Command::Registered, Command::ActiveQueues];

/// How many workers got a question, and how many of them did not answer all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) receivers: u64,
    pub(crate) silent: u64,
}

/// The last inspection; whoever comes while one is made waits for it.
#[derive(Default)]
pub(crate) struct InspectionCache(Mutex<Option<(Instant, Inspection)>>);

/// Several commands to all workers, whose answers come to one list.
struct Question {
    mailbox: Mailbox,
    oid: String,
    /// Commands with their tickets.
    asked: Vec<(Command, String)>,
}

/// What the workers said.
struct Answers {
    /// Workers that got the question.
    receivers: u64,
    /// By worker; which of the commands, and the answer.
    said: BTreeMap<String, Vec<(usize, Answer)>>,
}

impl Remote {
    pub(crate) async fn inspect(&self, timeout: Duration) -> Result<Inspection, SendError> {
        let answers = self.question(QUESTIONS.to_vec(), timeout).await?;
        let workers = answers.said.into_iter().map(|(name, said)| {
            let mut worker = Worker {
                name: name.clone(),
                ..Worker::default()
            };
            for (asked, answer) in said {
                let Answer::Value(value) = answer else { continue };
                match QUESTIONS.get(asked) {
                    Some(Command::Registered) => worker.tasks = Some(registered_names(&value)),
                    Some(Command::ActiveQueues) => worker.queues = Some(queue_names(&value)),
                    _ => {}
                }
            }
            (name, worker)
        });
        Ok(Inspection::new(workers.collect(), answers.receivers))
    }

    /// Which of these tasks workers have, and how many workers got the question and did not answer.
    pub(crate) async fn held_by_workers(&self, ids: &[String]) -> Result<(BTreeSet<String>, Asked), SendError> {
        let commands: Vec<Command> = ids
            .chunks(MAX_IDS)
            .map(|ids| Command::QueryTask { ids: ids.to_vec() })
            .collect();
        let parts = commands.len();
        let answers = self.question(commands, QUERY_TIMEOUT).await?;
        let mut held = BTreeSet::new();
        let mut complete = 0;
        for said in answers.said.into_values() {
            complete += u64::from(said.len() == parts);
            for (_, answer) in said {
                if let Answer::Value(value) = answer {
                    held.extend(task_places(&value).into_keys());
                }
            }
        }
        let asked = Asked {
            receivers: answers.receivers,
            silent: answers.receivers.saturating_sub(complete),
        };
        Ok((held, asked))
    }

    async fn question(&self, commands: Vec<Command>, timeout: Duration) -> Result<Answers, SendError> {
        let mut connection = self.connected()?;
        let question = Question::new(&self.mailbox, commands);
        let receivers = self.ask(&question, &mut connection).await?;
        let said = self.collect(&question, receivers, timeout, &mut connection).await;
        let mut tidy = redis::pipe();
        tidy.cmd("SREM").arg(self.mailbox.binding_key()).arg(question.member());
        tidy.cmd("DEL").arg(question.list());
        // What stays behind is small; the answer counts.
        let _ = tidy.query_async::<()>(&mut connection).await;
        Ok(Answers { receivers, said: said? })
    }

    pub(crate) async fn explain_wait(&self, queue: &str, task: &str) -> Option<String> {
        let queue = match queue {
            "" => &self.settings.default_queue,
            queue => queue,
        };
        let mut cache = self.inspection.0.lock().await;
        let fresh = cache.as_ref().is_some_and(|(at, _)| at.elapsed() < FRESH);
        if !fresh {
            match self.inspect(EXPLAIN_TIMEOUT).await {
                Ok(inspection) => *cache = Some((Instant::now(), inspection)),
                Err(error) => return Some(error.to_string()),
            }
        }
        let (_, inspection) = cache.as_ref()?;
        let waiting = match self.waiting_in(queue).await {
            Ok(waiting) => waiting,
            Err(error) => return Some(error.to_string()),
        };
        inspection.explain(&self.settings.name, queue, task, waiting)
    }

    pub(crate) async fn explain_silence(&self, queue: &str) -> Option<String> {
        let waiting = self.waiting_in(queue).await.ok()?;
        (waiting == 0).then(|| {
            let backend = self.status().result_url;
            format!(
                "a worker has taken it, and no result stands in {backend} yet: it runs, \
                 or the workers store their results elsewhere (their result_backend has to be this one)"
            )
        })
    }

    /// Messages in all lists of a queue.
    async fn waiting_in(&self, queue: &str) -> Result<u64, SendError> {
        let mut pipe = redis::pipe();
        for list in self.settings.layout.lists(queue) {
            pipe.cmd("LLEN").arg(list);
        }
        let lengths: Vec<u64> = self.answered(pipe.query_async(&mut self.connected()?).await)?;
        Ok(lengths.into_iter().sum())
    }

    /// Publishes the questions; returns how many workers got them.
    async fn ask(&self, question: &Question, connection: &mut MultiplexedConnection) -> Result<u64, SendError> {
        let mut pipe = redis::pipe();
        let binding = pipe.cmd("SADD").arg(self.mailbox.binding_key());
        binding.arg(question.member()).ignore();
        for request in question.requests() {
            let request = request
                .encode(&self.mailbox)
                .map_err(|error| self.invalid(error.to_string()))?;
            pipe.cmd("PUBLISH").arg(self.mailbox.channel()).arg(request);
        }
        let receivers: Vec<u64> = self.answered(pipe.query_async(connection).await)?;
        Ok(receivers.into_iter().min().unwrap_or(0))
    }

    async fn collect(
        &self,
        question: &Question,
        receivers: u64,
        timeout: Duration,
        connection: &mut MultiplexedConnection,
    ) -> Result<BTreeMap<String, Vec<(usize, Answer)>>, SendError> {
        let until = Instant::now() + timeout;
        let mut said = BTreeMap::new();
        let mut missing = receivers.saturating_mul(question.asked.len() as u64);
        let mut pause = POLL_MIN;
        while missing > 0 {
            let mut command = redis::cmd("RPOP");
            command.arg(question.list()).arg(BATCH);
            let replies: Option<Vec<Vec<u8>>> = self.answered(command.query_async(connection).await)?;
            for reply in replies.unwrap_or_default() {
                missing = missing.saturating_sub(1);
                question.note(&reply, &mut said);
            }
            let now = Instant::now();
            if now >= until {
                break;
            }
            if missing > 0 {
                tokio::time::sleep(pause.min(until - now)).await;
                pause = (pause * 2).min(POLL_MAX);
            }
        }
        Ok(said)
    }
}

impl Question {
    fn new(mailbox: &Mailbox, commands: Vec<Command>) -> Self {
        let ticket = |command| (command, Uuid::new_v4().to_string());
        Self {
            mailbox: mailbox.clone(),
            oid: Uuid::new_v4().to_string(),
            asked: commands.into_iter().map(ticket).collect(),
        }
    }

    fn member(&self) -> String {
        self.mailbox.binding_member(&self.oid)
    }

    fn list(&self) -> String {
        self.mailbox.reply_list(&self.oid)
    }

    fn requests(&self) -> impl Iterator<Item = Request> {
        self.asked.iter().map(|(command, ticket)| {
            let mut request = Request::new(command.clone(), &Uuid::new_v4().to_string());
            request.reply_to = Some(ReplyTo {
                oid: self.oid.clone(),
                ticket: ticket.clone(),
            });
            request
        })
    }

    fn note(&self, reply: &[u8], said: &mut BTreeMap<String, Vec<(usize, Answer)>>) {
        let reply = match Reply::decode(reply) {
            Ok(reply) => reply,
            Err(error) => {
                tracing::debug!("an answer of a worker cannot be read: {error}");
                return;
            }
        };
        let ticket = reply.ticket.as_deref().unwrap_or_default();
        if let Some(asked) = self.asked.iter().position(|(_, own)| own == ticket) {
            said.entry(reply.worker).or_default().push((asked, reply.answer));
        }
    }
}

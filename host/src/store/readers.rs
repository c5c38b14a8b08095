//! Reads, each on a blocking thread with a connection of its own that cannot write. As many at
//! once as there are connections; the others wait their turn.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::health::Health;
use super::{Error, open};

#[derive(Clone, Debug)]
pub(super) struct Readers {
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
    health: Health,
    #[cfg(test)]
    in_line: Option<Arc<dyn super::InLine>>,
}

/// A connection that goes back on drop, also when the read panics.
struct Lent<'a> {
    idle: &'a Mutex<Vec<Connection>>,
    connection: Option<Connection>,
}

impl Readers {
    pub(super) fn open(path: &Path, readers: usize, health: Health) -> Result<Self, Error> {
        let idle: Vec<Connection> = (0..readers.max(1))
            .map(|_| open::reader(path))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            turns: Arc::new(Semaphore::new(idle.len())),
            idle: Arc::new(Mutex::new(idle)),
            health,
            #[cfg(test)]
            in_line: None,
        })
    }

    #[cfg(test)]
    pub(super) fn in_line(self, in_line: Option<Arc<dyn super::InLine>>) -> Self {
        Self { in_line, ..self }
    }

    /// Then a read must not wait for whoever takes its rows.
    #[cfg(test)]
    pub(super) fn is_in_line(&self) -> bool {
        self.in_line.is_some()
    }

    /// Runs `work` in one read transaction, so that it sees one state of the store.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(|_| Error::Closed)?;
        let idle = Arc::clone(&self.idle);
        let read = move || {
            // Dropped last: whoever gets the turn finds the connection.
            let _turn = turn;
            let lent = Lent::take(&idle);
            let connection = lent.connection.as_ref().expect("given back only on drop");
            let transaction = connection.unchecked_transaction()?;
            work(&transaction)
        };
        #[cfg(test)]
        if let Some(pace) = &self.in_line {
            pace.before_read().await;
            return read();
        }
        let reading = tokio::task::spawn_blocking(read);
        match reading.await {
            Ok(Err(error @ Error::Corrupt { .. })) => {
                self.health.begins(&error);
                Err(error)
            }
            Ok(read) => read,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::Closed),
            },
        }
    }
}

impl<'a> Lent<'a> {
    fn take(idle: &'a Mutex<Vec<Connection>>) -> Self {
        let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self { idle, connection }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
    }
}

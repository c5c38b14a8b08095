//! API keys: whose digest it is, what it may do, until when. The keys themselves are never here.
//!
//! Absent on purpose: what a key looks like and how it is compared (the API's door).

use std::fmt;

use grepx_engine::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use uuid::Uuid;

use super::rows::{self, blob};
use super::writer::Writing;
use super::{Error, Store};

/// Keys that are kept, revoked ones included: every request looks through all of them.
pub const KEYS_MAX: usize = 1_000;

/// What a key may do; each one includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// See everything.
    Read,
    /// Start, steer and switch.
    Run,
    /// Plugins, keys, the audit log, deleting.
    Admin,
}

impl Scope {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Admin => "admin",
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Read, Self::Run, Self::Admin]
            .into_iter()
            .find(|scope| scope.as_str() == word)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// SHA-256 of a key.
pub type Digest = [u8; 32];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    pub id: Uuid,
    /// Of all keys that are not revoked, one has it.
    pub name: String,
    pub digest: Digest,
    pub scope: Scope,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    pub key: NewKey,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl KeyRow {
    /// Neither revoked nor expired.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.key.expires_at.is_none_or(|end| now < end)
    }
}

impl Store {
    /// # Errors
    /// When the name is taken, when there are [`KEYS_MAX`] keys that are not revoked, or when
    /// nothing was kept.
    pub async fn create_key(&self, key: NewKey) -> Result<(), Error> {
        self.write(move |writing| create(writing, &key)).await
    }

    /// False when there is no such key. One that is revoked stays so from the first time.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn revoke_key(&self, id: Uuid, at: Timestamp) -> Result<bool, Error> {
        self.write(move |writing| revoke(writing, id, at)).await
    }
}

fn create(writing: &Writing<'_>, key: &NewKey) -> Result<(), Error> {
    let sql = writing.sql;
    let keys = sql.query_row("SELECT count(*) AS n FROM api_keys", [], |row| rows::number(row, "n"))?;
    if keys >= KEYS_MAX as u64 {
        let oldest = "DELETE FROM api_keys WHERE id = (SELECT id FROM api_keys WHERE revoked_at IS NOT NULL \
                      ORDER BY revoked_at LIMIT 1)";
        if sql.execute(oldest, [])? == 0 {
            return Err(Error::KeysFull { max: KEYS_MAX });
        }
    }
    let put = "INSERT INTO api_keys (id, name, digest, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)";
    let values = params![
        blob(&key.id),
        key.name,
        key.digest,
        key.scope.as_str(),
        key.created_at.0,
        key.expires_at.map(|at| at.0)
    ];
    sql.execute(put, values)
        .map_err(|source| match source.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Error::KeyNameTaken(key.name.clone()),
            _ => source.into(),
        })?;
    Ok(())
}

fn revoke(writing: &Writing<'_>, id: Uuid, at: Timestamp) -> Result<bool, Error> {
    let known: Option<i64> = writing
        .sql
        .query_row("SELECT 1 FROM api_keys WHERE id = ?", [blob(&id)], |row| row.get(0))
        .optional()?;
    let put = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?";
    writing.sql.execute(put, params![at.0, blob(&id)])?;
    Ok(known.is_some())
}

pub(super) fn used(sql: &Connection, id: Uuid, at: Timestamp) -> Result<(), Error> {
    let mut put =
        sql.prepare_cached("UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?")?;
    put.execute(params![at.0, blob(&id)])?;
    Ok(())
}

/// The newest first.
pub(super) fn all(sql: &Connection) -> Result<Vec<KeyRow>, Error> {
    let mut select = sql.prepare_cached("SELECT * FROM api_keys ORDER BY created_at DESC, id DESC")?;
    let found = select.query_map([], row)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn row(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    let scope: String = row.get("scope")?;
    Ok(KeyRow {
        key: NewKey {
            id: rows::uuid(row, "id")?,
            name: row.get("name")?,
            digest: row.get("digest")?,
            // A word of a newer host: the least that there is.
            scope: Scope::parse(&scope).unwrap_or(Scope::Read),
            created_at: rows::time(row, "created_at")?,
            expires_at: rows::maybe_time(row, "expires_at")?,
        },
        last_used_at: rows::maybe_time(row, "last_used_at")?,
        revoked_at: rows::maybe_time(row, "revoked_at")?,
    })
}

#[cfg(test)]
mod tests;

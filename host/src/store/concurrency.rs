//! Concurrency limits with a name of their own, and who holds their slots. A slot is held by a
//! lease that ends by itself, so nobody who dies keeps one; a limit that decays gives its slots
//! back over time and is a limit of a rate.
//!
//! Occupancy is the sum of the leases that have not ended, in the transaction that gives slots
//! away; there is no counter that could drift.
//!
//! Absent on purpose: slots of tags. They are held by live task runs, which the runner knows.

use grepx_engine::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use uuid::Uuid;

use super::rows::{self, blob};
use super::writer::Writing;
use super::{Error, Store};

/// Limits that are kept at most.
pub const CONCURRENCY_LIMITS_MAX: u64 = 1_000;
/// What the name of a tag's limit begins with.
pub const TAG_PREFIX: &str = "tag:";

#[derive(Debug, Clone, PartialEq)]
pub struct ConcurrencyLimit {
    pub id: Uuid,
    pub name: String,
    pub slots: u32,
    /// An inactive one limits nothing.
    pub active: bool,
    /// Slots that are given back in a second; 0: only by those who hold them.
    pub decay_per_second: f64,
    /// Slots that are taken.
    pub taken: f64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What is `Some` takes the place of what was.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LimitChange {
    pub name: Option<String>,
    pub slots: Option<u32>,
    pub active: Option<bool>,
    pub decay_per_second: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitKey {
    Id(Uuid),
    Name(String),
}

/// Slots of some limits, all of them or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotsAsked {
    /// Those that do not exist limit nothing.
    pub names: Vec<String>,
    pub slots: u32,
    /// `None`: only of limits that decay.
    pub lease: Option<NewLease>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLease {
    pub id: Uuid,
    pub expires_at: Timestamp,
    /// For people.
    pub holder: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SlotsGiven {
    All(Vec<ConcurrencyLimit>),
    /// Somebody else has them; worth asking again after these seconds.
    Full {
        name: String,
        wait_seconds: f64,
    },
    /// A limit has never as many.
    TooMany {
        name: String,
        slots: u32,
    },
    /// A limit that does not decay, and no lease.
    NoLease {
        name: String,
    },
}

impl Store {
    /// # Errors
    /// When the name is taken, when there are [`CONCURRENCY_LIMITS_MAX`], or when it was not kept.
    pub async fn create_limit(&self, limit: ConcurrencyLimit) -> Result<(), Error> {
        self.write(move |writing| create(writing, &limit)).await
    }

    /// False when there is none.
    ///
    /// # Errors
    /// When the new name is taken, or when it was not kept.
    pub async fn change_limit(&self, key: LimitKey, change: LimitChange, now: Timestamp) -> Result<bool, Error> {
        self.write(move |writing| alter(writing, &key, &change, now)).await
    }

    /// With its leases. False when there is none.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn delete_limit(&self, key: LimitKey) -> Result<bool, Error> {
        self.write(move |writing| delete(writing, &key)).await
    }

    /// Takes slots of every active limit that is named, or of none.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn take_slots(&self, asked: SlotsAsked, now: Timestamp) -> Result<SlotsGiven, Error> {
        self.write(move |writing| take(writing, &asked, now)).await
    }

    /// False when the lease has ended or was given back.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn renew_lease(&self, lease: Uuid, expires_at: Timestamp, now: Timestamp) -> Result<bool, Error> {
        self.write(move |writing| {
            let mut renew = writing
                .sql
                .prepare_cached("UPDATE leases SET expires_at = ? WHERE id = ? AND expires_at > ?")?;
            Ok(renew.execute(params![expires_at.0, blob(&lease), now.0])? > 0)
        })
        .await
    }

    /// Gives back what a lease holds.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn end_lease(&self, lease: Uuid) -> Result<(), Error> {
        self.write(move |writing| {
            let mut end = writing.sql.prepare_cached("DELETE FROM leases WHERE id = ?")?;
            end.execute([blob(&lease)])?;
            Ok(())
        })
        .await
    }
}

/// All of them, by name, as they stand at `now`.
pub(super) fn all(sql: &Connection, now: Timestamp) -> Result<Vec<ConcurrencyLimit>, Error> {
    let mut select = sql.prepare_cached(&format!("SELECT {COLUMNS} FROM concurrency_limits c ORDER BY c.name"))?;
    let found = select.query_map([now.0], |row| limit(row, now))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The mark is the time at which leases must not have ended.
const COLUMNS: &str = "c.*, (SELECT coalesce(sum(l.slots), 0) FROM leases l \
     WHERE l.limit_id = c.id AND l.expires_at > ?) AS leased";

fn limit(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<ConcurrencyLimit> {
    let decay_per_second: f64 = row.get("decay_per_second")?;
    let filled_at = rows::time(row, "filled_at")?;
    let filled: f64 = row.get("filled")?;
    let leased: f64 = row.get("leased")?;
    #[allow(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
    let seconds = now.since_ms(filled_at) as f64 / 1_000.0;
    let decayed = (filled - decay_per_second * seconds).max(0.0);
    Ok(ConcurrencyLimit {
        id: rows::uuid(row, "id")?,
        name: row.get("name")?,
        slots: row.get("slots")?,
        active: row.get("active")?,
        decay_per_second,
        taken: if decay_per_second > 0.0 { decayed } else { leased },
        created_at: rows::time(row, "created_at")?,
        updated_at: rows::time(row, "updated_at")?,
    })
}

fn create(writing: &Writing<'_>, limit: &ConcurrencyLimit) -> Result<(), Error> {
    let count = "SELECT count(*) AS n FROM concurrency_limits";
    let known = writing.sql.query_row(count, [], |row| rows::number(row, "n"))?;
    if known >= CONCURRENCY_LIMITS_MAX {
        return Err(Error::LimitsFull {
            max: CONCURRENCY_LIMITS_MAX,
        });
    }
    let mut put = writing.sql.prepare_cached(
        "INSERT INTO concurrency_limits (id, name, slots, active, decay_per_second, filled, filled_at, created_at, \
         updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7)",
    )?;
    put.execute(params![
        blob(&limit.id),
        limit.name,
        limit.slots,
        limit.active,
        limit.decay_per_second,
        if limit.decay_per_second > 0.0 { limit.taken } else { 0.0 },
        limit.created_at.0
    ])
    .map_err(|source| taken(source, &limit.name))?;
    Ok(())
}

fn taken(source: rusqlite::Error, name: &str) -> Error {
    match source.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Error::LimitNameTaken(name.to_owned()),
        _ => source.into(),
    }
}

fn alter(writing: &Writing<'_>, key: &LimitKey, change: &LimitChange, now: Timestamp) -> Result<bool, Error> {
    let Some(before) = find(writing.sql, key, now)? else {
        return Ok(false);
    };
    let name = change.name.as_ref().unwrap_or(&before.name);
    let decay = change.decay_per_second.unwrap_or(before.decay_per_second);
    let mut update = writing.sql.prepare_cached(
        "UPDATE concurrency_limits SET name = ?2, slots = ?3, active = ?4, decay_per_second = ?5, filled = ?6, \
         filled_at = ?7, updated_at = ?7 WHERE id = ?1",
    )?;
    update
        .execute(params![
            blob(&before.id),
            name,
            change.slots.unwrap_or(before.slots),
            change.active.unwrap_or(before.active),
            decay,
            if before.decay_per_second > 0.0 {
                before.taken
            } else {
                0.0
            },
            now.0
        ])
        .map_err(|source| taken(source, name))?;
    Ok(true)
}

fn delete(writing: &Writing<'_>, key: &LimitKey) -> Result<bool, Error> {
    let Some(limit) = find(writing.sql, key, Timestamp(0))? else {
        return Ok(false);
    };
    for statement in [
        "DELETE FROM leases WHERE limit_id = ?",
        "DELETE FROM concurrency_limits WHERE id = ?",
    ] {
        writing.sql.prepare_cached(statement)?.execute([blob(&limit.id)])?;
    }
    Ok(true)
}

fn take(writing: &Writing<'_>, asked: &SlotsAsked, now: Timestamp) -> Result<SlotsGiven, Error> {
    let mut ended = writing.sql.prepare_cached("DELETE FROM leases WHERE expires_at <= ?")?;
    ended.execute([now.0])?;
    let mut limits = Vec::new();
    for name in &asked.names {
        let found = find(writing.sql, &LimitKey::Name(name.clone()), now)?;
        limits.extend(
            found.filter(|limit| limit.active && limits.iter().all(|known: &ConcurrencyLimit| known.id != limit.id)),
        );
    }
    for limit in &limits {
        if let Some(refusal) = refuses(limit, asked) {
            return Ok(refusal);
        }
    }
    for limit in &limits {
        if limit.decay_per_second > 0.0 {
            let mut fill = writing
                .sql
                .prepare_cached("UPDATE concurrency_limits SET filled = ?, filled_at = ? WHERE id = ?")?;
            fill.execute(params![limit.taken + f64::from(asked.slots), now.0, blob(&limit.id)])?;
        } else if let Some(lease) = &asked.lease {
            let mut put = writing.sql.prepare_cached(
                "INSERT INTO leases (limit_id, id, slots, holder, since, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
            )?;
            put.execute(params![
                blob(&limit.id),
                blob(&lease.id),
                asked.slots,
                lease.holder,
                now.0,
                lease.expires_at.0
            ])?;
        }
    }
    Ok(SlotsGiven::All(limits))
}

/// Between two tries for a slot that its holder gives back.
const WAIT_SECONDS: f64 = 1.0;
/// Nobody is told to wait longer.
const WAIT_SECONDS_MAX: f64 = 30.0;

fn refuses(limit: &ConcurrencyLimit, asked: &SlotsAsked) -> Option<SlotsGiven> {
    let name = limit.name.clone();
    let decays = limit.decay_per_second > 0.0;
    if asked.slots > limit.slots {
        return Some(SlotsGiven::TooMany {
            name,
            slots: limit.slots,
        });
    }
    if asked.lease.is_none() && !decays {
        return Some(SlotsGiven::NoLease { name });
    }
    let missing = limit.taken + f64::from(asked.slots) - f64::from(limit.slots);
    (missing > 0.0).then(|| SlotsGiven::Full {
        name,
        wait_seconds: if decays {
            (missing / limit.decay_per_second).min(WAIT_SECONDS_MAX)
        } else {
            WAIT_SECONDS
        },
    })
}

fn find(sql: &Connection, key: &LimitKey, now: Timestamp) -> Result<Option<ConcurrencyLimit>, Error> {
    let by = match key {
        LimitKey::Id(_) => "id",
        LimitKey::Name(_) => "name",
    };
    let mut select = sql.prepare_cached(&format!("SELECT {COLUMNS} FROM concurrency_limits c WHERE c.{by} = ?"))?;
    let found = match key {
        LimitKey::Id(id) => select.query_row(params![now.0, blob(id)], |row| limit(row, now)),
        LimitKey::Name(name) => select.query_row(params![now.0, name], |row| limit(row, now)),
    };
    Ok(found.optional()?)
}

#[cfg(test)]
mod tests;

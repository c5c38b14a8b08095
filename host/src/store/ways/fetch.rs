//! Ways to rows that are few enough to be sorted: by what they may be looked up, and how many each
//! way would meet.

use rusqlite::{Connection, params_from_iter};

use super::super::Error;
use super::super::filter::{Choice, Join, Period, Tags};
use super::{Clause, FETCH_MAX};

/// Tags that are counted to find the rarest.
const TAGS_MAX: usize = 8;

/// A table of runs, and how a row of it is found.
pub(super) struct Table {
    pub(super) from: &'static str,
    /// The index of the key, and its columns.
    pub(super) by_key: &'static str,
    pub(super) key: &'static str,
    /// The table that says who has a tag, and the key there.
    pub(super) tags: &'static str,
    pub(super) key_of_tag: &'static str,
}

/// A way to rows that have to be sorted, and how many there are.
pub(super) struct Fetch {
    pub(super) rows: i64,
    pub(super) index: &'static str,
    pub(super) clause: Clause,
}

pub(super) struct Fetches<'a> {
    sql: &'a Connection,
    table: &'static Table,
    /// The index in the order of the answer: to be looked up by is not what it is for.
    along: &'static str,
    found: Vec<Fetch>,
}

impl<'a> Fetches<'a> {
    pub(super) const fn new(sql: &'a Connection, table: &'static Table, along: &'static str) -> Self {
        Self {
            sql,
            table,
            along,
            found: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, rows: i64, index: &'static str, clause: Clause) {
        self.found.push(Fetch { rows, index, clause });
    }

    /// Counts the rows, and adds the way if they are few.
    pub(super) fn by(&mut self, index: &'static str, clause: Clause) -> Result<(), Error> {
        let from = format!("{} INDEXED BY {index}", self.table.from);
        if let Some(rows) = self.few(&from, &clause)? {
            self.add(rows, index, clause);
        }
        Ok(())
    }

    pub(super) fn by_tags(&mut self, tags: &Tags) -> Result<(), Error> {
        let Table {
            tags: from,
            key,
            key_of_tag,
            by_key,
            ..
        } = self.table;
        for tags in demanded(tags) {
            let tagged = Clause::of(|conditions| conditions.choice("g.tag", &Choice::any(tags)));
            if let Some(rows) = self.few(from, &tagged)? {
                let sql = format!("{key} IN (SELECT {key_of_tag} FROM {from} WHERE {})", tagged.sql);
                self.add(rows, by_key, tagged.with(sql));
            }
        }
        Ok(())
    }

    pub(super) fn by_periods(&mut self, periods: [(&Period, &str, &'static str); 3]) -> Result<(), Error> {
        for (period, column, index) in periods {
            if index != self.along && bounds(period) {
                self.by(index, Clause::of(|conditions| conditions.period(column, period)))?;
            }
        }
        Ok(())
    }

    /// The way to the fewest rows; `None` when there are none. Without any it is along the index of
    /// the answer, past all rows.
    pub(super) fn least(self) -> Option<Fetch> {
        let past_all = Fetch {
            rows: i64::MAX,
            index: self.along,
            clause: Clause::any(),
        };
        let least = self.found.into_iter().chain([past_all]).min_by_key(|fetch| fetch.rows);
        least.filter(|fetch| fetch.rows > 0)
    }

    /// How many rows there are, if at most [`FETCH_MAX`].
    pub(super) fn few(&self, from: &str, clause: &Clause) -> Result<Option<i64>, Error> {
        let select = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {from} WHERE {} LIMIT {})",
            clause.sql,
            FETCH_MAX + 1
        );
        let mut select = self.sql.prepare_cached(&select)?;
        let rows: i64 = select.query_row(params_from_iter(&clause.values), |row| row.get(0))?;
        Ok((rows <= FETCH_MAX).then_some(rows))
    }
}

/// Lists of tags, of each of which a run has to have one.
pub(super) fn demanded(tags: &Tags) -> Vec<Vec<String>> {
    if tags.join == Join::Any {
        return Vec::new();
    }
    let all = tags.all.iter().flatten().take(TAGS_MAX).map(|tag| vec![tag.clone()]);
    all.chain(tags.any.clone()).collect()
}

fn bounds(period: &Period) -> bool {
    period.after.is_some() || period.before.is_some()
}

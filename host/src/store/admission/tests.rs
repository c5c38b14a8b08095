//! Random changes, in groups as the writer makes them, against a model that is too simple to be
//! wrong: as long as somebody may have a slot, the first in line gets it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use grepx_engine::FlowRunId;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rusqlite::Connection;

use super::super::limits;
use super::super::model::{PoolLimits, QueueLimits, SlotChange, SlotNews, Switch};
use super::super::open;
use super::super::slots;
use super::super::testing::{at, id};
use super::super::writer::Writing;
use super::{admit, change};

const RUNS: u128 = 12;
const POOLS: [&str; 2] = ["a", "b"];
const QUEUES: [&str; 3] = ["x", "y", "z"];

#[derive(Debug, Clone)]
enum Change {
    Wait {
        run: u128,
        pool: usize,
        queue: usize,
        expected: i64,
        since: i64,
    },
    Release(u128),
    Sync(Vec<PoolLimits>),
    Switch(usize, Option<usize>, Switch),
    Clear(usize, Option<usize>),
}

fn limit() -> impl Strategy<Value = Option<u32>> {
    option::weighted(0.8, 0_u32..4)
}

fn pools() -> impl Strategy<Value = Vec<PoolLimits>> {
    let queue = (1_u32..3, limit(), prop::bool::weighted(0.2));
    // The last queue is never listed.
    let pool = (
        prop::bool::weighted(0.9),
        limit(),
        prop::bool::weighted(0.2),
        vec(queue, 0..QUEUES.len()),
    );
    vec(pool, POOLS.len()).prop_map(|pools| {
        let named = POOLS.iter().zip(pools).filter(|(_, (there, ..))| *there);
        named
            .map(|(name, (_, concurrency_limit, paused, queues))| PoolLimits {
                name: (*name).to_owned(),
                concurrency_limit,
                paused,
                queues: QUEUES
                    .iter()
                    .zip(queues)
                    .map(|(name, (priority, concurrency_limit, paused))| QueueLimits {
                        name: (*name).to_owned(),
                        priority,
                        concurrency_limit,
                        paused,
                    })
                    .collect(),
            })
            .collect()
    })
}

fn changes() -> impl Strategy<Value = Change> {
    let place = (0..POOLS.len(), option::of(0..QUEUES.len()));
    let switch = (option::of(any::<bool>()), option::of(limit()), option::of(1_u32..3));
    prop_oneof![
        6 => (0..RUNS, 0..POOLS.len(), 0..QUEUES.len(), 0_i64..3, 0_i64..3).prop_map(
            |(run, pool, queue, expected, since)| Change::Wait { run, pool, queue, expected, since }
        ),
        4 => (0..RUNS).prop_map(Change::Release),
        1 => pools().prop_map(Change::Sync),
        1 => (place.clone(), switch).prop_map(|((pool, queue), (paused, concurrency_limit, priority))| {
            Change::Switch(pool, queue, Switch { paused, concurrency_limit, priority })
        }),
        1 => place.prop_map(|(pool, queue)| Change::Clear(pool, queue)),
    ]
}

#[derive(Default)]
struct Model {
    pools: Vec<PoolLimits>,
    switches: BTreeMap<(usize, Option<usize>), Switch>,
    /// Run → pool, queue, expected start, since, held.
    slots: BTreeMap<u128, (usize, usize, i64, i64, bool)>,
}

impl Model {
    /// Runs that are told of a slot that they have already.
    fn apply(&mut self, change: &Change) -> Option<u128> {
        match change {
            Change::Wait {
                run,
                pool,
                queue,
                expected,
                since,
            } => {
                if let Some((p, q, _, _, held)) = self.slots.get(run)
                    && (p, q) == (pool, queue)
                {
                    // Asked again: it keeps its place.
                    return held.then_some(*run);
                }
                self.slots.insert(*run, (*pool, *queue, *expected, *since, false));
            }
            Change::Release(run) => {
                self.slots.remove(run);
            }
            Change::Sync(pools) => self.pools.clone_from(pools),
            Change::Switch(pool, queue, new) => {
                let switch = self.switches.entry((*pool, *queue)).or_default();
                switch.paused = new.paused.or(switch.paused);
                switch.concurrency_limit = new.concurrency_limit.or(switch.concurrency_limit);
                switch.priority = new.priority.or(switch.priority);
            }
            Change::Clear(pool, queue) => {
                self.switches.remove(&(*pool, *queue));
            }
        }
        None
    }

    fn admit(&mut self) -> BTreeSet<u128> {
        let mut admitted = BTreeSet::new();
        while let Some(run) = self.next() {
            self.slots.get_mut(&run).expect("it waits").4 = true;
            admitted.insert(run);
        }
        admitted
    }

    fn next(&self) -> Option<u128> {
        let waiting = self.slots.iter().filter(|(_, slot)| !slot.4);
        waiting
            .filter_map(|(run, &(pool, queue, expected, since, _))| {
                let limits = self.pools.iter().find(|limits| limits.name == POOLS[pool])?;
                self.room(pool, None, limits.concurrency_limit, limits.paused)?;
                let listed = limits.queues.iter().find(|limits| limits.name == QUEUES[queue]);
                let (limit, paused) = listed.map_or((None, false), |q| (q.concurrency_limit, q.paused));
                self.room(pool, Some(queue), limit, paused)?;
                let switched = self
                    .switches
                    .get(&(pool, Some(queue)))
                    .and_then(|switch| switch.priority);
                let priority = switched.or(listed.map(|queue| queue.priority)).unwrap_or(u32::MAX);
                Some((priority, expected, since, *run))
            })
            .min()
            .map(|(.., run)| run)
    }

    fn room(&self, pool: usize, queue: Option<usize>, limit: Option<u32>, paused: bool) -> Option<()> {
        let switch = self.switches.get(&(pool, queue)).copied().unwrap_or_default();
        let limit = switch.concurrency_limit.unwrap_or(limit);
        let held = self.slots.values();
        let held = held.filter(|slot| slot.4 && slot.0 == pool && queue.is_none_or(|queue| slot.1 == queue));
        let full = limit.is_some_and(|limit| held.count() >= limit as usize);
        (!full && !switch.paused.unwrap_or(paused)).then_some(())
    }
}

fn apply(writing: &mut Writing<'_>, change_: &Change) {
    let queue = |queue: &Option<usize>| queue.map(|queue| QUEUES[queue]);
    match change_ {
        Change::Wait {
            run,
            pool,
            queue,
            expected,
            since,
        } => change(
            writing,
            id(*run),
            &SlotChange::Wait {
                pool: POOLS[*pool].to_owned(),
                queue: QUEUES[*queue].to_owned(),
                deployment: None,
                since: at(*since),
                expected_start: at(*expected),
            },
        ),
        Change::Release(run) => change(writing, id(*run), &SlotChange::Release),
        Change::Sync(pools) => limits::sync(writing, pools),
        Change::Switch(pool, of, switch) => limits::set_switch(writing, POOLS[*pool], queue(of), *switch),
        Change::Clear(pool, of) => limits::clear_switch(writing, POOLS[*pool], queue(of)),
    }
    .expect("every change can be made");
}

fn memory() -> Connection {
    let mut connection = Connection::open_in_memory().expect("memory");
    open::migrate(&mut connection, Path::new(":memory:")).expect("the schema");
    connection
}

fn writing(sql: &Connection) -> Writing<'_> {
    Writing::new(sql, 100)
}

fn admitted_run(news: SlotNews) -> FlowRunId {
    match news {
        SlotNews::Admitted(run) => run,
        SlotNews::Displaced(run, reason) => panic!("{run} is displaced without a deployment: {reason}"),
    }
}

fn ids(runs: impl IntoIterator<Item = u128>) -> BTreeSet<FlowRunId> {
    runs.into_iter().map(id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slots_go_to_the_first_in_line_and_none_stays_free(
        start in pools(),
        groups in vec(vec(changes(), 1..4), 1..40),
    ) {
        let mut sql = memory();
        let mut model = Model::default();
        let groups = std::iter::once(vec![Change::Sync(start)]).chain(groups);
        for group in groups {
            let transaction = sql.transaction().expect("begun");
            let mut writing = writing(&transaction);
            let mut told = BTreeSet::new();
            for change in &group {
                apply(&mut writing, change);
                told.extend(model.apply(change));
            }
            admit(&mut writing).expect("admitted");
            let admitted: BTreeSet<_> = writing.news.into_iter().map(admitted_run).collect();
            transaction.commit().expect("committed");
            let new = model.admit();
            // A run that was told twice may have lost the slot again in the same group.
            prop_assert!(ids(new.iter().copied()).is_subset(&admitted), "{group:?}");
            prop_assert!(admitted.is_subset(&ids(new.into_iter().chain(told))), "{group:?}");
            let held = slots::all_runs(&sql).expect("read").into_iter();
            let held: BTreeSet<_> = held.filter(|(_, holds)| *holds).map(|(run, _)| run).collect();
            let expected = ids(model.slots.iter().filter(|(_, slot)| slot.4).map(|(run, _)| *run));
            prop_assert_eq!(held, expected, "{:?}", group);
        }
    }
}

/// With 10,000 waiting, one slot that becomes free is given away by seeks, not by a scan.
#[test]
fn admitting_one_of_many_reads_few_rows() {
    let sql = memory();
    let mut now = writing(&sql);
    let pool = PoolLimits {
        name: "a".to_owned(),
        concurrency_limit: Some(1),
        paused: false,
        queues: vec![],
    };
    limits::sync(&mut now, &[pool]).expect("kept");
    for run in 0..10_000_u128 {
        let since = i64::try_from(run).expect("small");
        apply(
            &mut now,
            &Change::Wait {
                run,
                pool: 0,
                queue: usize::try_from(run % 3).expect("small"),
                expected: since,
                since,
            },
        );
    }
    admit(&mut now).expect("admitted");
    assert_eq!(now.news, [SlotNews::Admitted(id(0))]);
    for query in [
        "SELECT expected_start, since, run_id FROM slots WHERE pool = ? AND queue = ? AND held = 0 \
         ORDER BY expected_start, since, run_id LIMIT ?",
        "SELECT min(queue) FROM slots WHERE held = 0 AND pool = ? AND queue > ?",
        "SELECT count(*) FROM slots WHERE held = 1 AND pool = ?1 AND queue = ?2",
    ] {
        let mut plan = sql.prepare(&format!("EXPLAIN QUERY PLAN {query}")).expect("planned");
        let unbound = vec![rusqlite::types::Null; plan.parameter_count()];
        let steps = plan.query_map(rusqlite::params_from_iter(unbound), |row| row.get("detail"));
        let steps: Vec<String> = steps.expect("read").collect::<Result<_, _>>().expect("read");
        assert!(
            steps.iter().all(|step| step.starts_with("SEARCH")),
            "{query}: {steps:?}"
        );
    }
}

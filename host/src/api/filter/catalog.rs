//! Filters of what the catalog holds: flows, deployments, work pools and work queues. They are
//! answered in memory.

use uuid::Uuid;

use super::super::body::Fields;
use super::read::{equal, ids, join, tags, text, words};
use crate::definitions::{Deployment, Flow, Pool, Queue, pool_id, queue_id};
use crate::store::{Choice, Join, Tags, Text};

/// `flows` of a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::api) struct FlowFilter {
    pub(super) join: Join,
    pub(super) id: Choice<Uuid>,
    pub(super) name: Text,
    pub(super) tags: Tags,
    /// Whether a flow has no deployment.
    pub(super) is_undeployed: Option<bool>,
}

/// `deployments` of a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::api) struct DeploymentFilter {
    pub(super) join: Join,
    pub(super) id: Choice<Uuid>,
    pub(super) name: Text,
    /// Contained in its own name or in that of its flow.
    pub(super) any_name: Option<String>,
    pub(super) tags: Tags,
    pub(super) paused: Option<bool>,
    pub(super) work_queue: Choice<String>,
    pub(super) limit: LimitFilter,
}

/// `concurrency_limit` of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LimitFilter {
    min: Option<u32>,
    max: Option<u32>,
    is_null: Option<bool>,
}

/// `work_pools` of a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::api) struct PoolFilter {
    pub(super) join: Join,
    pub(super) id: Choice<Uuid>,
    pub(super) name: Choice<String>,
    pub(super) pool_type: Choice<String>,
}

/// `work_queues` of a body, or `work_pool_queues`: Prefect has both names for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::api) struct QueueFilter {
    pub(super) join: Join,
    pub(super) id: Choice<Uuid>,
    pub(super) name: Choice<String>,
    pub(super) prefixes: Option<Vec<String>>,
}

impl FlowFilter {
    pub(in crate::api) fn read(body: &mut Fields<'_>) -> Self {
        body.object("flows", |fields| Self {
            join: join(fields),
            id: ids(fields, "id", |id| id),
            name: text(fields, "name"),
            tags: tags(fields),
            is_undeployed: fields
                .object("deployment", |fields| {
                    join(fields);
                    fields.value("is_null_")
                })
                .flatten(),
        })
        .unwrap_or_default()
    }

    pub(super) fn asks_nothing(&self) -> bool {
        self.id.asks_nothing() && self.name.asks_nothing() && self.tags.asks_nothing() && self.is_undeployed.is_none()
    }

    /// `is_deployed`: whether a deployment runs it.
    pub(super) fn accepts(&self, flow: &Flow, is_deployed: bool) -> bool {
        holds(
            self.join,
            [
                of_choice(&self.id, Some(&flow.id)),
                of_text(&self.name, &flow.name),
                of_tags(&self.tags, &flow.tags),
                self.is_undeployed.map(|wanted| wanted != is_deployed),
            ],
        )
    }
}

impl DeploymentFilter {
    pub(in crate::api) fn read(body: &mut Fields<'_>) -> Self {
        body.object("deployments", |fields| Self {
            join: join(fields),
            id: ids(fields, "id", |id| id),
            name: text(fields, "name"),
            any_name: fields
                .object("flow_or_deployment_name", |fields| fields.value("like_"))
                .flatten(),
            tags: tags(fields),
            paused: equal(fields, "paused"),
            work_queue: words(fields, "work_queue_name"),
            limit: fields
                .object("concurrency_limit", |fields| LimitFilter {
                    min: fields.value("ge_"),
                    max: fields.value("le_"),
                    is_null: fields.value("is_null_"),
                })
                .unwrap_or_default(),
        })
        .unwrap_or_default()
    }

    pub(super) fn asks_nothing(&self) -> bool {
        self.id.asks_nothing()
            && self.name.asks_nothing()
            && self.any_name.is_none()
            && self.tags.asks_nothing()
            && self.paused.is_none()
            && self.work_queue.asks_nothing()
            && self.limit == LimitFilter::default()
    }

    pub(super) fn accepts(&self, one: &Deployment, paused: bool) -> bool {
        let any_name = self
            .any_name
            .as_ref()
            .map(|part| contains(&one.name, part) || contains(&one.flow.name, part));
        holds(
            self.join,
            [
                of_choice(&self.id, Some(&one.id)),
                of_text(&self.name, &one.name),
                any_name,
                of_tags(&self.tags, &one.tags),
                self.paused.map(|wanted| wanted == paused),
                of_choice(&self.work_queue, Some(&one.work_queue)),
                self.limit.accepts(one.live_runs_max()),
            ],
        )
    }
}

impl LimitFilter {
    fn accepts(&self, limit: Option<u32>) -> Option<bool> {
        let conditions = [
            self.min.map(|min| limit.is_some_and(|limit| limit >= min)),
            self.max.map(|max| limit.is_some_and(|limit| limit <= max)),
            self.is_null.map(|wanted| limit.is_none() == wanted),
        ];
        given(Join::All, conditions)
    }
}

impl PoolFilter {
    pub(in crate::api) fn read(body: &mut Fields<'_>) -> Self {
        body.object("work_pools", |fields| Self {
            join: join(fields),
            id: ids(fields, "id", |id| id),
            name: words(fields, "name"),
            pool_type: words(fields, "type"),
        })
        .unwrap_or_default()
    }

    pub(super) fn asks_nothing(&self) -> bool {
        self.id.asks_nothing() && self.name.asks_nothing() && self.pool_type.asks_nothing()
    }

    pub(in crate::api) fn accepts(&self, pool: &Pool) -> bool {
        holds(
            self.join,
            [
                of_choice(&self.id, Some(&pool.id)),
                of_choice(&self.name, Some(&pool.name)),
                of_choice(&self.pool_type, Some(&pool.pool_type)),
            ],
        )
    }

    /// A pool that no definition names has no type.
    pub(super) fn accepts_name(&self, name: &String) -> bool {
        holds(
            self.join,
            [
                of_choice(&self.id, Some(&pool_id(name))),
                of_choice(&self.name, Some(name)),
                of_choice(&self.pool_type, Some(&String::new())),
            ],
        )
    }
}

impl QueueFilter {
    pub(in crate::api) fn read(body: &mut Fields<'_>) -> Self {
        let old = body.object("work_pool_queues", Self::fields);
        let new = body.object("work_queues", Self::fields);
        new.or(old).unwrap_or_default()
    }

    fn fields(fields: &mut Fields<'_>) -> Self {
        let join = join(fields);
        let id = ids(fields, "id", |id| id);
        let (name, prefixes) = fields
            .object("name", |fields| {
                let name = Choice {
                    any: fields.value("any_"),
                    ..Choice::default()
                };
                (name, fields.value("startswith_"))
            })
            .unwrap_or_default();
        Self {
            join,
            id,
            name,
            prefixes,
        }
    }

    pub(super) fn asks_nothing(&self) -> bool {
        self.id.asks_nothing() && self.name.asks_nothing() && self.prefixes.is_none()
    }

    pub(in crate::api) fn accepts(&self, queue: &Queue) -> bool {
        self.accepts_row(&queue.id, &queue.name)
    }

    pub(super) fn accepts_names(&self, pool: &str, queue: &String) -> bool {
        self.accepts_row(&queue_id(pool, queue), queue)
    }

    fn accepts_row(&self, id: &Uuid, name: &String) -> bool {
        let starts = |all: &Vec<String>| all.iter().any(|prefix| name.starts_with(prefix));
        let named = given(
            Join::All,
            [of_choice(&self.name, Some(name)), self.prefixes.as_ref().map(starts)],
        );
        holds(self.join, [of_choice(&self.id, Some(id)), named])
    }
}

/// Nothing given holds for everything.
fn holds<const N: usize>(join: Join, conditions: [Option<bool>; N]) -> bool {
    given(join, conditions).unwrap_or(true)
}

/// `None` when no condition is given.
pub(in crate::api) fn given<const N: usize>(join: Join, conditions: [Option<bool>; N]) -> Option<bool> {
    conditions.into_iter().flatten().reduce(|one, other| match join {
        Join::All => one && other,
        Join::Any => one || other,
    })
}

pub(in crate::api) fn of_choice<T: PartialEq>(choice: &Choice<T>, value: Option<&T>) -> Option<bool> {
    let is_in = |list: &Vec<T>| value.is_some_and(|value| list.contains(value));
    given(
        choice.join,
        [
            choice.any.as_ref().map(is_in),
            choice.not.as_ref().map(|not| !is_in(not)),
            choice.is_null.map(|wanted| value.is_none() == wanted),
        ],
    )
}

fn of_text(text: &Text, value: &String) -> Option<bool> {
    let like = text.like.as_ref().map(|part| contains(value, part));
    given(Join::All, [of_choice(&text.choice, Some(value)), like])
}

fn contains(text: &str, part: &str) -> bool {
    text.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
}

fn of_tags(tags: &Tags, value: &[String]) -> Option<bool> {
    let has = |tag: &String| value.contains(tag);
    given(
        tags.join,
        [
            tags.all.as_ref().map(|all| all.iter().all(has)),
            tags.any.as_ref().map(|any| any.iter().any(has)),
            tags.is_null.map(|wanted| value.is_empty() == wanted),
        ],
    )
}

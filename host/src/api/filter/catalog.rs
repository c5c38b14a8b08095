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

    /// `is_deployed`: whether a deployment runs it.
    pub(super) fn accepts(&self, flow: &Flow, is_deployed: bool) -> bool {
        holds(
            self.join,
            [
                of_choice(&self.id, &flow.id),
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

    pub(super) fn accepts(&self, one: &Deployment, paused: bool) -> bool {
        let any_name = self
            .any_name
            .as_ref()
            .map(|part| contains(&one.name, part) || contains(&one.flow.name, part));
        holds(
            self.join,
            [
                of_choice(&self.id, &one.id),
                of_text(&self.name, &one.name),
                any_name,
                of_tags(&self.tags, &one.tags),
                self.paused.map(|wanted| wanted == paused),
                of_choice(&self.work_queue, &one.work_queue),
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

    pub(in crate::api) fn accepts(&self, pool: &Pool) -> bool {
        holds(
            self.join,
            [
                of_choice(&self.id, &pool.id),
                of_choice(&self.name, &pool.name),
                of_choice(&self.pool_type, &pool.pool_type),
            ],
        )
    }

    /// A pool that no definition names has no type.
    pub(super) fn accepts_name(&self, name: &String) -> bool {
        holds(
            self.join,
            [
                of_choice(&self.id, &pool_id(name)),
                of_choice(&self.name, name),
                of_choice(&self.pool_type, &String::new()),
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
            [of_choice(&self.name, name), self.prefixes.as_ref().map(starts)],
        );
        holds(self.join, [of_choice(&self.id, id), named])
    }
}

/// Nothing given holds for everything.
fn holds<const N: usize>(join: Join, conditions: [Option<bool>; N]) -> bool {
    given(join, conditions).unwrap_or(true)
}

/// `None` when no condition is given.
fn given<const N: usize>(join: Join, conditions: [Option<bool>; N]) -> Option<bool> {
    conditions.into_iter().flatten().reduce(|one, other| match join {
        Join::All => one && other,
        Join::Any => one || other,
    })
}

fn of_choice<T: PartialEq>(choice: &Choice<T>, value: &T) -> Option<bool> {
    given(
        choice.join,
        [
            choice.any.as_ref().map(|any| any.contains(value)),
            choice.not.as_ref().map(|not| !not.contains(value)),
            choice.is_null.map(|wanted| !wanted),
        ],
    )
}

fn of_text(text: &Text, value: &String) -> Option<bool> {
    let like = text.like.as_ref().map(|part| contains(value, part));
    given(Join::All, [of_choice(&text.choice, value), like])
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

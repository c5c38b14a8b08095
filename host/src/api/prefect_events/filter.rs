//! Prefect's filter of events (`prefect.events.filters`). Every condition that is given has to hold;
//! an empty list is no condition, as in Prefect.

use grepx_engine::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Labels, PrefectEvent, family};
use crate::api::body::{Body, Fields};
use crate::api::bus::What;
use crate::api::error::Error;
use crate::api::filter::{instant, uuid};
use glob::matches;
use search::Search;

mod glob;
mod search;

#[derive(Debug, Clone, Default)]
pub(in crate::api) struct EventFilter {
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    name: Name,
    resource: Vec<Resource>,
    related: Vec<Resource>,
    any_resource: Vec<Resource>,
    ids: Vec<Uuid>,
    search: Option<Search>,
    pub(super) oldest_first: bool,
}

#[derive(Debug, Clone, Default)]
struct Name {
    prefix: Vec<String>,
    exclude_prefix: Vec<String>,
    name: Vec<String>,
    exclude_name: Vec<String>,
}

/// Conditions that one resource has to meet.
#[derive(Debug, Clone, Default)]
struct Resource {
    id: Vec<String>,
    id_prefix: Vec<String>,
    role: Vec<String>,
    in_roles: Vec<(String, String)>,
    labels: Vec<(String, Vec<String>)>,
}

impl EventFilter {
    /// Of what stands in `filter`; without one it asks for everything.
    pub(in crate::api) fn of(filter: &Value) -> Result<Self, Error> {
        let body = Body::of(json!({"filter": filter}));
        body.read(|fields| fields.object("filter", Self::read).unwrap_or_default())
    }

    pub(in crate::api) fn read(fields: &mut Fields<'_>) -> Self {
        let occurred = |fields: &mut Fields<'_>| (fields.parsed("since", instant), fields.parsed("until", instant));
        let (since, until) = fields.object("occurred", occurred).unwrap_or_default();
        let name = fields.object("event", |fields| Name {
            prefix: strings(fields, "prefix"),
            exclude_prefix: strings(fields, "exclude_prefix"),
            name: strings(fields, "name"),
            exclude_name: strings(fields, "exclude_name"),
        });
        let resource = fields.objects("resource", |fields| {
            // It changes nothing here, and is still a flag.
            let _: Option<bool> = fields.value("distinct");
            Resource::read(fields)
        });
        let ids = fields.object("id", |fields| fields.list("id", uuid).unwrap_or_default());
        let search = fields
            .object("text", |fields| fields.parsed("query", Search::parse))
            .flatten();
        Self {
            since,
            until,
            name: name.unwrap_or_default(),
            resource,
            related: fields.objects("related", Resource::read),
            any_resource: fields.objects("any_resource", Resource::read),
            ids: ids.unwrap_or_default(),
            search,
            oldest_first: fields.parsed("order", oldest_first).unwrap_or_default(),
        }
    }

    /// What is cheaper to know than the event itself.
    pub(in crate::api) fn may_include(&self, what: &What<'_>) -> bool {
        family(what).is_some_and(|family| self.name.may_include(family))
    }

    pub(in crate::api) fn includes(&self, event: &PrefectEvent) -> bool {
        self.since.is_none_or(|since| since <= event.occurred)
            && self.until.is_none_or(|until| event.occurred <= until)
            && self.name.includes(&event.event)
            && self.resource.iter().all(|wanted| wanted.is_met_by(&event.resource))
            && self
                .related
                .iter()
                .all(|wanted| wanted.is_met_by_one(event.related.iter()))
            && self
                .any_resource
                .iter()
                .all(|wanted| wanted.is_met_by_one(event.involved()))
            && (self.ids.is_empty() || self.ids.contains(&event.id))
            && self.search.as_ref().is_none_or(|search| search.finds(event))
    }

    /// Ids of the resources that it asks for by their whole id.
    pub(super) fn named(&self) -> impl Iterator<Item = &str> {
        let all = self.resource.iter().chain(&self.any_resource);
        all.flat_map(|wanted| &wanted.id).map(String::as_str)
    }
}

impl Name {
    /// Names that begin so.
    fn may_include(&self, family: &str) -> bool {
        let may_begin = |prefix: &String| prefix.starts_with(family) || family.starts_with(prefix.as_str());
        (self.prefix.is_empty() || self.prefix.iter().any(may_begin))
            && (self.name.is_empty() || self.name.iter().any(|name| name.starts_with(family)))
    }

    fn includes(&self, event: &str) -> bool {
        let begins = |prefixes: &[String]| prefixes.iter().any(|prefix| event.starts_with(prefix.as_str()));
        let is = |names: &[String]| names.iter().any(|name| name == event);
        (self.prefix.is_empty() || begins(&self.prefix))
            && !begins(&self.exclude_prefix)
            && (self.name.is_empty() || is(&self.name))
            && !is(&self.exclude_name)
    }
}

impl Resource {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            id: strings(fields, "id"),
            id_prefix: strings(fields, "id_prefix"),
            role: strings(fields, "role"),
            in_roles: fields.value("resources_in_roles").unwrap_or_default(),
            labels: labels(fields),
        }
    }

    fn is_met_by_one<'a>(&self, mut resources: impl Iterator<Item = &'a Labels>) -> bool {
        self.is_empty() || resources.any(|resource| self.is_met_by(resource))
    }

    fn is_empty(&self) -> bool {
        self.id.is_empty()
            && self.id_prefix.is_empty()
            && self.role.is_empty()
            && self.in_roles.is_empty()
            && self.labels.is_empty()
    }

    fn is_met_by(&self, resource: &Labels) -> bool {
        let (id, role) = (resource.id(), resource.role().unwrap_or_default());
        (self.id.is_empty() || self.id.iter().any(|wanted| wanted == id))
            && (self.id_prefix.is_empty() || self.id_prefix.iter().any(|prefix| id.starts_with(prefix.as_str())))
            && (self.role.is_empty() || self.role.iter().any(|wanted| wanted == role))
            && (self.in_roles.is_empty() || self.in_roles.iter().any(|(one, its)| one == id && its == role))
            && self.labels.iter().all(|(label, wanted)| {
                let value = resource.get(label);
                value.is_some_and(|value| wanted.iter().any(|pattern| matches(pattern, value)))
            })
    }
}

fn strings(fields: &mut Fields<'_>, name: &str) -> Vec<String> {
    fields.value(name).unwrap_or_default()
}

/// A text or a list of texts for each label.
fn labels(fields: &mut Fields<'_>) -> Vec<(String, Vec<String>)> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    let all: std::collections::BTreeMap<String, OneOrMany> = fields.value("labels").unwrap_or_default();
    let all = all.into_iter().map(|(label, wanted)| match wanted {
        OneOrMany::One(one) => (label, vec![one]),
        OneOrMany::Many(many) => (label, many),
    });
    all.collect()
}

fn oldest_first(word: &str) -> Result<bool, String> {
    match word {
        "ASC" => Ok(true),
        "DESC" => Ok(false),
        _ => Err("Input should be ASC or DESC".to_owned()),
    }
}

#[cfg(test)]
mod tests;

//! How the objects inside a filter are read: lists, texts, periods, tags, states.

use grepx_engine::{StateType, Timestamp};
use uuid::Uuid;

use super::super::body::Fields;
use crate::clock;
use crate::store::{Choice, Creator, Join, Period, Tags, Text};

/// `operator`: how the conditions beside it are joined.
pub(super) fn join(fields: &mut Fields<'_>) -> Join {
    let read = |word: &str| match word {
        "and_" => Ok(Join::All),
        "or_" => Ok(Join::Any),
        _ => Err("Input should be 'and_' or 'or_'".to_owned()),
    };
    fields.parsed("operator", read).unwrap_or_default()
}

pub(super) fn choice<T>(fields: &mut Fields<'_>, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Choice<T> {
    let read = |fields: &mut Fields<'_>| Choice {
        join: join(fields),
        any: fields.list("any_", &parse),
        not: fields.list("not_any_", &parse),
        is_null: fields.value("is_null_"),
    };
    fields.object(name, read).unwrap_or_default()
}

pub(super) fn ids<T>(fields: &mut Fields<'_>, name: &str, wrap: impl Fn(Uuid) -> T) -> Choice<T> {
    choice(fields, name, |text| uuid(text).map(&wrap))
}

pub(super) fn words(fields: &mut Fields<'_>, name: &str) -> Choice<String> {
    choice(fields, name, |text| Ok(text.to_owned()))
}

pub(super) fn text(fields: &mut Fields<'_>, name: &str) -> Text {
    let read = |fields: &mut Fields<'_>| Text {
        like: fields.value("like_"),
        choice: Choice {
            any: fields.value("any_"),
            not: fields.value("not_any_"),
            ..Choice::default()
        },
    };
    fields.object(name, read).unwrap_or_default()
}

pub(super) fn tags(fields: &mut Fields<'_>) -> Tags {
    let read = |fields: &mut Fields<'_>| Tags {
        join: join(fields),
        all: fields.value("all_"),
        any: fields.value("any_"),
        is_null: fields.value("is_null_"),
    };
    fields.object("tags", read).unwrap_or_default()
}

pub(super) fn period(fields: &mut Fields<'_>, name: &str) -> Period {
    let read = |fields: &mut Fields<'_>| Period {
        after: fields.parsed("after_", instant),
        before: fields.parsed("before_", instant),
        is_null: fields.value("is_null_"),
    };
    fields.object(name, read).unwrap_or_default()
}

pub(super) fn creator(fields: &mut Fields<'_>) -> Creator {
    let read = |fields: &mut Fields<'_>| Creator {
        join: join(fields),
        // As the run store has them.
        id: fields.list("id_", |text| uuid(text).map(|id| id.to_string())),
        kind: fields.value("type_"),
        is_null: fields.value("is_null_"),
    };
    fields.object("created_by", read).unwrap_or_default()
}

/// What a run is in, by type and by name.
#[derive(Debug, Default)]
pub(super) struct States {
    pub(super) join: Join,
    pub(super) state_type: Choice<StateType>,
    pub(super) state_name: Choice<String>,
}

pub(super) fn states(fields: &mut Fields<'_>) -> States {
    let read = |fields: &mut Fields<'_>| States {
        join: join(fields),
        state_type: choice(fields, "type", |word| {
            StateType::parse(word).ok_or_else(|| {
                let known: Vec<&str> = StateType::ALL.iter().map(|state| state.as_str()).collect();
                format!("Input should be one of {}", known.join(", "))
            })
        }),
        state_name: words(fields, "name"),
    };
    fields.object("state", read).unwrap_or_default()
}

pub(super) fn equal(fields: &mut Fields<'_>, name: &str) -> Option<bool> {
    fields.object(name, |fields| fields.value("eq_")).flatten()
}

pub(in crate::api) fn uuid(text: &str) -> Result<Uuid, String> {
    Uuid::try_parse(text).map_err(|_| format!("{text:?} is no UUID"))
}

pub(in crate::api) fn instant(text: &str) -> Result<Timestamp, String> {
    clock::parse_rfc3339(text).map_err(|_| format!("{text:?} is no ISO 8601 date and time with an offset"))
}

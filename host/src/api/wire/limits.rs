//! Concurrency limits as Prefect's clients read them.

use grepx_engine::TaskRunId;
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::store::ConcurrencyLimit;

/// `taken`: slots that are taken.
pub(in crate::api) fn limit(one: &ConcurrencyLimit, taken: f64) -> Value {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "slots are few, and not below 0"
    )]
    let taken = taken.ceil() as u64;
    json!({
        "id": one.id,
        "created": rfc3339(one.created_at),
        "updated": rfc3339(one.updated_at),
        "name": one.name,
        "limit": one.slots,
        "active": one.active,
        "active_slots": taken,
        "slot_decay_per_second": one.decay_per_second,
    })
}

/// As the answer to who has taken slots.
pub(in crate::api) fn brief_limit(one: &ConcurrencyLimit) -> Value {
    json!({"id": one.id, "name": one.name, "limit": one.slots})
}

pub(in crate::api) fn tag_limit(one: &ConcurrencyLimit, tag: &str, holders: &[TaskRunId]) -> Value {
    json!({
        "id": one.id,
        "created": rfc3339(one.created_at),
        "updated": rfc3339(one.updated_at),
        "tag": tag,
        "concurrency_limit": one.slots,
        "active_slots": holders,
    })
}

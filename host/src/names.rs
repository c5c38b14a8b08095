//! What a flow run is called that was given nothing: an id of its own, and a name that people can say.

use uuid::Uuid;

const QUALITIES: [&str; 32] = [
    "able", "amber", "brave", "brisk", "calm", "clear", "copper", "crisp", "daring", "early", "eager", "fair",
    "gentle", "golden", "green", "happy", "honest", "keen", "kind", "lively", "lucid", "mellow", "neat", "noble",
    "patient", "quick", "quiet", "silver", "steady", "sunny", "swift", "tidy",
];
const ANIMALS: [&str; 32] = [
    "badger", "beaver", "bison", "crane", "dolphin", "eagle", "falcon", "ferret", "finch", "gecko", "hare", "heron",
    "ibex", "jackdaw", "kestrel", "lark", "lynx", "marten", "mole", "newt", "otter", "owl", "panda", "puffin", "raven",
    "robin", "salmon", "seal", "stork", "swan", "weasel", "wren",
];

/// An id that nobody else has. Ids sort by the time at which they were made.
#[must_use]
pub(crate) fn new_id() -> Uuid {
    #[cfg(test)]
    if let (Some(now), Some(high), Some(low)) = (
        crate::failpoint::machine::now(),
        crate::failpoint::machine::chance(),
        crate::failpoint::machine::chance(),
    ) {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes()[..2]);
        return uuid::Builder::from_unix_timestamp_millis(now.0.unsigned_abs(), &bytes).into_uuid();
    }
    Uuid::now_v7()
}

/// A name for the run with this id; always the same one.
#[must_use]
pub(crate) fn generate(id: Uuid) -> String {
    let bytes = id.as_bytes();
    let quality = QUALITIES[usize::from(bytes[14]) % QUALITIES.len()];
    let animal = ANIMALS[usize::from(bytes[15]) % ANIMALS.len()];
    format!("{quality}-{animal}")
}

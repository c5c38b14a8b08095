//! Names that people can say, for flow runs that were given none.

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

/// A name for the run with this id; always the same one.
#[must_use]
pub(crate) fn generate(id: Uuid) -> String {
    let bytes = id.as_bytes();
    let quality = QUALITIES[usize::from(bytes[14]) % QUALITIES.len()];
    let animal = ANIMALS[usize::from(bytes[15]) % ANIMALS.len()];
    format!("{quality}-{animal}")
}

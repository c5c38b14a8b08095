//! Components that only tests load: built ones, and others made of them.

use std::path::PathBuf;

use crate::provided;

/// A component of `tests/guests`.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn guest(name: &str) -> Vec<u8> {
    let path = provided("GREPX_TEST_GUESTS").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The same behaviour under another digest: the component with a custom section at its end.
///
/// # Panics
/// When the note is longer than 100 bytes.
#[must_use]
pub fn variant(component: &[u8], note: &str) -> Vec<u8> {
    let mut section = vec![4];
    section.extend_from_slice(b"note");
    section.extend_from_slice(note.as_bytes());
    assert!(section.len() < 128, "the length is one byte");
    let mut bytes = component.to_vec();
    bytes.push(0);
    bytes.push(u8::try_from(section.len()).expect("checked"));
    bytes.extend(section);
    bytes
}

/// A kind that is shipped.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn shipped(name: &str) -> Vec<u8> {
    let path: PathBuf = provided("GREPX_TEST_PLUGINS").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

//! Guests as text: a core module whose `run` is the behaviour under test, in the frame of a real
//! component. No build step and no binary fixture.

use std::path::{Path, PathBuf};

/// Texts of the descriptor and their places in the guest's memory.
const TEXTS: i32 = 1024;
/// The list of descriptors, and the pair that `describe` returns.
const LIST: i32 = 512;
const RETURNED: i32 = 256;
/// Where a behaviour may put its own data.
pub(super) const FREE: i32 = 8192;

/// A guest that describes `kind` and does `run` in its activity: instructions that leave the
/// address of a `result<list<u8>, error>` on the stack.
pub(super) struct Guest<'a> {
    pub(super) kind: &'a str,
    pub(super) capabilities: &'a str,
    pub(super) describe: &'a str,
    pub(super) run: &'a str,
    pub(super) data: &'a str,
}

/// Answers `{}` at once. The error's `option<u64>` aligns the payload to 8.
pub(super) const OK: &str = "(i32.store8 (i32.const 0) (i32.const 0)) \
     (i32.store (i32.const 8) (i32.const 8192)) (i32.store (i32.const 12) (i32.const 2)) (i32.const 0)";

impl Default for Guest<'_> {
    fn default() -> Self {
        Self {
            kind: "guest",
            capabilities: "",
            describe: "",
            run: OK,
            data: "{}",
        }
    }
}

impl Guest<'_> {
    /// Writes the component to `dir/name`.
    pub(super) fn write(&self, dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, self.component()).expect("write the guest");
        path
    }

    pub(super) fn component(&self) -> Vec<u8> {
        let text = include_str!("guest.wat").replace("{{module}}", &self.module());
        wat::parse_str(text).expect("the guest's text is valid")
    }

    fn module(&self) -> String {
        let Self {
            describe, run, data, ..
        } = self;
        let (list, texts) = self.descriptor();
        format!(
            r#"(core module $main
                (import "grepx:plugin/log@1.0.0" "log" (func $log (param i32 i32 i32)))
                (memory (export "memory") 2)
                (global $next (mut i32) (i32.const 65536))
                (data (i32.const {FREE}) "{}")
                (data (i32.const {TEXTS}) "{}")
                (data (i32.const {LIST}) "{}")
                (data (i32.const {RETURNED}) "{}")
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.set $next (i32.add (local.get $at) (local.get 3)))
                    (block $fits
                        (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
                        (drop (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536)) (i32.const 1)))))
                    (local.get $at))
                (func (export "grepx:plugin/describe@1.0.0#describe") (result i32) {describe} (i32.const {RETURNED}))
                (func (export "grepx:plugin/activity@1.0.0#run") (param i32) (result i32) (local $i i32) {run}))"#,
            escape(data.as_bytes()),
            escape(&texts),
            escape(&list),
            escape(&words(&[LIST, 1])),
        )
    }

    /// The record `descriptor` in memory: 68 bytes, and the texts that it points to.
    fn descriptor(&self) -> (Vec<u8>, Vec<u8>) {
        let mut texts = Vec::new();
        let mut put = |text: &[u8]| {
            let at = TEXTS + i32::try_from(texts.len()).expect("small");
            texts.extend_from_slice(text);
            texts.resize(texts.len().next_multiple_of(4), 0);
            [at, i32::try_from(text.len()).expect("small")]
        };
        let mut record = Vec::new();
        let schema = br#"{"type":"object"}"#.as_slice();
        for text in [self.kind.as_bytes(), b"1.0.0", b"a test", schema, schema] {
            record.extend(put(text));
        }
        let capability = (!self.capabilities.is_empty()).then(|| put(self.capabilities.as_bytes()));
        match capability {
            Some(pair) => record.extend([put(&words(&pair))[0], 1]),
            None => record.extend([0, 0]),
        }
        // No state-versions, no meta.
        record.extend([0, 0, 0, 0, 0]);
        (words(&record), texts)
    }
}

fn words(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn escape(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

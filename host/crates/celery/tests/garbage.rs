//! Bytes from outside never end the process: every decoder answers damaged and random input with a
//! value or an error. Inputs are mutations of what real workers wrote, from a fixed seed.

use std::path::PathBuf;

use grepx_celery::control::{Reply, Request};
use grepx_celery::{Endpoint, Received, TaskResult, classify, result};

/// xorshift64*: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folders = ["results", "messages", "control"].map(|name| golden.join(name));
    let files = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("the golden files"));
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a readable entry").path()).collect();
    paths.sort();
    assert!(paths.len() > 30, "{paths:?}");
    paths
        .iter()
        .map(|path| std::fs::read(path).expect("a readable file"))
        .collect()
}

fn read_as_everything(bytes: &[u8]) {
    if let Ok(decoded) = TaskResult::decode(bytes) {
        let _failure = classify(&decoded, "task", "queue");
        assert_eq!(result::peek_status(bytes).as_ref(), Ok(&decoded.status));
        // What was read can be passed on as strict JSON.
        serde_json::to_string(&decoded.result).expect("plain JSON");
    } else {
        let _status = (result::peek_status(bytes), result::ends_wait(bytes));
    }
    if let Ok(received) = Received::decode(bytes) {
        let _again = received.message.encode();
    }
    let _control = (Request::decode(bytes), Reply::decode(bytes));
    let _url = String::from_utf8_lossy(bytes)
        .parse::<Endpoint>()
        .map(|endpoint| endpoint.to_string());
}

#[test]
fn damaged_documents_never_panic() {
    const WORDS: [&[u8]; 16] = [
        b"NaN",
        b"-Infinity",
        b"\\ud83d",
        b"\\u",
        b"1e999",
        b"{",
        b"[",
        b"\"",
        b"}",
        b"]",
        b",",
        b":",
        b"\\",
        b"\xff",
        b"__type__",
        b"null",
    ];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for original in corpus() {
        for _ in 0..300 {
            let mut bytes = original.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                match random.below(4) {
                    0 => bytes.truncate(at),
                    1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
                    2 => drop(bytes.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
                    _ => drop(bytes.drain(at..(at + random.below(20)).min(bytes.len()))),
                }
            }
            read_as_everything(&bytes);
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    const STARTS: [&str; 5] = ["", "{\"status\":", "redis://", "sentinel://", "\0celery-compressed\0"];
    const ALPHABET: &[u8] = b"{}[]\",:\\u0dD8NIaefilnrstuy-+.eE019 @/;?#%=&";
    let mut random = Random(42);
    for round in 0..60_000 {
        let mut bytes = STARTS[round % STARTS.len()].as_bytes().to_vec();
        for _ in 0..random.below(60) {
            let any = random.next() as u8;
            bytes.push(if round % 3 == 0 {
                any
            } else {
                ALPHABET[usize::from(any) % ALPHABET.len()]
            });
        }
        read_as_everything(&bytes);
    }
}

//! Each input of the corpus, as it is, cut off, and with bits turned over, at the door that it is
//! for: the short form of `cargo fuzz`, the same on every machine.

#![allow(clippy::print_stdout, reason = "a failing test shows which input it was at")]

use std::path::PathBuf;
use std::sync::Mutex;

use grepx_fuzz_targets::{ALL, API, CELERY, CONFIG, CRON, EXPRESSION, INTERVAL, ROWS, RRULE, Target, WASM, YAML};

/// Of each file.
const CUTS: usize = 12;
const FLIPS: usize = 36;
/// What is allocated is counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// Files that were given a name; what cargo-fuzz finds by itself has a digest for one.
fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = folder("corpus").join(target.name);
    let listed = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<(String, Vec<u8>)> = listed
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(name, _)| !(name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())))
        .map(|(name, path)| (name, std::fs::read(path).expect("a file")))
        .collect();
    files.sort();
    files
}

/// SplitMix64.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from((mixed ^ (mixed >> 31)) >> 1).expect("63 bits")
}

fn survive(target: &Target) {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let files = corpus(target);
    assert!(files.len() >= 5, "{}: {} files", target.name, files.len());
    for (name, bytes) in &files {
        // Shown when the input that follows is the one that fails.
        println!("{}/{name}", target.name);
        target.judge(bytes);
        let mut state = bytes.len() as u64;
        for part in 0..CUTS {
            target.judge(&bytes[..bytes.len() * part / CUTS]);
        }
        for _ in 0..FLIPS {
            let mut changed = bytes.clone();
            for _ in 0..=next(&mut state) % 3 {
                if !changed.is_empty() {
                    let at = next(&mut state) % changed.len();
                    changed[at] ^= 1 << (next(&mut state) % 8);
                }
            }
            target.judge(&changed);
        }
    }
}

macro_rules! targets {
    ($($test:ident = $target:ident,)*) => {
        $(#[test]
        fn $test() {
            survive(&$target);
        })*
    };
}

targets! {
    definition_files = YAML,
    configuration_files = CONFIG,
    rows_of_the_definitions = ROWS,
    cron_rules = CRON,
    intervals = INTERVAL,
    recurrence_rules = RRULE,
    words_of_celery = CELERY,
    requests = API,
    expressions = EXPRESSION,
    components = WASM,
}

/// Every target has its program and its corpus, and there is no other.
#[test]
fn the_programs_are_the_targets() {
    let listed = |name: &str| {
        let entries = std::fs::read_dir(folder(name)).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").path())
            .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let mut names: Vec<String> = ALL.iter().map(|target| target.name.to_owned()).collect();
    names.sort();
    assert_eq!(listed("fuzz_targets"), names);
    assert_eq!(listed("corpus"), names);
    let manifest = std::fs::read_to_string(folder("Cargo.toml")).expect("the manifest");
    for name in names {
        assert!(
            manifest.contains(&format!("name = \"{name}\"\n")),
            "{name} is no program"
        );
    }
}

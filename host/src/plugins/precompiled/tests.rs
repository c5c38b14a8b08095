use std::os::unix::fs::PermissionsExt;

use super::*;

struct Place {
    _dir: tempfile::TempDir,
    cache: PathBuf,
    key: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().expect("temporary directory");
    Place {
        cache: dir.path().join("cache"),
        key: dir.path().join("state/plugin.key"),
        _dir: dir,
    }
}

impl Place {
    fn open(&self) -> Precompiled {
        Precompiled::open(&self.cache, &self.key).expect("cache opens")
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.cache).expect("cache directory");
        entries.map(|entry| entry.expect("entry").path()).collect()
    }
}

fn component(engine: &Engine) -> Component {
    Component::from_binary(engine, b"\0asm\x0d\0\x01\0").expect("the empty component")
}

#[test]
fn what_was_saved_loads_until_a_byte_differs() {
    let (place, engine) = (place(), Engine::default());
    let cache = place.open();
    assert!(cache.load(&engine, &[1; 32]).is_none());
    cache.save(&engine, &[1; 32], &component(&engine));
    assert!(cache.load(&engine, &[1; 32]).is_some());
    assert!(cache.load(&engine, &[2; 32]).is_none());

    let files = place.files();
    assert_eq!(files.len(), 1);
    let good = fs::read(&files[0]).expect("read");
    for at in [0, TAG_BYTES - 1, TAG_BYTES, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&files[0], bad).expect("write");
        assert!(cache.load(&engine, &[1; 32]).is_none(), "byte {at} was flipped");
    }
    fs::write(&files[0], &good[..TAG_BYTES - 1]).expect("write");
    assert!(cache.load(&engine, &[1; 32]).is_none(), "truncated");
}

#[test]
fn a_file_of_another_digest_does_not_load_under_a_new_name() {
    let (place, engine) = (place(), Engine::default());
    let cache = place.open();
    cache.save(&engine, &[1; 32], &component(&engine));
    let path = |digest| cache.path(Part::Code, &engine, digest);
    fs::copy(path(&[1; 32]), path(&[2; 32])).expect("copy");
    assert!(cache.load(&engine, &[2; 32]).is_none());
}

#[test]
fn the_key_is_made_once_and_private() {
    let place = place();
    let first = place.open().key;
    assert_eq!(place.open().key, first);
    let mode = fs::metadata(&place.key).expect("key file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::write(&place.key, b"short").expect("write");
    let error = Precompiled::open(&place.cache, &place.key).err().expect("refused");
    assert!(error.to_string().contains("5 bytes instead of a key of 32"), "{error}");
}

#[test]
fn what_others_may_write_is_not_loaded() {
    let (place, engine) = (place(), Engine::default());
    let cache = place.open();
    cache.save(&engine, &[1; 32], &component(&engine));
    let file = place.files().remove(0);
    for (path, usual) in [(file.as_path(), 0o600), (place.cache.as_path(), 0o700)] {
        let mode = |mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
        mode(usual | 0o020);
        assert!(cache.load(&engine, &[1; 32]).is_none(), "{}", path.display());
        mode(usual);
        assert!(cache.load(&engine, &[1; 32]).is_some(), "{}", path.display());
    }
}

fn descriptor(kind: &str) -> Descriptor {
    Descriptor {
        kind: kind.to_owned(),
        version: "1.0.0".to_owned(),
        summary: "Waits.".to_owned(),
        input_schema: b"{}".to_vec(),
        output_schema: b"true".to_vec(),
        capabilities: vec!["log".to_owned()],
        state_versions: Some((1, 2)),
        meta: vec![("team".to_owned(), "data".to_owned())],
    }
}

#[test]
fn a_description_is_read_until_a_byte_differs() {
    let (place, engine) = (place(), Engine::default());
    let cache = place.open();
    assert!(cache.description(&engine, &[1; 32]).is_none());
    cache.save_description(&engine, &[1; 32], &[descriptor("wait"), descriptor("rest")]);
    let read = cache.description(&engine, &[1; 32]).expect("kept");
    assert_eq!(
        format!("{read:?}"),
        format!("{:?}", [descriptor("wait"), descriptor("rest")])
    );
    assert!(cache.description(&engine, &[2; 32]).is_none());

    let file = place.files().remove(0);
    let good = fs::read(&file).expect("read");
    for at in [0, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, bad).expect("write");
        assert!(cache.description(&engine, &[1; 32]).is_none(), "byte {at} was flipped");
    }
}

#[test]
fn code_does_not_pass_for_a_description() {
    let (place, engine) = (place(), Engine::default());
    let cache = place.open();
    cache.save_description(&engine, &[1; 32], &[descriptor("wait")]);
    let path = |part| cache.path(part, &engine, &[1; 32]);
    fs::copy(path(Part::Description), path(Part::Code)).expect("copy");
    assert!(cache.load(&engine, &[1; 32]).is_none());
}

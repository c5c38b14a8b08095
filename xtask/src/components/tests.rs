//! What counts as a component, and how its file is replaced.

use super::*;

#[test]
fn only_cdylib_artefacts_are_components() {
    let cdylib = r#"{"reason":"compiler-artifact","target":{"kind":["cdylib"]},"filenames":["/t/sample_worker.wasm","/t/sample_worker.d"]}"#;
    let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"filenames":["/t/libsdk.rlib"]}"#;
    let finished = r#"{"reason":"build-finished","success":true}"#;
    assert_eq!(components_in(cdylib), [PathBuf::from("/t/sample_worker.wasm")]);
    assert_eq!(components_in(library), Vec::<PathBuf>::new());
    assert_eq!(components_in(finished), Vec::<PathBuf>::new());
    assert_eq!(components_in("not json"), Vec::<PathBuf>::new());
}

#[test]
fn a_component_is_replaced_whole_and_only_when_it_changed() {
    let folder = std::env::temp_dir().join(format!("xtask-components-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder can be made");
    let built = folder.join("sample_worker.wasm");
    let installed = folder.join("sample-worker.wasm");

    fs::write(&built, b"one").expect("the folder is writable");
    install(&built, &folder).expect("the first copy works");
    let first = fs::metadata(&installed).expect("it was copied under its kind's name");
    install(&built, &folder).expect("an unchanged one is fine");
    let second = fs::metadata(&installed).expect("it is still there");
    assert_eq!(
        inode(&first),
        inode(&second),
        "an unchanged component was written again"
    );

    fs::write(&built, b"two").expect("the folder is writable");
    install(&built, &folder).expect("a changed one is copied");
    assert_eq!(fs::read(&installed).expect("it is there"), b"two");
    let left: Vec<_> = fs::read_dir(&folder).expect("it can be listed").collect();
    assert_eq!(left.len(), 2, "a partial file was left behind: {left:?}");
    fs::remove_dir_all(&folder).expect("it can be removed");
}

fn inode(file: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(file)
}

//! A crate of each shape in a workspace like that of `plugins/`: its tests pass, and it is a
//! component. What it depends on is built in the plugins' own target folder, where it is already.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

const SHAPES: [(&str, Sort); 3] = [
    ("new-activity", sort(true, false, false)),
    ("new-durable", sort(false, true, false)),
    ("new-policy", sort(false, false, true)),
];

const fn sort(activity: bool, durable: bool, policy: bool) -> Sort {
    Sort {
        activity,
        durable,
        policy,
    }
}

/// A repository with nothing but the guest crate and the contract.
fn repository(real: &Path, at: &Path) {
    let plugins = at.join("plugins");
    fs::create_dir_all(&plugins).expect("a folder");
    for linked in ["wit", "plugins/sdk", "plugins/sdk-macros"] {
        symlink(real.join(linked), at.join(linked)).expect("a link");
    }
    let manifest = fs::read_to_string(real.join("plugins/Cargo.toml")).expect("the workspace");
    let members = manifest
        .lines()
        .find(|line| line.starts_with("members = ["))
        .expect("its members");
    let manifest = manifest.replace(members, "members = [\"sdk\", \"sdk-macros\"]");
    fs::write(plugins.join("Cargo.toml"), manifest).expect("written");
    fs::copy(real.join("plugins/Cargo.lock"), plugins.join("Cargo.lock")).expect("the versions");
}

#[test]
fn a_new_crate_of_each_shape_builds_and_passes_its_tests() {
    let real = crate::workspace::root();
    let root = std::env::temp_dir().join(format!("xtask-new-plugin-{}", std::process::id()));
    repository(&real, &root);
    let workspace = Workspace {
        root: root.clone(),
        target: root.join("target"),
    };
    for (name, shape) in SHAPES {
        let name = name.to_owned();
        new_plugin(&workspace, &Args { name, shape }).expect("it is made");
    }
    let again = Args {
        name: "new-policy".to_owned(),
        shape: sort(true, false, false),
    };
    let told = new_plugin(&workspace, &again)
        .expect_err("it is there already")
        .to_string();
    assert!(told.contains("is there already"), "{told}");

    let cargo = |words: &[&str]| {
        let mut command = workspace.cargo();
        command
            .args(words)
            .args(["--offline", "--manifest-path", "plugins/Cargo.toml", "--target-dir"]);
        command.arg(real.join("plugins/target"));
        for (name, _) in SHAPES {
            command.args(["--package", name]);
        }
        let output = command.env_remove("CARGO_TARGET_DIR").output().expect("cargo runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command:?}\n{told}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let tested = cargo(&["test", "--lib"]);
    assert_eq!(tested.matches("it_would_load ... ok").count(), SHAPES.len(), "{tested}");
    let built = cargo(&[
        "build",
        "--release",
        "--target",
        "wasm32-wasip2",
        "--message-format",
        "json",
    ]);
    for (name, _) in SHAPES {
        let file = format!("{}.wasm", name.replace('-', "_"));
        assert!(built.contains(&file), "{file} was not made");
    }
    fs::remove_dir_all(&root).expect("it can be removed");
}

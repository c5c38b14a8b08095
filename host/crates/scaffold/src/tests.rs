use super::*;

const SHAPES: [Shape; 3] = [Shape::Activity, Shape::Durable, Shape::Policy];

fn text<'a>(files: &'a [File], path: &str) -> &'a str {
    let found = files.iter().find(|file| file.path == path);
    &found.unwrap_or_else(|| panic!("{path} is missing")).text
}

#[test]
fn nothing_of_the_template_is_left() {
    for shape in SHAPES {
        for place in [Place::Inside, Place::Outside] {
            let files = files(shape, place, "word-count").expect("a name");
            for file in files.iter().filter(|file| !file.path.starts_with(VENDOR)) {
                assert!(
                    !file.text.contains("kind-name") && !file.text.contains("kind_name"),
                    "{}",
                    file.path
                );
            }
            assert!(text(&files, "src/lib.rs").contains("kind = \"word-count\""));
            assert!(text(&files, "src/lib.rs").contains("fn word_count("));
            assert!(text(&files, "Cargo.toml").contains("name = \"word-count\""));
        }
    }
}

#[test]
fn outside_the_guest_crate_comes_along_without_its_tests() {
    let files = files(Shape::Activity, Place::Outside, "a").expect("a name");
    let vendored = |path: &str| format!("{VENDOR}/{path}");
    assert!(text(&files, &vendored("plugins/sdk/src/lib.rs")).contains("Write task kinds"));
    assert!(text(&files, &vendored("plugins/sdk-macros/Cargo.toml")).contains("proc-macro"));
    assert!(text(&files, &vendored("wit/plugin.wit")).contains("package grepx:plugin@"));
    assert!(
        files
            .iter()
            .all(|file| !file.path.contains("/sdk/tests/") && !file.path.contains(".."))
    );
    let workspace = text(&files, &vendored("plugins/Cargo.toml"));
    assert!(workspace.contains("members = [\"sdk\", \"sdk-macros\"]"), "{workspace}");
    assert!(
        workspace.contains("wit-bindgen = ") && !workspace.contains("[profile"),
        "{workspace}"
    );
    assert!(
        !workspace.contains("grepx-celery"),
        "a path that is not there: {workspace}"
    );
}

#[test]
fn names_that_cannot_be_are_refused() {
    for name in [
        "",
        "A",
        "a_b",
        "-a",
        "a-",
        "a--b",
        "3d",
        "type",
        "sdk",
        "ä",
        "a/b",
        "..",
        &"a".repeat(61),
    ] {
        let told = files(Shape::Activity, Place::Inside, name).expect_err(name).to_string();
        assert!(told.contains("word-count"), "{told}");
    }
    for name in ["a", "a1", "word-count"] {
        assert!(files(Shape::Policy, Place::Inside, name).is_ok(), "{name}");
    }
}

#[test]
fn a_member_is_added_once() {
    let one = with_member("[workspace]\nmembers = [\"sdk\"]\n", "new").expect("a list");
    assert_eq!(one, "[workspace]\nmembers = [\"sdk\", \"new\"]\n");
    assert_eq!(with_member(&one, "new"), Ok(one.clone()));
    let many = with_member("members = [\n    \"a\",\n    \"b\",\n]\n", "c").expect("a list");
    assert_eq!(many, "members = [\n    \"a\",\n    \"b\",\n    \"c\",\n]\n");
    assert!(with_member("[package]", "c").is_err());
    assert!(with_member(WORKSPACE, "c").is_ok_and(|text| text.contains("\"c\"]")));
}

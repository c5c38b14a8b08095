use std::path::Path;

use super::{Facts, quoted, render};

#[test]
fn paths_are_words_of_a_unit() {
    assert_eq!(quoted(Path::new("/opt/grepx")), "/opt/grepx");
    assert_eq!(quoted(Path::new("/opt/our flows/100%")), "\"/opt/our flows/100%%\"");
}

#[test]
fn a_unit_names_program_user_folders_and_time() {
    let unit = render(&Facts {
        user: Some("grepx".into()),
        start: "/usr/bin/grepx-host --config /etc/grepx.yaml serve".into(),
        folder: "/srv/grepx".into(),
        writes: vec![
            "/srv/grepx/state".into(),
            "/srv/grepx/plugins".into(),
            "/srv/grepx/state".into(),
        ],
        stop_s: 35,
    });
    insta::assert_snapshot!(unit);
}

use std::path::Path;

use super::{Facts, argument, quoted, render};

#[test]
fn paths_are_words_of_a_unit() {
    assert_eq!(quoted(Path::new("/opt/grepx")), "/opt/grepx");
    assert_eq!(quoted(Path::new("/opt/our flows/100%")), "\"/opt/our flows/100%%\"");
    assert_eq!(quoted(Path::new("/opt/$x")), "/opt/$x", "only commands know variables");
    assert_eq!(argument(Path::new("/opt/$x 1")), "\"/opt/$$x 1\"");
    let unit = render(&Facts {
        user: None,
        start: "/usr/bin/grepx-host serve".into(),
        folder: "/srv/100% ours".into(),
        writes: vec!["/srv/$a".into()],
        stop_s: 35,
    });
    assert!(unit.contains("WorkingDirectory=/srv/100%% ours\n"), "{unit}");
    assert!(unit.contains("ReadWritePaths=-/srv/$a\n"), "{unit}");
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

use super::*;

#[test]
fn priorities_fall_into_steps() {
    let cases = [
        (None, "q"),
        (Some(0), "q"),
        (Some(2), "q"),
        (Some(3), "q\x06\x163"),
        (Some(5), "q\x06\x163"),
        (Some(6), "q\x06\x166"),
        (Some(8), "q\x06\x166"),
        (Some(9), "q\x06\x169"),
        (Some(200), "q\x06\x169"),
    ];
    for (priority, list) in cases {
        assert_eq!(priority_list("q", priority), list, "{priority:?}");
    }
    assert_eq!(
        QueueLayout::default().lists("q"),
        ["q", "q\x06\x163", "q\x06\x166", "q\x06\x169"]
    );
}

#[test]
fn options_of_the_workers_are_mirrored() {
    let layout = QueueLayout {
        separator: ":".into(),
        priority_steps: vec![2, 4],
        key_prefix: "app1:".into(),
    };
    assert_eq!(layout.check(), Ok(()));
    assert_eq!(layout.list("q", Some(5)), "app1:q:4");
    assert_eq!(layout.list("q", Some(2)), "app1:q:2");
    assert_eq!(
        layout.list("q", None),
        "app1:q:4",
        "below the first step kombu takes the last"
    );
}

#[test]
fn a_layout_that_cannot_work_is_refused() {
    let base = QueueLayout::default();
    for steps in [vec![], vec![3, 0], vec![0, 0], vec![0, 10]] {
        let layout = QueueLayout {
            priority_steps: steps.clone(),
            ..base.clone()
        };
        assert_eq!(layout.check(), Err(LayoutError::Steps { steps }));
        let _total = (layout.list("q", Some(4)), layout.lists("q"));
    }
    let layout = QueueLayout {
        separator: String::new(),
        ..base
    };
    assert_eq!(layout.check(), Err(LayoutError::NoSeparator));
}

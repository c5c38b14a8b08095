use super::*;

#[test]
fn lines_of_the_crates_log_and_tracing_arrive() {
    collect();
    taken();
    ::log::warn!("{} rows", 3);
    info!("by the macro of this module");
    info("by its function");
    tracing::error!(code = 7, "from tracing");
    ::log::trace!("too fine");
    let lines: Vec<String> = taken()
        .into_iter()
        .map(|(level, text)| format!("{level:?} {text}"))
        .collect();
    assert_eq!(
        lines[..3],
        [
            "Level::Warn 3 rows",
            "Level::Info by the macro of this module",
            "Level::Info by its function"
        ]
    );
    assert!(
        lines[3].contains("Error") && lines[3].contains("from tracing") && lines[3].contains('7'),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 4);
}

#[test]
fn silence_ends_with_its_guard() {
    taken();
    {
        let _silence = Silence::new();
        info("not heard");
        progress(0.5, "not seen");
    }
    info("heard");
    assert_eq!(taken().len(), 1);
}

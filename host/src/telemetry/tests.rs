use super::{VARIABLE, configured, parse};

#[test]
fn a_wrong_filter_names_where_it_stands() {
    let error = parse(VARIABLE, "info,=").expect_err("no filter");
    assert!(error.to_string().starts_with("RUST_LOG is no log filter"), "{error}");
    assert!(parse("logging.level", "info,grepx_host::runner=debug").is_ok());
}

#[test]
fn a_level_alone_keeps_others_quiet_and_a_filter_stands_as_it_is() {
    assert_eq!(
        configured("debug").expect("a level").to_string(),
        "refinery_core=warn,debug"
    );
    assert_eq!(configured("warn,a=info").expect("a filter").to_string(), "a=info,warn");
    assert!(configured("inof").is_err());
}

use super::{VARIABLE, parse};

#[test]
fn a_wrong_filter_names_where_it_stands() {
    let error = parse(VARIABLE, "info,=").expect_err("no filter");
    assert!(error.to_string().starts_with("RUST_LOG is no log filter"), "{error}");
    assert!(parse("logging.level", "info,grepx_host::runner=debug").is_ok());
}

use super::{nearest, unknown};

#[test]
fn a_slip_of_the_finger_finds_the_name_that_was_meant() {
    let known = ["nightly_report", "stock_data_pipeline"];
    assert_eq!(nearest("nigthly_report", known), Some("nightly_report"));
    assert_eq!(nearest("Stock_Data_Pipeline", known), Some("stock_data_pipeline"));
    assert_eq!(nearest("xyz", known), None);
}

#[test]
fn without_a_near_one_the_command_that_lists_them_is_named() {
    let failure = unknown("work pool", "xyz", ["default"], "work-pool ls");
    assert_eq!(
        failure.error.to_string(),
        "there is no work pool \"xyz\": `grepx-host work-pool ls` lists them"
    );
}

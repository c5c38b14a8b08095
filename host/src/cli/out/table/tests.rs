use super::{cut, fit, row, width};

const ID: &str = "01a208d8-d346-73d9-93b3-cdbef4c51e02";
const HEADER: [&str; 4] = ["ID", "FLOW", "STATE", "WHY"];

fn rows() -> Vec<[String; 4]> {
    vec![[
        ID.to_owned(),
        "a_flow_with_a_rather_long_name".to_owned(),
        "AwaitingConcurrencySlot".to_owned(),
        "work pool default-process-pool: 10 of 10 slots taken".to_owned(),
    ]]
}

fn shown(columns: Option<usize>) -> String {
    let rows = rows();
    row(&fit(&HEADER, &rows, columns), &rows[0], |_, _, text| text.to_owned())
}

#[test]
fn without_a_terminal_nothing_is_cut() {
    assert_eq!(shown(None).matches('…').count(), 0);
}

#[test]
fn a_row_fits_the_terminal_and_keeps_its_id() {
    for columns in [60, 80, 100, 120, 200] {
        let line = shown(Some(columns));
        assert!(width(&line) <= columns, "{columns}: {line}");
        assert!(line.contains(ID), "{columns}: {line}");
    }
}

#[test]
fn the_last_column_is_cut_before_any_other() {
    let line = shown(Some(130));
    assert!(line.contains("a_flow_with_a_rather_long_name") && line.contains("AwaitingConcurrencySlot"));
    assert!(line.ends_with('…'), "{line}");
}

#[test]
fn where_there_is_no_room_a_made_up_name_goes_before_a_state_is_cut() {
    let header = ["ID", "FLOW", "NAME", "STATE", "SINCE", "WHY"];
    let rows = vec![
        [ID, "stock_data_pipeline", "patient-bison", "Scheduled", "13 s ago", ""].map(str::to_owned),
        [
            ID,
            "demo_of_a_long_flow_name",
            "able-lark",
            "Running",
            "8 s ago",
            "queued on celery",
        ]
        .map(str::to_owned),
    ];
    let line = |columns| {
        row(&fit(&header, &rows, Some(columns)), &rows[0], |_, _, text| {
            text.to_owned()
        })
    };
    let narrow = line(80);
    assert!(narrow.contains("Scheduled") && narrow.contains("13 s ago"), "{narrow}");
    assert!(!narrow.contains("patient"), "{narrow}");
    assert!(line(200).contains("patient-bison"));
}

#[test]
fn wide_characters_count_as_two_columns() {
    assert_eq!(cut("日本語の名前", 7), "日本語…");
    assert_eq!(cut("short", 5), "short");
    assert_eq!(cut("longer", 5), "long…");
    assert_eq!(cut("gone", 0), "");
}

#[test]
fn a_column_that_is_empty_in_a_row_keeps_its_place() {
    let rows = vec![["a".to_owned(), String::new(), "c".to_owned()]];
    let widths = fit(&["ONE", "TWO", "THREE"], &rows, None);
    assert_eq!(row(&widths, &rows[0], |_, _, text| text.to_owned()), "a         c");
}

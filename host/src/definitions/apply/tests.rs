use super::*;
use crate::definitions::{Row, export};

const FILE: &str = "\
prefect_work_pools:
  - name: pool
prefect_flows:
  - name: f
    tags: [a]
prefect_tasks:
  - name: a
    flow_name: f
    celery_task_name: m.a
    task_kwargs: {x: 1, y: [1.5, null]}
  - name: b
    flow_name: f
    task_kind: sleep
    task_config: {seconds: 1}
    depends_on: [a]
prefect_deployments:
  - name: d
    flow_name: f
    work_pool_name: pool
";

struct Place {
    dir: tempfile::TempDir,
    url: String,
}

fn place() -> Place {
    let dir = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:///{}", dir.path().join("deep/x.db").display());
    Place { dir, url }
}

fn files(text: &str) -> Files {
    Files::parse(Path::new("f.yaml"), text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn planned(place: &Place, files: &Files) -> Plan {
    let rows = current(&place.url, true).expect("reads");
    plan(files, &rows).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn applied(place: &Place, text: &str) -> Plan {
    let files = files(text);
    let plan = planned(place, &files);
    apply(&place.url, &files, &plan, true).unwrap_or_else(|error| panic!("{error}"));
    assert!(planned(place, &files).is_empty(), "a second time changes nothing");
    plan
}

fn row<'r>(rows: &'r Rows, table: Table, name: &str) -> &'r Row {
    rows.table(table)
        .iter()
        .find(|row| row.name() == Some(name))
        .expect("the row")
}

#[test]
fn a_new_database_gets_tables_rows_and_the_defaults_of_the_original() {
    let place = place();
    let plan = applied(&place, FILE);
    assert_eq!((plan.new_tables.len(), plan.changes.len(), plan.unchanged), (4, 5, 0));
    let rows = current(&place.url, false).expect("reads");
    let task = row(&rows, Table::Tasks, "a");
    assert_eq!(task.integer("timeout_seconds"), Ok(Some(300)));
    assert_eq!(task.flag("is_active"), Ok(Some(true)));
    assert!(task.text("created_at").is_ok_and(|at| at.is_some()));
    assert_eq!(
        row(&rows, Table::Tasks, "b").texts("depends_on"),
        Ok(vec!["a".to_owned()])
    );
    assert_eq!(
        row(&rows, Table::WorkPools, "pool").integer("concurrency_limit"),
        Ok(Some(10))
    );
    drop(place.dir);
}

#[test]
fn only_named_fields_change_and_by_meaning() {
    let place = place();
    applied(&place, FILE);
    let spelled = "prefect_tasks: [{name: a, flow_name: f, celery_task_name: m.a, task_kwargs: {y: [1.5, ~], x: 1.0}}]";
    assert!(planned(&place, &files(spelled)).is_empty());
    let plan = applied(
        &place,
        "prefect_tasks: [{name: a, flow_name: f, celery_task_name: m.a, timeout_seconds: 5}]",
    );
    insta::assert_snapshot!(plan, @r#"
    ~ prefect_tasks "a"
        timeout_seconds: 300 → 5
    0 to add, 1 to change, 0 unchanged
    "#);
    let rows = current(&place.url, false).expect("reads");
    let task = row(&rows, Table::Tasks, "a");
    assert_eq!(
        task.object("task_kwargs")
            .map(|kwargs| kwargs.map(|kwargs| kwargs.len())),
        Ok(Some(2))
    );
}

#[test]
fn a_database_of_the_original_gets_only_the_columns_that_files_use() {
    let place = place();
    std::fs::create_dir_all(place.dir.path().join("deep")).expect("a directory");
    let connection = Connection::open(place.dir.path().join("deep/x.db")).expect("opens");
    connection.execute_batch("
        CREATE TABLE prefect_flows (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL UNIQUE, description TEXT, flow_type VARCHAR, tags JSON, is_active BOOLEAN, created_at TIMESTAMP);
        CREATE TABLE prefect_tasks (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL UNIQUE, description TEXT, flow_id INTEGER NOT NULL, celery_task_name VARCHAR NOT NULL, task_args JSON, task_kwargs JSON, depends_on JSON, tags JSON, retry_config JSON, timeout_seconds INTEGER, is_active BOOLEAN, created_at TIMESTAMP);
        CREATE TABLE prefect_deployments (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL UNIQUE, description TEXT, flow_id INTEGER NOT NULL, work_pool_name VARCHAR NOT NULL, work_queue_name VARCHAR, schedule_type VARCHAR, schedule_config JSON, parameters JSON, tags JSON, is_active BOOLEAN, created_at TIMESTAMP);
        CREATE TABLE prefect_work_pools (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL UNIQUE, description TEXT, pool_type VARCHAR, config JSON, concurrency_limit INTEGER, is_active BOOLEAN, created_at TIMESTAMP);
    ").expect("creates");
    let plan = applied(&place, FILE);
    assert_eq!(
        plan.new_columns,
        [(Table::Tasks, "task_kind"), (Table::Tasks, "task_config")]
    );
    let rows = current(&place.url, false).expect("reads");
    assert!(!rows.has_column(Table::Tasks, "run_if"));
    assert_eq!(row(&rows, Table::Tasks, "a").flag("is_active"), Ok(Some(true)));
}

#[test]
fn nothing_is_created_unasked_and_a_stale_plan_is_refused() {
    let place = place();
    let wanted = files(FILE);
    assert!(matches!(current(&place.url, false), Err(SourceError::Missing { .. })));
    let plan = planned(&place, &wanted);
    assert!(apply(&place.url, &wanted, &plan, false).is_err());
    assert!(!place.dir.path().join("deep").exists());
    apply(&place.url, &wanted, &plan, true).expect("applies");
    assert!(matches!(
        apply(&place.url, &wanted, &plan, true),
        Err(ApplyError::Stale)
    ));
}

#[test]
fn a_refused_row_changes_nothing() {
    let place = place();
    applied(&place, FILE);
    let connection = Connection::open(place.dir.path().join("deep/x.db")).expect("opens");
    connection
        .execute_batch("CREATE TRIGGER no BEFORE INSERT ON prefect_tasks BEGIN SELECT RAISE(ABORT, 'no'); END")
        .expect("creates");
    let wanted = files("prefect_flows: [{name: g}]\nprefect_tasks: [{name: c, flow_name: g, celery_task_name: m.c}]");
    let plan = planned(&place, &wanted);
    let error = apply(&place.url, &wanted, &plan, true).expect_err("refused");
    assert!(error.to_string().contains("adding prefect_tasks \"c\""), "{error}");
    assert_eq!(current(&place.url, false).expect("reads").table(Table::Flows).len(), 1);
}

#[test]
fn flows_that_nobody_has_are_named() {
    let wanted = files(
        "prefect_flows: [{name: stocks}]\nprefect_tasks:\n  - {name: c, flow_name: stock, celery_task_name: m.c}",
    );
    let mistakes = rows_of(&wanted).expect_err("no such flow").to_string();
    assert_eq!(
        mistakes,
        "f.yaml:3:26: flow_name \"stock\" is neither in the files nor in the database; did you mean \"stocks\"?; add it to prefect_flows"
    );
}

#[test]
fn what_is_exported_applies_to_nothing() {
    let place = place();
    applied(&place, FILE);
    let connection = Connection::open(place.dir.path().join("deep/x.db")).expect("opens");
    connection.execute_batch(r#"
        PRAGMA foreign_keys = 0;
        UPDATE prefect_flows SET description = 'a: b # c' || char(10) || '  é 🎵 ' || char(133, 7, 65279, 8232) || '"\' , flow_type = 'yes';
        UPDATE prefect_tasks SET task_kwargs = ' {"<<": {"a b": [[], {}, "null", "010", "1", 1e300, -0.0, 18446744073709551615]}, "": null, "~": "- x", "k: v": "*a", "y": "%x"} ', timeout_seconds = NULL, tags = 'null' WHERE name = 'a';
        UPDATE prefect_tasks SET task_args = 'not json', is_active = 7, retry_config = '[]', description = '' WHERE name = 'b';
        INSERT INTO prefect_tasks (name, flow_id, celery_task_name) VALUES ('lost', 99, 'x');
        INSERT INTO prefect_flows (name, is_active) VALUES ('null', 0);
        INSERT INTO prefect_flows (name, is_active) VALUES (x'ff', 1);
        UPDATE prefect_work_pools SET concurrency_limit = NULL, config = NULL;
        UPDATE prefect_deployments SET schedule_type = NULL, schedule_config = '{"interval_seconds": 60}', parameters = NULL;
    "#).expect("writes");
    let rows = current(&place.url, false).expect("reads");
    let text = export(&rows);
    let again = Files::parse(Path::new("export.yaml"), &text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
    let plan = plan(&again, &rows).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
    assert!(plan.is_empty(), "{plan}\n{text}");
    assert_eq!(plan.unchanged, 6, "{text}");
    let fresh = rows_of(&again).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let plan = super::plan(&again, &fresh).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
    assert!(plan.is_empty(), "{plan}\n{text}");
    insta::assert_snapshot!(text);
}

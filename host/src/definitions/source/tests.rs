use std::fs;

use super::*;

const TABLES: &str = "CREATE TABLE prefect_flows (id INTEGER PRIMARY KEY, name VARCHAR);
    INSERT INTO prefect_flows VALUES (2, 'b'), (1, 'a');";

fn database(path: &Path, sql: &str) -> Connection {
    let connection = Connection::open(path).expect("opens");
    connection.execute_batch(sql).expect("runs");
    connection
}

fn source(path: &Path) -> Source {
    Source::open(&format!("sqlite:///{}", path.display())).expect("a URL")
}

#[test]
fn urls_are_read_as_sqlalchemy_does() {
    let path = |url: &str| sqlite_path(url).map(|path| path.display().to_string());
    assert_eq!(
        path("sqlite:///../../../data/x.db").expect("relative"),
        "../../../data/x.db"
    );
    assert_eq!(path("sqlite:////var/x.db").expect("absolute"), "/var/x.db");
    assert_eq!(path("sqlite+pysqlite:///x.db?timeout=3").expect("dialect"), "x.db");
    for url in ["postgresql://u:p@h/db", "postgresql+psycopg2://h/db"] {
        assert!(matches!(sqlite_path(url), Err(SourceError::Postgres)), "{url}");
    }
    for url in ["sqlite://", "sqlite:///", "sqlite:///:memory:", "x.db", "mysql://h/db"] {
        assert!(matches!(sqlite_path(url), Err(SourceError::Url { .. })), "{url}");
    }
}

#[test]
fn rows_come_by_column_name_and_unknown_tables_stay_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.db");
    drop(database(&path, TABLES));
    let before = fs::read(&path).expect("bytes");
    let rows = source(&path).load().expect("loads");
    assert_eq!(
        rows.table(Table::Flows)
            .iter()
            .filter_map(Row::name)
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert!(!rows.has_table(Table::Tasks));
    assert_eq!(fs::read(&path).expect("bytes"), before);
    assert_eq!(
        fs::read_dir(dir.path()).expect("lists").count(),
        1,
        "nothing is created beside it"
    );
}

#[test]
fn a_commit_is_seen_in_both_journal_modes_and_only_then() {
    for mode in ["delete", "wal"] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.db");
        let writer = database(&path, &format!("PRAGMA journal_mode = {mode}; {TABLES}"));
        let mut source = source(&path);
        assert!(source.changed(), "nothing was read yet");
        source.load().expect("loads");
        assert!(!source.changed(), "{mode}");
        writer
            .execute_batch("INSERT INTO prefect_flows VALUES (3, 'c')")
            .expect("writes");
        assert!(source.changed(), "{mode}");
        assert_eq!(source.load().expect("loads").table(Table::Flows).len(), 3);
        assert!(!source.changed(), "{mode}");
    }
}

#[test]
fn a_replaced_or_returning_file_is_seen() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, other) = (dir.path().join("x.db"), dir.path().join("y.db"));
    let mut source = source(&path);
    let missing = source.load().expect_err("not there yet");
    assert!(matches!(missing, SourceError::Missing { .. }), "{missing}");
    assert!(!source.changed());
    drop(database(&path, TABLES));
    assert!(source.changed());
    source.load().expect("loads");
    drop(database(
        &other,
        "CREATE TABLE prefect_flows (id INTEGER PRIMARY KEY, name VARCHAR)",
    ));
    fs::rename(&other, &path).expect("replaces");
    assert!(source.changed());
    assert_eq!(source.load().expect("loads").table(Table::Flows).len(), 0);
    fs::remove_file(&path).expect("removes");
    assert!(source.changed());
    assert!(source.load().is_err());
}

#[test]
fn what_is_no_database_is_one_clear_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.db");
    fs::write(
        &path,
        "not a database, but long enough to be looked at as one, in fact quite long",
    )
    .expect("writes");
    let error = source(&path).load().expect_err("no database");
    assert!(matches!(error, SourceError::Read { .. }), "{error}");
    fs::write(&path, "").expect("writes");
    let error = source(&path).load().expect_err("no tables");
    assert!(error.to_string().contains("has no table prefect_flows"), "{error}");
}

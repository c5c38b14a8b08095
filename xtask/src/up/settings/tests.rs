//! The lines that `up` looks for, in the shapes that people write them in.

use super::*;

fn settings(text: &str, variables: &[(&str, &str)]) -> Settings {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Settings {
        text: text.to_owned(),
        variables,
    }
}

const CONFIG: &str = r#"
app:
  port: 1   # not the server's
server:
  host: "0.0.0.0"
  port: ${GREPX_PORT:4300}
# server:
#   port: 2
database:
  db_url: ${GREPX_MASTER_DB_URL:sqlite:///data/grepx-master.db}  # the seed's
"#;

#[test]
fn defaults_may_hold_colons_and_variables_win() {
    let root = Path::new("/repo");
    let plain = settings(CONFIG, &[]);
    assert_eq!(
        plain.database_file(root),
        Some(PathBuf::from("/repo/data/grepx-master.db"))
    );
    assert_eq!(plain.address(None), ("127.0.0.1".to_owned(), 4300));
    assert_eq!(plain.address(Some(9)), ("127.0.0.1".to_owned(), 9));

    let set = settings(
        CONFIG,
        &[("GREPX_PORT", "5000"), ("GREPX_MASTER_DB_URL", "sqlite:////var/m.db")],
    );
    assert_eq!(set.database_file(root), Some(PathBuf::from("/var/m.db")));
    assert_eq!(set.address(None).1, 5000);
}

#[test]
fn a_database_that_is_no_file_is_left_alone() {
    let set = |url: &str| settings(CONFIG, &[("GREPX_MASTER_DB_URL", url)]).database_file(Path::new("/repo"));
    assert_eq!(set("postgresql://db/grepx"), None);
    assert_eq!(set("sqlite://"), None);
    assert_eq!(set("sqlite:///:memory:"), None);
}

#[test]
fn the_original_says_the_port_in_its_api_url() {
    let original = "prefect:\n  api_url: ${PREFECT_API_URL:http://127.0.0.1:4200/api}\n";
    assert_eq!(settings(original, &[]).address(None).1, 4200);
    let moved = settings(original, &[("PREFECT_API_URL", "http://localhost:4201/api")]);
    assert_eq!(moved.address(None), ("127.0.0.1".to_owned(), 4201));
}

#[test]
fn the_repository_has_a_configuration_that_up_understands() {
    let root = crate::workspace::root();
    let text = fs::read_to_string(root.join("config/config.yaml")).expect("it is there");
    let sample = settings(&text, &[]);
    assert_eq!(sample.database_file(&root), Some(root.join("data/grepx-master.db")));
    assert_eq!(sample.address(None), ("127.0.0.1".to_owned(), 4200));
    assert_eq!(settings(&text, &[("GREPX_PORT", "4999")]).address(None).1, 4999);
}

#[test]
fn a_default_may_hold_a_variable() {
    let text = "server:\n  host: ${A:x${B:y}${C:z}}-${D}${open\n  port: '${P:${Q:7}}'\n";
    let address = |variables: &[(&str, &str)]| settings(text, variables).address(None);
    assert_eq!(address(&[]), ("xyz-${open".to_owned(), 7));
    assert_eq!(
        address(&[("B", "2"), ("Q", "8"), ("D", "4")]),
        ("x2z-4${open".to_owned(), 8)
    );
    assert_eq!(address(&[("A", "1"), ("B", "2")]).0, "1-${open");
}

#[test]
fn what_is_not_written_is_the_default() {
    let empty = settings("", &[]);
    assert_eq!(
        empty.database_file(Path::new("/repo")),
        Some(PathBuf::from("/repo/data/grepx-master.db"))
    );
    assert_eq!(empty.address(None), ("127.0.0.1".to_owned(), 4200));
}

#[test]
fn an_env_file_may_hold_quotes_comments_and_exports() {
    let read = env_file("# A=0\nA=1\nexport B=\"two words\"\nC='3' \n\nbroken\n");
    let expected = [("A", "1"), ("B", "two words"), ("C", "3")];
    assert_eq!(
        read,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    );
}

use super::*;

fn mistakes(text: &str) -> String {
    Files::parse(Path::new("f.yaml"), text)
        .expect_err("is wrong")
        .to_string()
}

#[test]
fn the_words_of_the_original_are_read() {
    let text = "prefect_tasks:\n  - name: a\n    flow_name: f\n    celery_task_name: m.a\n    task_kwargs: {ticker: 0700, n: 1}\n    timeout_seconds: 180\n    is_active: true\n";
    let files = Files::parse(Path::new("f.yaml"), text).expect("reads");
    let entry = &files.entries[0];
    assert_eq!((entry.table, entry.name.as_str()), (Table::Tasks, "a"));
    assert_eq!(
        entry.values["task_kwargs"].value,
        serde_json::json!({"ticker": "0700", "n": 1})
    );
    assert_eq!(entry.values["flow_id"].value, "f");
    assert_eq!(entry.values.len(), 5);
    assert!(Files::parse(Path::new("f.yaml"), "").expect("reads").is_empty());
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let text = "\
prefect_task: []
prefect_flows:
  - name: f
    tag: [x]
  - {description: no name}
  - name: f2
  - name: f2
prefect_tasks:
  - name: t
    flow_name: f
    depends_on: a
    timeout_seconds: soon
    is_active: yes
  - name: u
    flow_name: f
prefect_deployments: {name: x}
";
    insta::assert_snapshot!(mistakes(text));
}

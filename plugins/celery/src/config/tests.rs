use super::*;

fn queue(config: Value, settings: Value, work_queue: Option<&str>) -> String {
    let config: Config = serde_json::from_value(config).expect("the test's configuration reads");
    let settings: Settings = serde_json::from_value(settings).expect("the test's settings read");
    config.queue(&settings, work_queue)
}

#[test]
fn the_tasks_own_queue_wins() {
    let settings = json!({ "queues": { "gpu": "gpu-workers" }, "default_queue": "main" });
    assert_eq!(queue(json!({ "queue": "mine" }), settings.clone(), Some("gpu")), "mine");
    assert_eq!(queue(json!({ "queue": null }), settings, Some("gpu")), "gpu-workers");
}

#[test]
fn the_default_work_queue_goes_to_the_default_queue() {
    for work_queue in [None, Some("default")] {
        assert_eq!(queue(json!({}), json!({}), work_queue), "celery");
        assert_eq!(queue(json!({}), json!({ "default_queue": "main" }), work_queue), "main");
    }
    let mapped = json!({ "queues": { "default": "mapped" }, "default_queue": "main" });
    assert_eq!(queue(json!({}), mapped, Some("default")), "mapped");
}

#[test]
fn another_work_queue_names_its_celery_queue() {
    assert_eq!(
        queue(json!({}), json!({ "default_queue": "main" }), Some("reports")),
        "reports"
    );
}

#[test]
fn misspelt_settings_are_refused() {
    let ctx = Ctx::for_tests().with_settings(json!({ "defaultqueue": "x" }));
    let error = ctx.settings::<Settings>().expect_err("unknown");
    assert!(error.message.contains("unknown field `defaultqueue`"), "{error}");
}

#[test]
fn another_connection_may_have_workers_that_are_set_up_otherwise() {
    let settings = json!({ "default_queue": "main", "connections": { "reports": { "default_queue": "paper" } } });
    let settings: Settings = serde_json::from_value(settings).expect("the test's settings read");
    let queue = |connection: Value| {
        let config: Config = serde_json::from_value(json!({ "connection": connection })).expect("reads");
        config.queue(settings.of(config.connection()), None)
    };
    assert_eq!(queue(json!("reports")), "paper");
    assert_eq!(queue(json!("unlisted")), "main");
    assert_eq!(queue(Value::Null), "main");
}

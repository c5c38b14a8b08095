use serde_json::json;

use super::*;

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/results/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn decode(name: &str) -> TaskResult {
    TaskResult::decode(&golden(name)).expect(name)
}

#[test]
fn states_of_a_python_worker_are_read() {
    let success = decode("success.json");
    assert_eq!((success.status, success.result), (Status::Success, json!(5)));
    assert_eq!(success.date_done.as_deref(), Some("2026-11-23T13:02:19.260385+00:00"));
    assert_eq!(success.task_id.as_deref(), Some("t1-add-1795438939248"));
    assert_eq!(success.children, Some(0));
    assert_eq!(decode("progress.json").status, Status::Other("PROGRESS".into()));
    assert_eq!(decode("progress.json").result, json!({"step": 0, "of": 2}));
    assert_eq!(decode("retry.json").status, Status::Retry);
    let failure = decode("failure.json");
    assert_eq!(failure.exception, Some(Exception::new("ValueError", "builtins", "m")));
    assert_eq!(failure.result, json!(null));
    assert!(failure.traceback.expect("stored").ends_with("ValueError: m\n"));
    assert_eq!(
        decode("revoked.json").children,
        None,
        "the control thread does not know children"
    );
}

#[test]
fn values_without_a_json_form_are_read_and_noted() {
    let nan = decode("nan.json");
    let expected =
        json!({"a": [1.5, null, null, null], "s": "x\u{fffd}y", "big": 1180591620717411303424.0, "pair": "😀"});
    assert_eq!(nan.result, expected);
    let paths: Vec<&str> = nan
        .unrepresentable
        .shown
        .iter()
        .map(|note| note.path.as_str())
        .collect();
    assert_eq!(
        paths,
        ["/result/a/1", "/result/a/2", "/result/a/3", "/result/s", "/result/big"]
    );
    let special = decode("special.json");
    assert_eq!(special.result["dec"], json!("1.10"));
    assert_eq!(special.result["u"], json!("00000000-0000-0000-0000-000000000005"));
    assert_eq!(special.result["dt"], json!("2024-01-02T03:04:05.678901+00:00"));
    assert!(special.unrepresentable.is_empty());
}

#[test]
fn other_formats_name_the_setting() {
    let cases = [
        ("compressed.bin", "(application/x-gzip); unset `result_compression`"),
        ("pickle.bin", "as pickle; set `result_serializer"),
        ("msgpack.bin", "as msgpack; set `result_serializer"),
        ("yaml.bin", "as YAML; set `result_serializer"),
    ];
    for (name, expected) in cases {
        let error = TaskResult::decode(&golden(name)).expect_err(name);
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert!(ends_wait(&golden(name)), "{name}: an unreadable answer is an answer");
    }
    let cases: [(&[u8], &str); 7] = [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"[]", "other than JSON"),
        (b"{", "cannot be read"),
        (b"{}", "`status` is not a string"),
        (b"{\"status\": 1}", "`status` is not a string"),
        (b"\0celery-compressed\0", "compresses results ()"),
    ];
    for (bytes, expected) in cases {
        let error = TaskResult::decode(bytes).expect_err(expected).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let huge = vec![b' '; MAX_BYTES + 1];
    assert_eq!(
        TaskResult::decode(&huge),
        Err(ResultError::TooLarge { bytes: MAX_BYTES + 1 })
    );
}

#[test]
fn only_three_states_are_final() {
    let cases = [
        ("SUCCESS", true),
        ("FAILURE", true),
        ("REVOKED", true),
        ("PENDING", false),
        ("RECEIVED", false),
        ("STARTED", false),
        ("RETRY", false),
        ("PROGRESS", false),
        ("success", false),
    ];
    for (word, is_final) in cases {
        let status = Status::from(word);
        assert_eq!((status.is_final(), status.as_str()), (is_final, word));
        for result in ["1", "NaN", r#""\ud83d""#] {
            let stored = format!(r#"{{"result": {result}, "status": "{word}"}}"#);
            assert_eq!(peek_status(stored.as_bytes()), Ok(Status::from(word)));
            assert_eq!(ends_wait(stored.as_bytes()), is_final, "{stored}");
        }
    }
    assert_eq!(peek_status(br#"{"status": "A\u0042"}"#), Ok(Status::Other("AB".into())));
}

#[test]
fn incomplete_exceptions_are_read() {
    let cases = [
        (json!(null), "Exception", json!([])),
        (json!("text"), "Exception", json!(["text"])),
        (json!({"exc_type": "E"}), "E", json!([])),
        (json!({"exc_type": "E", "exc_message": "m"}), "E", json!(["m"])),
        (
            json!({"exc_type": "E", "exc_message": [null, {"a": 1}]}),
            "E",
            json!([null, {"a": 1}]),
        ),
        (json!({"other": 1}), "Exception", json!([{"other": 1}])),
    ];
    for (stored, exc_type, exc_message) in cases {
        let meta = json!({"status": "FAILURE", "result": stored});
        let exception = TaskResult::decode(meta.to_string().as_bytes())
            .expect("readable")
            .exception
            .expect("failed");
        assert_eq!(
            (exception.exc_type.as_str(), json!(exception.exc_message)),
            (exc_type, exc_message),
            "{stored}"
        );
    }
}

/// What the embedded worker writes has the keys and values of a Python worker.
#[test]
fn encoded_results_are_those_of_python() {
    let date = |result: &TaskResult| result.date_done.clone().unwrap_or_default();
    let same = |name: &str, encoded: Vec<u8>| {
        let mut theirs: Value = serde_json::from_slice(&golden(name)).expect(name);
        // Python counts the repetition of a task among its children; the embedded worker has none.
        theirs["children"] = json!([]);
        assert_eq!(serde_json::from_slice::<Value>(&encoded).expect(name), theirs, "{name}");
    };
    let success = decode("success.json");
    let id = |result: &TaskResult| result.task_id.clone().unwrap_or_default();
    same(
        "success.json",
        encode_success(&id(&success), &json!(5), &date(&success)),
    );
    let failure = decode("failure-two.json");
    let exception = failure.exception.clone().expect("failed");
    same(
        "failure-two.json",
        encode_failure(&id(&failure), &exception, failure.traceback.as_deref(), &date(&failure)),
    );
    let retry = decode("retry.json");
    let exception = retry.exception.clone().expect("raised");
    same(
        "retry.json",
        encode_retry(&id(&retry), &exception, retry.traceback.as_deref()),
    );
    let revoked = decode("terminated.json");
    same(
        "terminated.json",
        encode_revoked(&id(&revoked), "terminated", &date(&revoked)),
    );
    let started = TaskResult::decode(&encode_started("i", "w@h", 7)).expect("readable");
    assert_eq!(
        (started.status, started.worker.as_deref()),
        (Status::Started, Some("w@h"))
    );
    let long = format!("{}end", "ž".repeat(100_000));
    let cut = TaskResult::decode(&encode_failure("i", &exception, Some(&long), "d")).expect("readable");
    let cut = cut.traceback.expect("kept");
    assert!(cut.len() <= 64 << 10 && cut.ends_with("žend"));
}

#[test]
fn keys_follow_the_prefix_rule() {
    let cases = [
        ("", "celery-task-meta-i"),
        ("app1", "app1_celery-task-meta-i"),
        ("app1:", "app1:celery-task-meta-i"),
        ("a_", "a_celery-task-meta-i"),
        ("a-", "a-celery-task-meta-i"),
        ("a.", "a.celery-task-meta-i"),
    ];
    for (prefix, key) in cases {
        assert_eq!(result_key(prefix, "i"), key);
    }
}

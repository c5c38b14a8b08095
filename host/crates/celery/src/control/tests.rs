use std::collections::BTreeMap;

use super::*;

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/control/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn revoke(ids: &[&str], terminate: bool, signal: Signal) -> Command {
    Command::Revoke {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        terminate,
        signal,
    }
}

/// Our command against the one that Python published for the same call.
#[test]
fn commands_are_those_of_python() {
    let ping = Request::decode(&golden("control-ping")).expect("golden");
    let many = Request::decode(&golden("control-revoke-many")).expect("golden");
    assert_eq!(ping.command, Command::Ping);
    assert_eq!(many.command, revoke(&["id1", "id2"], true, Signal::Kill));
    assert_eq!(many.destination, Some(vec!["w1@vm".to_owned()]));
    for (name, request) in [("control-ping", ping), ("control-revoke-many", many)] {
        let theirs = Envelope::decode(&golden(name)).expect(name);
        let ours = Envelope::decode(&request.encode(&Mailbox::new(0)).expect(name)).expect(name);
        assert_eq!(ours.body, theirs.body, "{name}");
        assert_eq!(ours.properties, theirs.properties, "{name}");
        assert_eq!(ours.headers["expires"], theirs.headers["expires"], "{name}");
        assert!(ours.headers.contains_key("clock"), "{name}");
    }
    let one = Request::decode(&golden("control-revoke-one")).expect("golden");
    assert_eq!(
        one.command,
        revoke(&["id1"], false, Signal::Term),
        "Python sends one id as a string"
    );
}

#[test]
fn every_command_survives_its_own_wire() {
    let ids = || vec!["a".to_owned(), "b".to_owned()];
    let commands = [
        Command::Ping,
        Command::Registered,
        Command::ActiveQueues,
        Command::QueryTask { ids: ids() },
        revoke(&["a"], true, Signal::Term),
        revoke(&["a"], true, Signal::Usr1),
        revoke(&["a"], false, Signal::Kill),
    ];
    for command in commands {
        let request = Request {
            command,
            destination: Some(vec!["w@h".into()]),
            reply_to: Some(ReplyTo {
                oid: "oid".into(),
                ticket: "ticket".into(),
            }),
            delivery_tag: "tag".into(),
            expires: Some(1.5),
        };
        assert_eq!(
            Request::decode(&request.encode(&Mailbox::new(0)).expect("encodes")),
            Ok(request)
        );
    }
}

#[test]
fn ids_are_bounded_and_methods_known() {
    let mailbox = Mailbox::new(0);
    for count in [0, MAX_IDS + 1] {
        let command = Command::QueryTask {
            ids: vec!["i".into(); count],
        };
        assert_eq!(
            Request::new(command, "t").encode(&mailbox),
            Err(ControlError::Ids { count })
        );
    }
    let wire = |body: Value| {
        let envelope = json!({"body": body.to_string(), "content-type": "application/json"});
        Request::decode(envelope.to_string().as_bytes()).expect_err("faulty")
    };
    assert_eq!(
        wire(json!({"method": "pool_grow"})),
        ControlError::Method {
            method: "pool_grow".into()
        }
    );
    assert!(matches!(wire(json!({"method": 1})), ControlError::Read(_)));
    assert!(matches!(
        wire(json!({"method": "revoke", "arguments": {}})),
        ControlError::Read(_)
    ));
    assert!(matches!(wire(json!([])), ControlError::Read(_)));
}

#[test]
fn names_follow_the_layout() {
    let mut mailbox = Mailbox::new(3);
    assert_eq!(mailbox.channel(), "/3.celery.pidbox");
    assert_eq!(mailbox.reply_list("o"), "o.reply.celery.pidbox");
    assert_eq!(mailbox.binding_key(), "_kombu.binding.reply.celery.pidbox");
    assert_eq!(mailbox.binding_member("o"), "o\x06\x16\x06\x16o.reply.celery.pidbox");
    mailbox.layout.key_prefix = "app1:".into();
    mailbox.layout.separator = "|".into();
    mailbox.exchange = "other".into();
    assert_eq!(mailbox.channel(), "app1:/3.other.pidbox");
    assert_eq!(mailbox.reply_list("o"), "app1:o.reply.other.pidbox");
    assert_eq!(mailbox.binding_key(), "app1:_kombu.binding.reply.other.pidbox");
    assert_eq!(mailbox.binding_member("o"), "o||o.reply.other.pidbox");
}

fn answer(name: &str) -> Value {
    let reply = Reply::decode(&golden(name)).expect(name);
    assert_eq!(
        (reply.worker.as_str(), reply.ticket.as_deref()),
        ("w1@vm", Some("tick")),
        "{name}"
    );
    match reply.answer {
        Answer::Value(value) => value,
        Answer::Refused(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn answers_of_a_python_worker_are_read() {
    assert_eq!(answer("reply-ping"), json!({"ok": "pong"}));
    let registered = registered_names(&answer("reply-registered"));
    assert!(registered.contains(&"tasks.add".to_owned()));
    assert_eq!(
        registered_names(&json!(["a.b [rate_limit=10/m]", 5, "c"])),
        ["a.b", "c"]
    );
    let mut queues = queue_names(&answer("reply-active-queues"));
    queues.sort();
    assert_eq!(queues, ["celery", "gpu"]);
    let places: Vec<TaskPlace> = task_places(&answer("reply-query")).into_values().collect();
    assert_eq!(places, [TaskPlace::Active]);
    assert_eq!(task_places(&answer("reply-query-none")), BTreeMap::new());
    let odd = json!({"a": ["reserved", {}], "b": ["scheduled"], "c": ["ready"], "d": [], "e": 1, "f": ["new"]});
    let places: Vec<TaskPlace> = task_places(&odd).into_values().collect();
    assert_eq!(places, [TaskPlace::Reserved, TaskPlace::Scheduled, TaskPlace::Ready]);
}

#[test]
fn answers_of_the_embedded_worker_are_read() {
    for answer in [
        Answer::Value(json!({"ok": "pong"})),
        Answer::Refused("KeyError('x')".into()),
    ] {
        let reply = Reply {
            ticket: Some("t".into()),
            worker: "w".into(),
            answer,
        };
        let encoded = reply.encode(&Mailbox::new(0), "oid", "tag").expect("encodes");
        let properties = Envelope::decode(&encoded).expect("readable").properties;
        let info = json!({"exchange": "reply.celery.pidbox", "routing_key": "oid"});
        assert_eq!(properties["delivery_info"], info);
        assert_eq!(Reply::decode(&encoded), Ok(reply));
    }
}

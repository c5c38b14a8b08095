//! What comes from Redis: every decoder answers with a value or an error, and what was read can be
//! passed on.

use grepx_celery::control::{Answer, Reply, Request, queue_names, registered_names, task_places};
use grepx_celery::{Endpoint, Received, TaskMessage, TaskResult, classify, result};

pub(crate) fn read(input: &[u8]) {
    if let Ok(decoded) = TaskResult::decode(input) {
        let _failure = classify(&decoded, "task", "queue");
        assert_eq!(result::peek_status(input).as_ref(), Ok(&decoded.status));
        serde_json::to_string(&decoded.result).expect("plain JSON");
    } else {
        let _status = (result::peek_status(input), result::ends_wait(input));
    }
    if let Ok(received) = Received::decode(input)
        && let Ok(again) = received.message.encode()
    {
        let once_more = Received::decode(&again).expect("what was encoded here is read here");
        assert_eq!(once_more.message.id, received.message.id);
    }
    let _id = TaskMessage::id_of(input);
    let _asked = Request::decode(input);
    if let Ok(Reply {
        answer: Answer::Value(value),
        ..
    }) = Reply::decode(input)
    {
        let _answers = (queue_names(&value), registered_names(&value), task_places(&value));
    }
    if let Ok(endpoint) = String::from_utf8_lossy(input).parse::<Endpoint>() {
        endpoint.to_string().parse::<Endpoint>().ok();
    }
}

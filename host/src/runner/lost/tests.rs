use std::sync::Arc;

use super::*;
use crate::runner::live::Destination;

const NOWHERE: Whereabouts = Whereabouts::Nowhere { workers: 3 };

fn queued() -> Queued {
    Queued {
        to: Arc::new(Destination {
            connection: "celery".to_owned(),
            queue: "celery".to_owned(),
            task_name: "tasks.add".to_owned(),
        }),
        attempt: 1,
        key: "task".into(),
        since: Timestamp(0),
        taken: false,
        seen: Timestamp(0),
        missing: 0,
    }
}

#[test]
fn one_look_is_not_enough() {
    let mut queued = queued();
    assert_eq!(is_lost(&mut queued, NOWHERE), None);
    assert_eq!(is_lost(&mut queued, NOWHERE), Some(3));
}

#[test]
fn whatever_speaks_for_it_begins_anew() {
    let signs: [fn(&mut Queued); 3] = [
        |queued| queued.heard(Timestamp(5)),
        |queued| assert_eq!(is_lost(queued, Whereabouts::Known), None),
        |queued| assert_eq!(is_lost(queued, Whereabouts::Unknown), None),
    ];
    for sign in signs {
        let mut queued = queued();
        assert_eq!(is_lost(&mut queued, NOWHERE), None);
        sign(&mut queued);
        assert_eq!(is_lost(&mut queued, NOWHERE), None);
        assert_eq!(is_lost(&mut queued, NOWHERE), Some(3));
    }
}

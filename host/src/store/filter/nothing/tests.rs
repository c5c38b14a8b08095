use crate::store::{Choice, FlowRunFilter, Join, Tags, TaskRunFilter, Text};

#[test]
fn a_filter_that_names_nothing_is_known_whatever_joins_it() {
    let nothing = FlowRunFilter {
        join: Join::Any,
        state_join: Join::Any,
        id: Choice {
            not: Some(Vec::new()),
            ..Choice::default()
        },
        tags: Tags {
            join: Join::Any,
            all: Some(Vec::new()),
            ..Tags::default()
        },
        task_run: Some(Box::new(TaskRunFilter {
            join: Join::Any,
            ..TaskRunFilter::default()
        })),
        parts: vec![FlowRunFilter {
            join: Join::Any,
            ..FlowRunFilter::default()
        }],
        ..FlowRunFilter::default()
    };
    assert!(nothing.asks_nothing());
    let mut of_one = nothing.clone();
    of_one.parts[0].flow_name = Text::any(["flow".to_owned()]);
    assert!(!of_one.asks_nothing());
    let none_at_all = FlowRunFilter {
        id: Choice::any([]),
        ..nothing
    };
    assert!(!none_at_all.asks_nothing(), "an empty list matches nothing");
}

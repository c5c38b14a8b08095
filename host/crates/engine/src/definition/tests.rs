use super::*;

fn tasks(edges: &[(&str, &[u32])]) -> Vec<Task> {
    edges
        .iter()
        .map(|(name, upstreams)| {
            let mut task = Task::new(*name, "noop");
            task.upstreams = upstreams.to_vec();
            task
        })
        .collect()
}

#[test]
fn a_circle_is_refused_with_its_path() {
    let found = Definition::new(
        "f",
        None,
        tasks(&[("a", &[]), ("b", &[0, 3]), ("c", &[1]), ("d", &[2])]),
    );
    let Err(InvalidDefinition::Cycle { path }) = found else {
        panic!("{found:?}")
    };
    assert_eq!(path.first(), path.last());
    assert_eq!(path.len(), 4);
}

#[test]
fn edges_are_linked_both_ways_and_survive_json() {
    let definition = Definition::new("f", Some(5), tasks(&[("a", &[]), ("b", &[0, 0]), ("c", &[1, 0])])).unwrap();
    assert_eq!(definition.tasks[0].downstreams, [1, 2]);
    assert_eq!(definition.ancestors(2), [0, 1]);
    let text = serde_json::to_string(&definition).unwrap();
    assert_eq!(serde_json::from_str::<Definition>(&text).unwrap(), definition);
}

#[test]
fn edges_to_nowhere_and_double_names_are_refused() {
    assert!(matches!(
        Definition::new("f", None, tasks(&[("a", &[7])])),
        Err(InvalidDefinition::UnknownUpstream { upstream: 7, .. })
    ));
    assert!(matches!(
        Definition::new("f", None, tasks(&[("a", &[]), ("a", &[])])),
        Err(InvalidDefinition::Duplicate { .. })
    ));
}

use super::{News, PluginNews, Serving, differences};

fn serving(kinds: &[(&str, &str)]) -> Serving {
    let kinds = kinds
        .iter()
        .map(|(kind, digest)| ((*kind).to_owned(), ((*digest).to_owned(), "1".to_owned())));
    kinds.collect()
}

#[test]
fn what_is_gone_and_what_is_another_is_told_and_nothing_else() {
    let before = serving(&[("celery", "a"), ("noop", "b"), ("sleep", "c")]);
    let now = serving(&[("celery", "a"), ("noop", "d"), ("http", "e")]);
    let told: Vec<_> = differences(&before, &now)
        .into_iter()
        .map(|news| match news {
            News::Plugin(plugin) => {
                let PluginNews { kind, digest, .. } = &*plugin;
                (kind.clone(), digest.clone())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let told: Vec<(&str, Option<&str>)> = told
        .iter()
        .map(|(kind, digest)| (kind.as_str(), digest.as_deref()))
        .collect();
    assert_eq!(told, [("sleep", None), ("http", Some("e")), ("noop", Some("d"))]);
}

//! Events of the YAML parser → tree: anchors, merge keys, duplicate keys, limits.

use std::collections::HashMap;
use std::path::Path;

use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{Key, Mistake, Mistakes, Node, Spot, Yaml, excerpt};

/// Values of a file at most.
const NODES_MAX: usize = 1_000_000;
/// Bytes that anchors keep and aliases repeat at most: a few lines can stand for any number.
const REPEATED_BYTES_MAX: usize = 16 << 20;
/// Nesting at most.
const DEPTH_MAX: usize = 140;
/// Characters of a key at most.
const KEY_CHARS_MAX: usize = 64 * 1024;

/// Reads one document. An empty one is an empty mapping.
///
/// # Errors
/// Where the text is no YAML; and every key that stands twice, tag, or alias to nowhere.
pub(crate) fn parse(file: &Path, text: &str) -> Result<Node, Mistakes> {
    let mut composer = Composer {
        file,
        mistakes: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        repeated_bytes: 0,
    };
    let options = granit_parser::options! { emit_comments: false, simple_key_max_lookahead: KEY_CHARS_MAX };
    let mut events = Events {
        parser: Parser::new_from_str_with_options(text, options),
    };
    let root = composer.document(&mut events);
    match root {
        Ok(root) if composer.mistakes.is_empty() => Ok(root),
        Ok(_) => Err(Mistakes(composer.mistakes)),
        Err(mistake) => {
            composer.mistakes.push(mistake);
            Err(Mistakes(composer.mistakes))
        }
    }
}

struct Events<'i> {
    parser: Parser<'i, StrInput<'i>>,
}

impl<'i> Events<'i> {
    /// The next event that is no comment. The stream always closes with `StreamEnd`.
    fn next(&mut self, file: &Path) -> Result<(Event<'i>, Spot), Mistake> {
        loop {
            match self.parser.next_event() {
                None => return Ok((Event::StreamEnd, Spot { line: 1, column: 1 })),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => return Ok((event, spot(&span))),
                Some(Err(error)) => {
                    let place = place(error.marker());
                    return Err(Mistake::new(file, place, format!("this is no YAML: {}", error.info())));
                }
            }
        }
    }
}

fn spot(span: &Span) -> Spot {
    place(&span.start)
}

fn place(marker: &Marker) -> Spot {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Spot {
        line: number(marker.line()),
        column: number(marker.col().saturating_add(1)),
    }
}

struct Composer<'f> {
    file: &'f Path,
    mistakes: Vec<Mistake>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    repeated_bytes: usize,
}

impl Composer<'_> {
    fn document(&mut self, events: &mut Events<'_>) -> Result<Node, Mistake> {
        let mut root = None;
        loop {
            let (event, spot) = events.next(self.file)?;
            match event {
                Event::StreamStart | Event::DocumentEnd | Event::DocumentStart(..) => {}
                Event::StreamEnd => break,
                _ if root.is_some() => {
                    return Err(Mistake::new(
                        self.file,
                        spot,
                        "a second document begins here; write one per file",
                    ));
                }
                event => root = Some(self.node(event, spot, events, 0)?),
            }
        }
        Ok(root.unwrap_or(Node {
            spot: Spot { line: 1, column: 1 },
            yaml: Yaml::Map(Vec::new()),
        }))
    }

    fn node<'i>(
        &mut self,
        event: Event<'i>,
        spot: Spot,
        events: &mut Events<'i>,
        depth: usize,
    ) -> Result<Node, Mistake> {
        self.count(spot)?;
        self.deep(depth, spot)?;
        let (anchor, yaml) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text_only = self.tag(tag.as_deref(), spot);
                let plain = style == ScalarStyle::Plain && !text_only;
                let text = text.into_owned();
                (anchor, Yaml::Scalar { text, plain })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), spot);
                let mut items = Vec::new();
                loop {
                    match events.next(self.file)? {
                        (Event::SequenceEnd | Event::StreamEnd, _) => break,
                        (event, spot) => items.push(self.node(event, spot, events, depth + 1)?),
                    }
                }
                (anchor, Yaml::List(items))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), spot);
                (anchor, Yaml::Map(self.mapping(events, depth)?))
            }
            Event::Alias(anchor) => return self.alias(anchor, spot, depth),
            other => {
                return Err(Mistake::new(
                    self.file,
                    spot,
                    format!("a value is missing before {}", excerpt(&format!("{other:?}"))),
                ));
            }
        };
        let node = Node { spot, yaml };
        if anchor != 0 {
            self.repeat(extent(&node).0, spot)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn mapping(&mut self, events: &mut Events<'_>, depth: usize) -> Result<Vec<(Key, Node)>, Mistake> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashMap<String, Spot> = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, key_spot) = events.next(self.file)?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                break;
            }
            let key = self.node(event, key_spot, events, depth + 1)?;
            let (event, spot) = events.next(self.file)?;
            let value = self.node(event, spot, events, depth + 1)?;
            match key.yaml {
                Yaml::Scalar { text, plain: true } if text == "<<" => merged.push(value),
                Yaml::Scalar { text, .. } => {
                    if let Some(first) = seen.insert(text.clone(), key_spot) {
                        let line = first.line;
                        let message = format!(
                            "{:?} stands twice, first on line {line}; keep one of them",
                            excerpt(&text)
                        );
                        self.mistakes.push(Mistake::new(self.file, key_spot, message));
                    } else {
                        entries.push((Key { spot: key_spot, text }, value));
                    }
                }
                _ => self
                    .mistakes
                    .push(Mistake::new(self.file, key_spot, "a key has to be a text")),
            }
        }
        for node in merged {
            self.merge(node, &mut entries, &mut seen);
        }
        Ok(entries)
    }

    /// `<<: *one` or `<<: [*one, *two]`: what is written wins over what is merged, earlier over later.
    fn merge(&mut self, node: Node, entries: &mut Vec<(Key, Node)>, seen: &mut HashMap<String, Spot>) {
        match node.yaml {
            Yaml::Map(more) => {
                for (key, value) in more {
                    if !seen.contains_key(&key.text) {
                        seen.insert(key.text.clone(), key.spot);
                        entries.push((key, value));
                    }
                }
            }
            Yaml::List(nodes) if nodes.iter().all(|one| matches!(one.yaml, Yaml::Map(_))) => {
                for one in nodes {
                    self.merge(one, entries, seen);
                }
            }
            _ => {
                let message = format!("`<<` merges mappings, here is {}", node.describe());
                self.mistakes.push(Mistake::new(self.file, node.spot, message));
            }
        }
    }

    fn alias(&mut self, anchor: usize, spot: Spot, depth: usize) -> Result<Node, Mistake> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Mistake::new(
                self.file,
                spot,
                "an alias inside of the value that it names",
            ));
        };
        let (bytes, height) = extent(node);
        self.deep(depth + height, spot)?;
        self.repeat(bytes, spot)?;
        Ok(self.anchors[&anchor].clone())
    }

    fn deep(&self, depth: usize, spot: Spot) -> Result<(), Mistake> {
        if depth > DEPTH_MAX {
            return Err(Mistake::new(
                self.file,
                spot,
                format!("nested deeper than {DEPTH_MAX} levels"),
            ));
        }
        Ok(())
    }

    fn count(&mut self, spot: Spot) -> Result<(), Mistake> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let message = format!("more than {NODES_MAX} values; split the file");
            return Err(Mistake::new(self.file, spot, message));
        }
        Ok(())
    }

    fn repeat(&mut self, bytes: usize, spot: Spot) -> Result<(), Mistake> {
        self.repeated_bytes = self.repeated_bytes.saturating_add(bytes);
        if self.repeated_bytes > REPEATED_BYTES_MAX {
            let message =
                format!("anchors and aliases repeat more than {REPEATED_BYTES_MAX} bytes; write less with them");
            return Err(Mistake::new(self.file, spot, message));
        }
        Ok(())
    }

    /// Whether the tag says that this is a text.
    fn tag(&mut self, tag: Option<&Tag>, spot: Spot) -> bool {
        let Some(tag) = tag else { return false };
        let text = tag.is_yaml_core_schema_tag("str") || tag.original() == "!";
        if !text && !tag.is_yaml_core_schema() {
            let message = format!("the tag {} means nothing here; remove it", tag.original());
            self.mistakes.push(Mistake::new(self.file, spot, message));
        }
        text
    }
}

/// Bytes of `node` in memory, and levels below it.
fn extent(node: &Node) -> (usize, usize) {
    let over = |children: &mut dyn Iterator<Item = &Node>| {
        let own = (size_of::<Node>(), 0);
        children.map(extent).fold(own, |(bytes, height), (more, below)| {
            (bytes + more, height.max(below + 1))
        })
    };
    match &node.yaml {
        Yaml::Scalar { text, .. } => (size_of::<Node>() + text.len(), 0),
        Yaml::List(items) => over(&mut items.iter()),
        Yaml::Map(entries) => {
            let keys: usize = entries.iter().map(|(key, _)| size_of::<Key>() + key.text.len()).sum();
            let (bytes, height) = over(&mut entries.iter().map(|(_, value)| value));
            (bytes + keys, height)
        }
    }
}

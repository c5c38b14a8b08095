//! A new plugin from a template: the same one for `cargo xtask new-plugin`, inside of this
//! repository, and for `grepx-host plugin new`, anywhere else.
//!
//! Pure: it gives file names and texts, and writes nothing. Deliberately absent: a language of
//! templates. They are Rust that could stand as it is, with the kind `kind-name` in it.

use std::fmt;

/// What sort of kind a plugin has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One call, one answer.
    Activity,
    /// Waits without holding anything.
    Durable,
    /// Decides what follows a failure.
    Policy,
}

/// Where the crate is to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this repository's `plugins/`, as a member of its workspace.
    Inside,
    /// Anywhere; the guest crate is written beside it.
    Outside,
}

/// A file of the new crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the crate's folder, with `/`.
    pub path: String,
    pub text: String,
}

/// Why a name cannot be the name of a plugin. `Display` says what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadName(String);

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} cannot be the name of a plugin: write a small letter, then small letters, digits and single hyphens, \
             up to {NAME_MAX}, and no word of Rust: word-count",
            self.0
        )
    }
}

impl std::error::Error for BadName {}

const NAME_MAX: usize = 60;
/// Names of the templates, of the guest crate, and words that no function may have.
const TAKEN: [&str; 59] = [
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "grepx-plugin-sdk",
    "grepx-plugin-sdk-macros",
    "if",
    "impl",
    "in",
    "let",
    "log",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "sdk",
    "sdk-macros",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "use",
    "virtual",
    "where",
    "while",
];

/// Path in the repository and text of everything that a component is built from.
const SDK: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
const WORKSPACE: &str = include_str!("../../../../plugins/Cargo.toml");
/// The versions that the guest crate is tested with; cargo drops what the new crate lacks.
const LOCK: &str = include_str!("../../../../plugins/Cargo.lock");
const VENDOR: &str = "vendor/grepx-plugin-sdk";

/// The files of a crate called `name`, whose one kind has the same name.
///
/// # Errors
/// When the name is none that cargo, Rust and the host all take.
pub fn files(shape: Shape, place: Place, name: &str) -> Result<Vec<File>, BadName> {
    if !is_name(name) {
        return Err(BadName(name.to_owned()));
    }
    let (source, tests) = match shape {
        Shape::Activity => (
            include_str!("../../../../plugins/templates/activity/lib.rs"),
            include_str!("../../../../plugins/templates/activity/tests.rs"),
        ),
        Shape::Durable => (
            include_str!("../../../../plugins/templates/durable/lib.rs"),
            include_str!("../../../../plugins/templates/durable/tests.rs"),
        ),
        Shape::Policy => (
            include_str!("../../../../plugins/templates/policy/lib.rs"),
            include_str!("../../../../plugins/templates/policy/tests.rs"),
        ),
    };
    let (manifest, readme) = match place {
        Place::Inside => (
            include_str!("../../../../plugins/templates/Cargo.toml.inside"),
            include_str!("../../../../plugins/templates/README.inside.md"),
        ),
        Place::Outside => (
            include_str!("../../../../plugins/templates/Cargo.toml.outside"),
            include_str!("../../../../plugins/templates/README.outside.md"),
        ),
    };
    let mut files: Vec<File> = [
        ("Cargo.toml", manifest),
        ("README.md", readme),
        ("src/lib.rs", source),
        ("src/tests.rs", tests),
    ]
    .into_iter()
    .map(|(path, text)| file(path, &named(text, name)))
    .collect();
    if place == Place::Outside {
        files.push(file(
            ".gitignore",
            include_str!("../../../../plugins/templates/gitignore"),
        ));
        files.push(file("Cargo.lock", LOCK));
        files.push(file(
            &format!("{VENDOR}/plugins/Cargo.toml"),
            &vendored_workspace(WORKSPACE),
        ));
        files.extend(SDK.iter().map(|(path, text)| file(&format!("{VENDOR}/{path}"), text)));
    }
    Ok(files)
}

/// `plugins/Cargo.toml` with the member `name` added.
///
/// # Errors
/// With a sentence when the list of members cannot be found.
pub fn with_member(workspace: &str, name: &str) -> Result<String, String> {
    let quoted = format!("\"{name}\"");
    let (start, end) =
        members(workspace).ok_or("plugins/Cargo.toml has no `members = [`: add the crate there by hand")?;
    let list = &workspace[start..end];
    if list.contains(&quoted) {
        return Ok(workspace.to_owned());
    }
    let several_lines = list.contains('\n');
    let kept = list.trim_end().trim_end_matches(',');
    let added = match (kept.is_empty(), several_lines) {
        (true, _) => quoted,
        (false, false) => format!("{kept}, {quoted}"),
        (false, true) => format!("{kept},\n    {quoted},\n"),
    };
    Ok(format!("{}{added}{}", &workspace[..start], &workspace[end..]))
}

/// What stands between the brackets.
fn members(workspace: &str) -> Option<(usize, usize)> {
    let list = "members = [";
    let start = workspace.find(list)? + list.len();
    Some((start, start + workspace[start..].find(']')?))
}

fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

fn named(template: &str, name: &str) -> String {
    template
        .replace("kind-name", name)
        .replace("kind_name", &name.replace('-', "_"))
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.ends_with('-')
        && !name.contains("--")
        && !TAKEN.contains(&name)
}

/// The workspace of the plugins with the guest crate alone in it: versions and lints are said in
/// one place, and nobody's crate builds with our profile.
fn vendored_workspace(workspace: &str) -> String {
    let mut kept = String::new();
    let mut section = "";
    for line in workspace.lines() {
        if line.starts_with('[') {
            section = line;
        }
        if section.starts_with("[profile") || line.starts_with('#') || line.starts_with("grepx-celery") {
            continue;
        }
        let line = if line.starts_with("members = [") {
            "members = [\"sdk\", \"sdk-macros\"]"
        } else {
            line
        };
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests;

//! The nearest of the names that there are, for one that there is not.

use super::exit::{Exit, Failure};

/// From 0 to 1 (Jaro-Winkler); below it, names have nothing to do with each other.
const CLOSE_ENOUGH: f64 = 0.75;

pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&wanted, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness >= CLOSE_ENOUGH)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

/// `there is no flow "x": did you mean "y"?`. `lists` is the command that lists them.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>, lists: &str) -> Failure {
    let hint = match nearest(name, known) {
        Some(known) => format!("did you mean {known:?}?"),
        None => format!("`grepx-host {lists}` lists them"),
    };
    Failure::says(Exit::NotFound, format!("there is no {what} {name:?}: {hint}"))
}

#[cfg(test)]
mod tests;

//! Widths of columns. Where there is not room for all, the last column is cut first, because it
//! holds the words; then the widest of the others. An id is never cut: it is there to be copied.
//!
//! Absent on purpose: folded cells. One row is one line, so that `grep` finds whole rows.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Between two columns.
const GAP: usize = 2;
/// What the last column keeps before others are cut, in terminal columns.
const LAST_MIN: usize = 16;
/// What any other column keeps.
const OTHER_MIN: usize = 6;
/// What columns of few words keep, which say little when they are cut.
const SHORT_MIN: usize = 12;
const SHORT: [&str; 3] = ["STATE", "STATUS", "SINCE"];
/// A made-up name beside an id: the first to go where there is no room.
const NAME: &str = "NAME";
/// Stands for what was cut off.
const ELLIPSIS: char = '…';

/// Terminal columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The widths of the columns within `available` terminal columns; without a limit, all of each. A
/// column without width is left out.
pub(super) fn fit<const N: usize>(header: &[&str; N], rows: &[[String; N]], available: Option<usize>) -> [usize; N] {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| width(&row[column]));
        cells.chain([width(header[column])]).max().unwrap_or(0)
    });
    let Some(available) = available else {
        return widths;
    };
    let mut all = widths;
    let least = least(header, &all);
    if narrow(&mut all, &least, available) == 0 {
        return all;
    }
    let mut fewer = widths;
    let mut least = least;
    if header.iter().any(|header| is_id(header)) {
        for column in (0..N).filter(|column| header[*column] == NAME) {
            (fewer[column], least[column]) = (0, 0);
        }
    }
    let excess = narrow(&mut fewer, &least, available);
    // What is left is the last column's to give, down to nothing.
    if let Some(last) = fewer.last_mut().filter(|_| N > 1 && !is_id(header[N - 1])) {
        shrink(last, 0, excess);
    }
    fewer
}

/// What each column keeps.
fn least<const N: usize>(header: &[&str; N], widths: &[usize; N]) -> [usize; N] {
    std::array::from_fn(|column| {
        let name = header[column];
        let least = match () {
            () if is_id(name) => usize::MAX,
            () if column + 1 == N => LAST_MIN,
            () if SHORT.contains(&name) => SHORT_MIN,
            () => OTHER_MIN.max(width(name)),
        };
        least.min(widths[column])
    })
}

/// The last column first, then the widest; says by how much it is still too wide.
fn narrow<const N: usize>(widths: &mut [usize; N], least: &[usize; N], available: usize) -> usize {
    let shown = widths.iter().filter(|width| **width > 0).count();
    let room = available.saturating_sub(GAP * shown.saturating_sub(1));
    let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
    if let (Some(last), Some(least)) = (widths.last_mut(), least.last()) {
        excess -= shrink(last, *least, excess);
    }
    while excess > 0 {
        let widest = (0..N).filter(|column| widths[*column] > least[*column]);
        let Some(widest) = widest.max_by_key(|column| widths[*column]) else {
            break;
        };
        excess -= shrink(&mut widths[widest], least[widest], 1);
    }
    excess
}

/// Takes at most `by` away and says how much it was.
fn shrink(width: &mut usize, least: usize, by: usize) -> usize {
    let taken = width.saturating_sub(least).min(by);
    *width -= taken;
    taken
}

fn is_id(header: &str) -> bool {
    header == "ID" || header.ends_with(" ID")
}

/// One line. `paint` is given the column, the whole cell and what is shown of it.
pub(super) fn row<const N: usize>(
    widths: &[usize; N],
    cells: &[String; N],
    paint: impl Fn(usize, &str, &str) -> String,
) -> String {
    let mut line = String::new();
    for (column, cell) in cells.iter().enumerate().filter(|(column, _)| widths[*column] > 0) {
        let shown = cut(cell, widths[column]);
        let padding = match column + 1 == N {
            true => 0,
            false => widths[column].saturating_sub(width(&shown)) + GAP,
        };
        if !shown.is_empty() {
            line.push_str(&paint(column, cell, &shown));
        }
        line.extend(std::iter::repeat_n(' ', padding));
    }
    line.truncate(line.trim_end().len());
    line
}

/// The first of a text, within `columns` terminal columns.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut taken = 1;
    for character in text.chars() {
        taken += character.width().unwrap_or(0);
        if taken > columns {
            break;
        }
        shown.push(character);
    }
    if columns > 0 {
        shown.push(ELLIPSIS);
    }
    shown
}

#[cfg(test)]
mod tests;

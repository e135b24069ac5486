//! What a text is laid out for, and text cut to a width without breaking a word.

use unicode_width::UnicodeWidthStr;

/// What a text is laid out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A terminal of so many columns.
    Terminal(usize),
    /// A file or a pipe: lines are as long as they need be.
    Unbounded,
    /// A page of HTML: tables are marked for `html` to set them.
    Page,
}

impl Layout {
    /// Columns that a line may have, if they are bounded.
    pub fn columns(self) -> Option<usize> {
        match self {
            Self::Terminal(columns) => Some(columns),
            Self::Unbounded | Self::Page => None,
        }
    }
}

/// Columns that `text` takes on a terminal. Colours take none.
pub(super) fn columns(text: &str) -> usize {
    let mut pieces = text.split('\x1b');
    let first = pieces.next().map_or(0, UnicodeWidthStr::width);
    let rest = pieces.map(|piece| match piece.split_once('m') {
        Some((_, text)) => text.width(),
        None => piece.width(),
    });
    first + rest.sum::<usize>()
}

/// The lines of `text`, `first` columns wide the first one and `others` the others, broken
/// between words alone: a word that is longer has a line of its own.
pub(super) fn wrapped(text: &str, first: usize, others: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        let room = if lines.is_empty() { first } else { others };
        match break_at(rest, room) {
            Some((line, behind)) => {
                lines.push(line);
                rest = behind;
            }
            None => {
                lines.push(rest);
                return lines;
            }
        }
    }
}

/// The longest start of `text` that ends with a word and fits, and what is behind; the first word
/// where none fits. `None` if all of it does.
fn break_at(text: &str, room: usize) -> Option<(&str, &str)> {
    if text.len() <= room || columns(text) <= room {
        return None;
    }
    let lead = text.len() - text.trim_start().len();
    let mut found = None;
    for (at, _) in text.match_indices(' ').filter(|(at, _)| *at > lead) {
        let (line, behind) = text.split_at(at);
        let behind = behind.trim_start();
        if behind.is_empty() || line.ends_with(' ') || is_within_quantity(line, behind) {
            continue;
        }
        if columns(line) > room {
            return found.or(Some((line, behind)));
        }
        found = Some((line, behind));
    }
    found
}

/// What stands behind a number and belongs to it.
const UNITS: [&str; 11] = [
    "B", "KiB", "MiB", "GiB", "TiB", "PiB", "s", "min", "h", "d", "%",
];

/// Whether a number ends `line` of which the unit begins `behind`.
fn is_within_quantity(line: &str, behind: &str) -> bool {
    let unit = behind.split(|c: char| !c.is_ascii_alphabetic() && c != '%');
    line.ends_with(|c: char| c.is_ascii_digit()) && unit.take(1).any(|unit| UNITS.contains(&unit))
}

/// `text`, or as much of it as `room` holds with an ellipsis behind.
pub(super) fn shortened(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    let (mut taken, mut colour, mut coloured) = (0, false, false);
    for c in text.chars() {
        if c == '\x1b' {
            (colour, coloured) = (true, true);
        }
        if colour {
            out.push(c);
            colour = c != 'm';
            continue;
        }
        let wide = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if taken + wide + 1 > room {
            break;
        }
        taken += wide;
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out.push('…');
    if coloured {
        out.push_str("\x1b[0m");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two three", 7, 7), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 3, 9), ["one", "two three"]);
        assert_eq!(wrapped("  one two", 5, 5), ["  one", "two"]);
        assert_eq!(wrapped("a-long-word b", 4, 4), ["a-long-word", "b"]);
        assert_eq!(wrapped("fits", 4, 4), ["fits"]);
        // A unit stays with its number.
        assert_eq!(wrapped("of 1.5 MiB, 3", 7, 7), ["of", "1.5 MiB,", "3"]);
        assert_eq!(wrapped("the 2 suns", 5, 5), ["the 2", "suns"]);
        assert_eq!(
            wrapped("\x1b[1mone\x1b[0m two", 3, 3),
            ["\x1b[1mone\x1b[0m", "two"]
        );
    }

    #[test]
    fn what_is_shortened_says_so() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abc def", 5), "abc…");
        assert_eq!(shortened("\x1b[1mabcdef\x1b[0m", 4), "\x1b[1mabc…\x1b[0m");
    }
}

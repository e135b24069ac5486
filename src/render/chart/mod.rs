//! Pictures as SVG that stands in the page: no script, no font, no other file.
//!
//! Input: [`Figure`]. Output: elements as text. Texts are never scaled: boxes are placed in percent
//! of the width and in pixels of the height, so that a picture fits any column and its labels stay
//! as large as the page's. Where boxes have labels in them, a picture is drawn for three widths and
//! the style sheet shows one. Invariant: a label is drawn only where it fits, shortened if need be.

mod bars;
mod columns;
mod icicle;
mod treemap;
mod zones;

use minijinja::HtmlEscape;

use super::{size, thousands};
use crate::analysis::pages::Group;
use crate::report::figures::{Drawing, Figure, Unit};

/// The width that a picture is drawn for: it is shown from there on.
#[derive(Clone, Copy, Debug)]
struct Width {
    class: &'static str,
    pixels: f64,
}

/// As the style sheet has them: below 700 pixels, below 1,200 and on paper, above.
const WIDTHS: [Width; 3] = [
    Width {
        class: "small",
        pixels: 330.0,
    },
    Width {
        class: "medium",
        pixels: 600.0,
    },
    Width {
        class: "large",
        pixels: 1_060.0,
    },
];

/// Pixels of a letter, at most on average, of the labels of boxes (12 px) and beside bars (13 px).
const LETTER: f64 = 7.9;
/// Of the narrowest column for rows, and pixels of a letter there.
const ROW_WIDTH: f64 = 318.0;
const ROW_LETTER: f64 = 7.6;

/// A picture as elements.
pub(super) fn draw(figure: &Figure) -> String {
    let frame = Frame {
        id: &figure.id,
        title: &figure.title,
    };
    match &figure.drawing {
        Drawing::Treemap(areas) => treemap::draw(&frame, areas),
        Drawing::Icicle(root) => icicle::draw(&frame, root),
        Drawing::Bars(bars) => bars::draw(&frame, bars),
        Drawing::Columns(columns) => columns::draw(&frame, columns),
        Drawing::Zones(zones) => zones::draw(&frame, zones),
    }
}

/// Whether it takes the whole width of the page.
pub(super) fn is_wide(figure: &Figure) -> bool {
    matches!(figure.drawing, Drawing::Treemap(_) | Drawing::Icicle(_))
}

/// What is the same of each picture.
struct Frame<'a> {
    id: &'a str,
    title: &'a str,
}

impl Frame<'_> {
    /// `body` as a picture that says in words what it shows; `class` tells several apart.
    fn around(&self, class: &str, height: f64, text: &str, body: &str) -> String {
        let (id, title) = (format!("{}-{class}", self.id), escaped(self.title));
        let text = escaped(text);
        format!(
            "<svg class=\"picture {class}\" role=\"img\" aria-labelledby=\"{id}-title {id}-text\" width=\"100%\" height=\"{height:.0}\">\
             <title id=\"{id}-title\">{title}</title><desc id=\"{id}-text\">{text}</desc>\n{body}</svg>\n"
        )
    }
}

fn escaped(text: &str) -> String {
    HtmlEscape(&super::printable(text)).to_string()
}

/// At most so many letters, the last of them an ellipsis; `None` if too few would be left to read.
fn shortened(text: &str, letters: usize) -> Option<String> {
    const FEWEST: usize = 6;
    let all = text.chars().count();
    if all <= letters {
        return Some(text.to_owned());
    }
    (letters > FEWEST).then(|| {
        let kept: String = text.chars().take(letters - 1).collect();
        format!("{}…", kept.trim_end())
    })
}

/// As many letters as have room in so many pixels.
fn letters(pixels: f64, letter: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of letters, not below zero"
    )]
    let letters = (pixels / letter).max(0.0) as usize;
    letters
}

#[expect(clippy::cast_precision_loss, reason = "a share to be drawn")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn number(value: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => size(value),
        Unit::Count => thousands(value),
    }
}

/// The class of its colour.
pub(super) fn colour(group: Group) -> &'static str {
    match group {
        Group::Processes => "processes",
        Group::Files => "files",
        Group::Slab => "slab",
        Group::Kernel => "kernel",
        Group::Lost => "lost",
        Group::SetApart => "apart",
        Group::Unknown => "unknown",
        Group::Free => "free",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_end_with_an_ellipsis_or_are_left_out() {
        assert_eq!(shortened("slab caches", 11).as_deref(), Some("slab caches"));
        assert_eq!(shortened("slab caches", 8).as_deref(), Some("slab ca…"));
        assert_eq!(shortened("slab caches", 6), None);
    }
}

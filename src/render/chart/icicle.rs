//! What is in what, from left to right: a box beside the box that it is part of.

use super::{Frame, LETTER, WIDTHS, Width, escaped, letters, share, shortened};
use crate::render::{percent, size};
use crate::report::figures::Branch;

/// Where the columns begin and how wide they are, in percent.
const COLUMNS: [(f64, f64); 3] = [(0.0, 16.0), (16.0, 42.0), (58.0, 42.0)];
const HEIGHT: f64 = 460.0;
/// A box with a label is as high.
const LABELLED: f64 = 17.0;
/// And with two lines of it.
const TWO_LINES: f64 = 36.0;
/// A box is not thinner.
const THINNEST: f64 = 5.0;
/// Parts told in words.
const TOLD: usize = 5;

/// For each width.
pub(super) fn draw(frame: &Frame<'_>, root: &Branch) -> String {
    let first = root.parts.iter().take(TOLD).map(|part| {
        let of_all = percent(part.bytes, Some(root.bytes));
        format!("{} {} ({of_all})", part.name, size(part.bytes))
    });
    let first: Vec<String> = first.collect();
    let text = format!("{} {}: {}.", size(root.bytes), root.name, first.join(", "));
    let drawn = WIDTHS.iter().map(|width| {
        let mut body = String::new();
        draw_branch(&mut body, root, (0.0, HEIGHT), 0, *width, 0);
        frame.around(width.class, HEIGHT, &text, &body)
    });
    drawn.collect()
}

/// A box `at` so many pixels from the top, so high, and its parts beside it.
fn draw_branch(
    out: &mut String,
    branch: &Branch,
    (at, height): (f64, f64),
    depth: usize,
    width: Width,
    shade: usize,
) {
    let Some((x, wide)) = COLUMNS.get(depth) else {
        return;
    };
    let (name, bytes) = (escaped(&branch.name), size(branch.bytes));
    *out += &format!(
        "<g class=\"box level{depth} shade{}\"><title>{name}: {bytes}</title>\
         <rect x=\"{x}%\" y=\"{at:.2}\" width=\"{wide}%\" height=\"{height:.2}\"/>",
        shade % 2
    );
    let room = letters(width.pixels * wide / 100.0 - 14.0, LETTER);
    let mut lines = Vec::new();
    if height >= TWO_LINES {
        lines.extend(shortened(&branch.name, room));
        lines.extend(Some(bytes).filter(|bytes| bytes.len() <= room));
    } else if height >= LABELLED {
        let whole = format!("{} {bytes}", branch.name);
        let fits = whole.chars().count() <= room;
        let one = if fits { Some(whole) } else { None };
        lines.extend(one.or_else(|| shortened(&branch.name, room)));
    }
    let middle = match lines.len() {
        1 if height < TWO_LINES => at + height / 2.0 + 4.0,
        _ => at + 15.0,
    };
    for (number, line) in (0u8..).zip(lines) {
        let y = middle + 15.0 * f64::from(number);
        let weight = if number == 0 { " class=\"name\"" } else { "" };
        *out += &format!(
            "<text{weight} x=\"{x}%\" y=\"{y:.1}\" dx=\"7\">{}</text>",
            escaped(&line)
        );
    }
    *out += "</g>\n";
    let mut below = at;
    let of = |part: &Branch| share(part.bytes, branch.bytes) * height;
    let seen = branch.parts.iter().filter(|part| of(part) >= THINNEST);
    for (number, part) in seen.enumerate() {
        draw_branch(out, part, (below, of(part)), depth + 1, width, number);
        below += of(part);
    }
    // What is too thin to be seen is one box, so that no stripes are taken for something.
    let thin = branch.parts.iter().filter(|part| of(part) < THINNEST);
    let (count, bytes) = thin.fold((0, 0), |(count, bytes), part| {
        (count + 1, bytes + part.bytes)
    });
    let rest = Branch {
        name: format!("{count} smaller"),
        bytes,
        parts: Vec::new(),
    };
    if of(&rest) >= THINNEST {
        draw_branch(
            out,
            &rest,
            (below, of(&rest)),
            depth + 1,
            width,
            branch.parts.len(),
        );
    }
}

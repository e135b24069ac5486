//! Boxes as large as their share, those of one group together (squarified: Bruls, Huizing and van
//! Wijk, 2000).

use super::{Frame, LETTER, WIDTHS, Width, colour, escaped, letters, share, shortened};
use crate::analysis::pages::Group;
use crate::render::{percent, size};
use crate::report::figures::Area;

/// Lines of a label: where the first one stands, and the next.
const FIRST: f64 = 18.0;
const LINE: f64 = 16.0;
/// Left and right of a label.
const MARGIN: f64 = 16.0;
/// Groups and boxes told in words.
const TOLD: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rect {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// For each width.
pub(super) fn draw(frame: &Frame<'_>, areas: &[Area]) -> String {
    let all: u64 = areas.iter().map(|area| area.bytes).sum();
    let groups = grouped(areas);
    let text = told(&groups, all);
    let drawn = WIDTHS.iter().map(|width| {
        let (height, body) = of_width(*width, &groups, all);
        frame.around(width.class, height, &text, &body)
    });
    drawn.collect()
}

/// Boxes by group, both the largest first.
fn grouped(areas: &[Area]) -> Vec<(Group, Vec<&Area>)> {
    let mut groups: Vec<(Group, Vec<&Area>)> = Vec::new();
    for area in areas.iter().filter(|area| area.bytes > 0) {
        match groups.iter_mut().find(|(group, _)| *group == area.group) {
            Some((_, of)) => of.push(area),
            None => groups.push((area.group, vec![area])),
        }
    }
    for (_, of) in &mut groups {
        of.sort_by_key(|area| std::cmp::Reverse(area.bytes));
    }
    groups.sort_by_key(|(_, of)| std::cmp::Reverse(sum(of)));
    groups
}

fn sum(of: &[&Area]) -> u64 {
    of.iter().map(|area| area.bytes).sum()
}

fn told(groups: &[(Group, Vec<&Area>)], all: u64) -> String {
    let of = groups.iter().take(TOLD).map(|(group, of)| {
        let bytes = sum(of);
        let part = percent(bytes, Some(all));
        format!("{} {} ({part})", group.describe(), size(bytes))
    });
    let of: Vec<String> = of.collect();
    format!("{} in all: {}.", size(all), of.join(", "))
}

fn of_width(width: Width, groups: &[(Group, Vec<&Area>)], all: u64) -> (f64, String) {
    let height = match width.class {
        "small" => 460.0,
        "medium" => 360.0,
        _ => 340.0,
    };
    let whole = Rect {
        x: 0.0,
        y: 0.0,
        width: width.pixels,
        height,
    };
    let sums: Vec<f64> = groups.iter().map(|(_, of)| share(sum(of), all)).collect();
    let mut body = String::new();
    for (room, (_, of)) in squarified(&sums, whole).into_iter().zip(groups) {
        let shares: Vec<f64> = of.iter().map(|area| share(area.bytes, all)).collect();
        for (rect, area) in squarified(&shares, room).into_iter().zip(of) {
            body += &draw_box(rect, area, width, all);
        }
    }
    (height, body)
}

fn draw_box(rect: Rect, area: &Area, width: Width, all: u64) -> String {
    let part = percent(area.bytes, Some(all));
    let held = format!("{}, {part}", size(area.bytes));
    let of_width = |pixels: f64| pixels * 100.0 / width.pixels;
    let mut out = format!(
        "<g class=\"box {}\"><title>{}: {held}</title>\
         <rect data-code=\"{}\" data-bytes=\"{}\" x=\"{:.3}%\" y=\"{:.2}\" width=\"{:.3}%\" height=\"{:.2}\"/>",
        colour(area.group),
        escaped(&area.name),
        escaped(&area.code),
        area.bytes,
        of_width(rect.x),
        rect.y,
        of_width(rect.width),
        rect.height,
    );
    for (number, line) in (0u8..).zip(label(rect, &area.name, &held)) {
        // A size has digits, no name begins with one.
        let is_name = !line.starts_with(|c: char| c.is_ascii_digit());
        let weight = if is_name { " class=\"name\"" } else { "" };
        out += &format!(
            "<text{weight} x=\"{:.3}%\" y=\"{:.1}\" dx=\"8\">{}</text>",
            of_width(rect.x),
            rect.y + FIRST + LINE * f64::from(number),
            escaped(&line),
        );
    }
    out + "</g>\n"
}

/// Lines that fit into a box: its name in one or two, then how much it is.
fn label(rect: Rect, name: &str, held: &str) -> Vec<String> {
    let room = letters(rect.width - MARGIN, LETTER);
    let lines = letters(rect.height - FIRST + LINE - 6.0, LINE);
    let fits = |text: &str| text.chars().count() <= room;
    if lines == 0 {
        return Vec::new();
    }
    let mut label: Vec<String> = match in_two(name, room) {
        Some(two) if !fits(name) && lines >= 3 => two.map(str::to_owned).into(),
        _ => shortened(name, room).into_iter().collect(),
    };
    if label.is_empty() {
        return label;
    }
    let short = held.split(',').next().unwrap_or(held);
    let figures = [held, short].into_iter().find(|text| fits(text));
    label.extend(figures.filter(|_| lines > label.len()).map(str::to_owned));
    label
}

/// A name in two lines of so many letters.
fn in_two(name: &str, room: usize) -> Option<[&str; 2]> {
    let spaces = name.match_indices(' ').map(|(at, _)| name.split_at(at));
    let mut fitting = spaces.filter(|(first, rest)| {
        first.chars().count() <= room && rest.trim_start().chars().count() <= room
    });
    fitting
        .next_back()
        .map(|(first, rest)| [first, rest.trim_start()])
}

/// A box for each value, the largest first, as near to squares as they come. Their areas are to
/// the area of `room` as the values to their sum.
fn squarified(values: &[f64], room: Rect) -> Vec<Rect> {
    let sum: f64 = values.iter().sum();
    let scale = if sum > 0.0 {
        room.width * room.height / sum
    } else {
        0.0
    };
    let areas: Vec<f64> = values.iter().map(|value| value * scale).collect();
    let (mut rest, mut room) = (areas.as_slice(), room);
    let mut boxes = Vec::with_capacity(values.len());
    while !rest.is_empty() {
        let side = room.width.min(room.height);
        let mut taken = 1;
        while let (Some(row), Some(longer)) = (rest.get(..taken), rest.get(..=taken)) {
            if worst(longer, side) > worst(row, side) {
                break;
            }
            taken += 1;
        }
        let (row, others) = rest.split_at(taken.min(rest.len()));
        room = lay(row, room, &mut boxes);
        rest = others;
    }
    boxes
}

/// The worst ratio of sides in a row along `side`.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let thick = sum / side.max(f64::MIN_POSITIVE);
    let of = |area: &f64| {
        let long = area / thick.max(f64::MIN_POSITIVE);
        (long / thick).max(thick / long.max(f64::MIN_POSITIVE))
    };
    row.iter().map(of).fold(0.0, f64::max)
}

/// Puts a row along the shorter side; gives the room that is left.
fn lay(row: &[f64], room: Rect, boxes: &mut Vec<Rect>) -> Rect {
    let sum: f64 = row.iter().sum();
    let upright = room.width >= room.height;
    let side = room.width.min(room.height).max(f64::MIN_POSITIVE);
    let thick = sum / side;
    let mut at = 0.0;
    for area in row {
        let long = if thick > 0.0 { area / thick } else { 0.0 };
        boxes.push(match upright {
            true => Rect {
                x: room.x,
                y: room.y + at,
                width: thick,
                height: long,
            },
            false => Rect {
                x: room.x + at,
                y: room.y,
                width: long,
                height: thick,
            },
        });
        at += long;
    }
    match upright {
        true => Rect {
            x: room.x + thick,
            width: (room.width - thick).max(0.0),
            ..room
        },
        false => Rect {
            y: room.y + thick,
            height: (room.height - thick).max(0.0),
            ..room
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Rect = Rect {
        x: 0.0,
        y: 0.0,
        width: 6.0,
        height: 4.0,
    };

    #[test]
    fn boxes_are_those_of_the_paper() {
        // The example of Bruls, Huizing and van Wijk: 6, 6, 4, 3, 2, 2, 1 in a room of 6 by 4.
        let boxes = squarified(&[6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0], ROOM);
        let first = Rect {
            x: 0.0,
            y: 0.0,
            width: 3.0,
            height: 2.0,
        };
        assert_eq!(boxes[0], first);
        assert_eq!(boxes[1], Rect { y: 2.0, ..first });
        let sizes = |rect: &Rect| rect.width * rect.height;
        let areas: Vec<f64> = boxes.iter().map(sizes).collect();
        for (area, expected) in areas.iter().zip([6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0]) {
            assert!((area - expected).abs() < 1e-9, "{boxes:?}");
        }
    }

    #[test]
    fn nothing_leaves_the_room_and_nothing_overlaps() {
        let values: Vec<f64> = (1..40).rev().map(|n| f64::from(n * n)).collect();
        let boxes = squarified(&values, ROOM);
        assert_eq!(boxes.len(), values.len());
        for (number, one) in boxes.iter().enumerate() {
            assert!(one.x >= -1e-9 && one.x + one.width <= 6.0 + 1e-9, "{one:?}");
            assert!(
                one.y >= -1e-9 && one.y + one.height <= 4.0 + 1e-9,
                "{one:?}"
            );
            for other in &boxes[number + 1..] {
                let apart = one.x + one.width <= other.x + 1e-9
                    || other.x + other.width <= one.x + 1e-9
                    || one.y + one.height <= other.y + 1e-9
                    || other.y + other.height <= one.y + 1e-9;
                assert!(apart, "{one:?} {other:?}");
            }
        }
        assert!(squarified(&[], ROOM).is_empty());
        assert_eq!(squarified(&[0.0], ROOM).len(), 1);
    }

    #[test]
    fn a_label_fits_its_box() {
        let rect = |width, height| Rect {
            width,
            height,
            ..ROOM
        };
        let of = |width, height| label(rect(width, height), "page cache", "12.0 MiB, 9.1%");
        assert_eq!(of(200.0, 60.0), ["page cache", "12.0 MiB, 9.1%"]);
        assert_eq!(of(100.0, 60.0), ["page cache", "12.0 MiB"]);
        assert_eq!(of(100.0, 30.0), ["page cache"]);
        assert_eq!(of(60.0, 70.0), ["page", "cache"]);
        assert!(of(40.0, 60.0).is_empty() && of(200.0, 10.0).is_empty());
    }
}

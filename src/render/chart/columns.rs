//! A histogram: a column a class.

use super::{Frame, escaped, share};
use crate::render::thousands;
use crate::report::figures::Columns;

const HEIGHT: f64 = 184.0;
/// Where columns begin and end.
const TOP: f64 = 22.0;
const GROUND: f64 = 156.0;
/// Numbers above are told in thousands.
const MANY: u64 = 9_999;

/// All classes.
pub(super) fn draw(frame: &Frame<'_>, columns: &Columns) -> String {
    let most = columns.classes.iter().map(|(_, count)| *count).max();
    let slots = u32::try_from(columns.classes.len()).unwrap_or(1).max(1);
    let slot = 100.0 / f64::from(slots);
    let mut body = String::new();
    for (number, (name, count)) in (0u32..).zip(&columns.classes) {
        let left = slot * f64::from(number);
        let middle = left + slot / 2.0;
        let high = share(*count, most.unwrap_or(0)) * (GROUND - TOP);
        let high = if *count > 0 { high.max(1.5) } else { 0.0 };
        let top = GROUND - high;
        body += &format!(
            "<g><title>{}: {} {}</title>\
             <rect class=\"piece0\" x=\"{:.3}%\" y=\"{top:.1}\" width=\"{:.3}%\" height=\"{high:.1}\"/>\
             <text class=\"middle\" x=\"{middle:.3}%\" y=\"{:.1}\">{}</text>",
            escaped(name),
            thousands(*count),
            columns.of,
            left + slot * 0.12,
            slot * 0.76,
            top - 6.0,
            few(*count),
        );
        if columns.ends.is_none() {
            body += &format!(
                "<text class=\"middle dim\" x=\"{middle:.3}%\" y=\"{:.1}\">{}</text>",
                GROUND + 18.0,
                escaped(name),
            );
        }
        body += "</g>\n";
    }
    body +=
        &format!("<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"{GROUND}\" y2=\"{GROUND}\"/>\n");
    if let Some((first, last)) = columns.ends {
        let y = GROUND + 18.0;
        body += &format!(
            "<text class=\"dim\" x=\"0\" y=\"{y}\">{first}</text>\
             <text class=\"value dim\" x=\"100%\" y=\"{y}\">{last}</text>\n"
        );
    }
    let told = columns.classes.iter();
    let told = told.map(|(name, count)| format!("{name}: {}", thousands(*count)));
    let told: Vec<String> = told.collect();
    let text = format!(
        "How many {} of each class: {}.",
        columns.of,
        told.join(", ")
    );
    frame.around("every", HEIGHT, &text, &body)
}

/// A number that is not wider than a column.
fn few(count: u64) -> String {
    match count {
        0 => String::new(),
        count if count <= MANY => thousands(count),
        count if count < 1_000_000 => format!("{}k", count / 1_000),
        count => format!("{}M", thousands(count / 1_000_000)),
    }
}

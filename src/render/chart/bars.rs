//! A bar a row, its name and number above it.

use super::{Frame, ROW_LETTER, ROW_WIDTH, escaped, letters, number, share, shortened};
use crate::report::figures::{Bars, Row};

const ROW: f64 = 38.0;
/// A row with a second line is higher by it.
const DETAIL: f64 = 16.0;
const BAR: f64 = 10.0;
/// Rows told in words.
const TOLD: usize = 5;

/// All rows.
pub(super) fn draw(frame: &Frame<'_>, bars: &Bars) -> String {
    let total = |row: &Row| row.values.iter().sum::<u64>();
    let longest = bars.rows.iter().map(total).max().unwrap_or(0);
    let whole = bars.whole.unwrap_or(longest);
    let (mut at, mut body) = (0.0, String::new());
    for row in &bars.rows {
        at = draw_row(&mut body, bars, row, whole, at);
    }
    let told = bars.rows.iter().take(TOLD).map(|row| {
        let detail = row.detail.as_deref().unwrap_or_default();
        format!("{} {detail}: {}", row.name, number(total(row), bars.unit))
    });
    let told: Vec<String> = told.collect();
    let text = format!("The first rows: {}.", told.join("; "));
    frame.around("every", at, &text, &body)
}

/// Gives where the next one begins.
fn draw_row(out: &mut String, bars: &Bars, row: &Row, whole: u64, at: f64) -> f64 {
    let sum = row.values.iter().sum();
    let shown = match bars.whole {
        Some(whole) => format!("{} of {}", number(sum, bars.unit), number(whole, bars.unit)),
        None => number(sum, bars.unit),
    };
    let room = letters(ROW_WIDTH, ROW_LETTER).saturating_sub(shown.chars().count() + 2);
    let name = shortened(&row.name, room).unwrap_or_default();
    *out += &format!(
        "<g><title>{}</title><text class=\"name\" x=\"0\" y=\"{y:.1}\">{}</text>\
         <text class=\"value\" x=\"100%\" y=\"{y:.1}\">{shown}</text>",
        escaped(&titled(bars, row)),
        escaped(&name),
        y = at + 14.0,
    );
    let mut top = at + 20.0;
    if let Some(detail) = &row.detail {
        let room = letters(ROW_WIDTH, ROW_LETTER);
        let detail = shortened(detail, room).unwrap_or_default();
        let y = at + 14.0 + DETAIL;
        *out += &format!(
            "<text class=\"dim\" x=\"0\" y=\"{y:.1}\">{}</text>",
            escaped(&detail)
        );
        top += DETAIL;
    }
    *out += &format!(
        "<rect class=\"track\" x=\"0\" y=\"{top:.1}\" width=\"100%\" height=\"{BAR}\" rx=\"2\"/>"
    );
    let mut left = 0.0;
    for (piece, value) in row.values.iter().enumerate() {
        let wide = share(*value, whole) * 100.0;
        if *value > 0 {
            // A hair is seen, however little it is.
            *out += &format!(
                "<rect class=\"piece{piece}\" x=\"{left:.3}%\" y=\"{top:.1}\" width=\"{:.3}%\" height=\"{BAR}\"/>",
                wide.max(0.3)
            );
        }
        left += wide;
    }
    *out += "</g>\n";
    top + ROW - 20.0
}

/// What a pointer over the row is told.
fn titled(bars: &Bars, row: &Row) -> String {
    let pieces = bars.pieces.iter().zip(&row.values);
    let pieces = pieces.map(|(name, value)| format!("{name} {}", number(*value, bars.unit)));
    format!("{}: {}", row.name, pieces.collect::<Vec<_>>().join(", "))
}

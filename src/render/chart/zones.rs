//! A bar of free memory with a mark for each watermark.

use super::{Frame, escaped, share};
use crate::render::size;
use crate::report::figures::Zone;

const ROW: f64 = 84.0;
/// What the bar shows at least: so many times the high watermark.
const SCALE: u64 = 3;

/// All zones.
pub(super) fn draw(frame: &Frame<'_>, zones: &[Zone]) -> String {
    let (mut at, mut body) = (0.0, String::new());
    for zone in zones {
        body += &draw_zone(zone, at);
        at += ROW;
    }
    let told = zones.iter().map(|zone| {
        let free = size(zone.free);
        format!("{}: {free} free, {}", zone.name, state(zone))
    });
    let told: Vec<String> = told.collect();
    let text = format!("{}.", told.join("; "));
    frame.around("every", at, &text, &body)
}

fn state(zone: &Zone) -> &'static str {
    let [min, low, high] = zone.marks;
    match zone.free {
        free if free < min => "below min: requests wait for memory",
        free if free < low => "below low: the kernel reclaims",
        free if free < high => "between low and high",
        _ => "above all watermarks",
    }
}

fn draw_zone(zone: &Zone, at: f64) -> String {
    let [min, low, high] = zone.marks;
    let whole = high.saturating_mul(SCALE).max(1);
    // A bar that goes on behind its end says so by an arrow.
    let cut = zone.free > whole;
    let wide = share(zone.free.min(whole), whole) * 100.0;
    let mut out = format!(
        "<g><text class=\"name\" x=\"0\" y=\"{y:.1}\">{}</text>\
         <text class=\"value\" x=\"100%\" y=\"{y:.1}\">{} free of {}</text>\
         <rect class=\"track\" x=\"0\" y=\"{top:.1}\" width=\"100%\" height=\"12\" rx=\"2\"/>\
         <rect class=\"piece0\" x=\"0\" y=\"{top:.1}\" width=\"{wide:.3}%\" height=\"12\"/>",
        escaped(&zone.name),
        size(zone.free),
        size(zone.managed),
        y = at + 14.0,
        top = at + 23.0,
    );
    if cut {
        out += &format!(
            "<svg x=\"100%\" y=\"{:.1}\" width=\"9\" height=\"12\" overflow=\"visible\"><path class=\"more\" d=\"M-14 2l5 4l-5 4M-8 2l5 4l-5 4\"/></svg>",
            at + 23.0
        );
    }
    for mark in [min, low, high] {
        let x = share(mark, whole) * 100.0;
        out += &format!(
            "<line class=\"mark\" x1=\"{x:.3}%\" x2=\"{x:.3}%\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
            at + 19.0,
            at + 39.0
        );
    }
    out += &format!(
        "<text class=\"dim\" x=\"0\" y=\"{:.1}\">min {} · low {} · high {}</text>\
         <text x=\"0\" y=\"{:.1}\" class=\"{}\">{}</text></g>\n",
        at + 54.0,
        size(min),
        size(low),
        size(high),
        at + 70.0,
        if zone.free < low { "bad" } else { "dim" },
        state(zone),
    );
    out
}

//! The document as bytes, one file per command, one function per format.
//!
//! Nothing here computes a number that the document does not hold. Colour is written
//! always; the stream given removes it where it does not belong.

use std::io::{self, Write};

use serde::Serialize;

pub mod allocinfo;
pub mod bpf;
mod brief;
pub mod cache;
mod chart;
pub mod conntrack;
pub mod dentries;
pub mod diff;
pub mod export;
pub mod files;
mod finding;
mod fitted;
pub mod flat;
mod head;
pub mod html;
pub mod info;
pub mod kmemleak;
mod layout;
pub mod leaks;
mod leaks_areas;
mod leaks_blocks;
pub mod log;
pub mod markdown;
pub mod memcg;
pub mod meminfo;
pub mod modules;
pub mod nat;
pub mod net;
pub mod objects;
pub mod oom;
mod page;
pub mod pageowner;
pub mod pages;
pub mod pagetypes;
pub mod ps;
pub mod retained;
mod rows;
pub mod rules;
pub mod series;
pub mod skbs;
pub mod slabs;
pub mod sockets;
pub mod sysctl;
mod table;
pub mod traces;
pub mod vmalloc;
pub mod whatis;
pub mod zones;

pub use fitted::Fitted;
pub use layout::Layout;
pub use rows::JsonLines;

/// Writes the whole document as indented JSON.
///
/// # Errors
/// If writing fails.
pub fn json<T: Serialize>(out: &mut dyn Write, document: &T) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)
}

/// The lines above each text, which say which dump it is of: a report says them once.
pub fn above<T>(document: &crate::report::Document<T>) -> String {
    let mut above = Vec::new();
    // A Vec takes whatever is written.
    let _ = head::head(&mut above, document);
    String::from_utf8_lossy(&above).into_owned()
}

/// What a terminal would act on, or what would turn the direction of the text around it.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text from the dump, made safe for a terminal: control characters are escaped, and those that
/// turn the direction of text.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Bytes in the largest binary unit that leaves at least one digit before the point.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = "KiB";
    for next in UNITS.into_iter().skip(1) {
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// How many of a list's rows are not shown, if any.
fn more(out: &mut dyn Write, all: usize, shown: usize) -> io::Result<()> {
    match all.checked_sub(shown) {
        Some(rest) if rest > 0 => writeln!(out, "… and {rest} more (--format json has all)"),
        _ => Ok(()),
    }
}

/// A number with its thousands set apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share as a percentage, or `-` of nothing.
pub fn percent(part: u64, whole: Option<u64>) -> String {
    match whole {
        Some(whole) if whole > 0 => format!("{:.1}%", part as f64 * 100.0 / whole as f64),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(4096), "4.0 KiB");
        assert_eq!(size(1 << 20), "1.0 MiB");
        assert_eq!(size((1 << 20) - 1), "1.0 MiB");
        assert_eq!(size(u64::MAX), "16384.0 PiB");
    }

    #[test]
    fn numbers_and_names() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(printable("a\x1b[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(percent(1, Some(0)), "-");
    }
}

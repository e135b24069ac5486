//! `log` as dmesg prints it.
//!
//! Texts come from the dump: nothing but printable characters and tabs goes out as it is,
//! the rest as `\xNN`, byte by byte.

use std::io::{self, Write};

use super::is_hidden;
use crate::report::log::LogReport;
use crate::subsys::log::LogRecord;

/// As dmesg: each line of a record behind its time. With `callers` behind its caller too, as a
/// kernel with CONFIG_PRINTK_CALLER prints it.
///
/// # Errors
/// If writing fails.
pub fn write_text(out: &mut dyn Write, report: &LogReport, callers: bool) -> io::Result<()> {
    for record in &report.records {
        let prefix = prefix(record, callers);
        // A record without text has an empty line of its own.
        for line in record.text.split('\n') {
            writeln!(out, "{prefix}{}", escaped(line))?;
        }
    }
    Ok(())
}

/// `[    1.234567] `, `[    1.234567][    T1] `
fn prefix(record: &LogRecord, callers: bool) -> String {
    let micros = record.ts_nsec / 1000;
    let time = format!("[{:>5}.{:06}]", micros / 1_000_000, micros % 1_000_000);
    match record.caller.filter(|_| callers) {
        Some(caller) => format!("{time}[{:>6}] ", caller.name()),
        None => format!("{time} "),
    }
}

/// Without what a terminal would act on. Characters that turn the direction of text are
/// spelled out too.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\t' && is_hidden(c) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("\\x{byte:02x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subsys::log::Caller;

    fn print(text: &str, callers: bool) -> String {
        let record = LogRecord {
            place: None,
            seq: 0,
            ts_nsec: 1_234_567_999,
            level: 6,
            facility: 0,
            caller: Some(Caller::Task(1)),
            subsystem: None,
            device: None,
            text: text.to_owned(),
        };
        let report = LogReport {
            records: vec![record],
        };
        let mut out = Vec::new();
        write_text(&mut out, &report, callers).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_line_has_its_time() {
        assert_eq!(
            print("one\n two", false),
            "[    1.234567] one\n[    1.234567]  two\n"
        );
        assert_eq!(print("", false), "[    1.234567] \n");
        assert_eq!(print("x", true), "[    1.234567][    T1] x\n");
    }

    #[test]
    fn a_terminal_sees_no_control_character() {
        assert_eq!(
            print("a\x1b[2J\tb\r\u{9b}\u{7f}\u{202e}ä", false),
            "[    1.234567] a\\x1b[2J\tb\\x0d\\xc2\\x9b\\x7f\\xe2\\x80\\xaeä\n"
        );
    }
}

//! Lines of words fitted to a terminal: what is too long goes on below, set in, from a word on.
//!
//! Tables fit by themselves; this is for all that stands around them.

use std::io::{self, Write};

use super::layout::{columns, wrapped};

/// Set in by as much as the label of a line takes, up to this.
const LABEL: usize = 20;
/// Else by this more than the line itself is.
const INDENT: usize = 2;

/// Hands on what is written to it, line by line.
#[derive(Debug)]
pub struct Fitted<W: Write> {
    to: W,
    columns: usize,
    line: Vec<u8>,
}

impl<W: Write> Fitted<W> {
    /// For a terminal of so many columns.
    pub fn new(to: W, columns: usize) -> Self {
        Self {
            to,
            columns,
            line: Vec::new(),
        }
    }

    fn end_line(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.line);
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) if bytes.len() > self.columns => text,
            _ => return self.to.write_all(&bytes),
        };
        let text = text.strip_suffix('\n').unwrap_or(text);
        let at = set_in(text).min(self.columns / 2);
        let lines = wrapped(text, self.columns, self.columns.saturating_sub(at));
        let mut lines = lines.into_iter();
        let first = lines.next().unwrap_or("");
        writeln!(self.to, "{}", first.trim_end())?;
        lines.try_for_each(|line| writeln!(self.to, "{:at$}{line}", ""))
    }
}

/// Where the words behind the label of a line begin.
fn set_in(line: &str) -> usize {
    let text = line.trim_start();
    let lead = line.len() - text.len();
    let behind = text.find("  ").map(|at| {
        let (label, rest) = text.split_at(at);
        lead + columns(label) + rest.len() - rest.trim_start().len()
    });
    behind.filter(|at| *at <= LABEL).unwrap_or(lead + INDENT)
}

impl<W: Write> Write for Fitted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.line);
        self.to.write_all(&rest)?;
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(text: &str, columns: usize) -> String {
        let mut out = Vec::new();
        let mut to = Fitted::new(&mut out, columns);
        to.write_all(text.as_bytes()).expect("a Vec takes it");
        to.flush().expect("a Vec takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn words_go_on_below_where_they_began() {
        assert_eq!(
            fitted("  for   nothing in memory\nnext\n", 20),
            "  for   nothing in\n        memory\nnext\n"
        );
        assert_eq!(
            fitted("one two three four\n", 10),
            "one two\n  three\n  four\n"
        );
        assert_eq!(fitted("short\n\nno end", 10), "short\n\nno end");
    }
}

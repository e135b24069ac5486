//! Where a result goes, in which form, and how wide the terminal is.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context, Result};
use serde::Serialize;
use vmleak::render::{Fitted, JsonLines, Layout};
use vmleak::report::DumpIdentity;

use super::args::{Color, Common};

/// Each item as JSON on a line of its own, which says first which dump it is of.
pub(crate) fn json_lines<T: Serialize>(
    out: &mut dyn Write,
    dump: &DumpIdentity,
    items: &[T],
) -> io::Result<()> {
    let lines = JsonLines::new(dump)?;
    items.iter().try_for_each(|item| lines.write(out, item))
}

/// Who reads a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// People: with colour where it is wanted.
    Person,
    /// Programs: written as it is, there is no colour to take out.
    Program,
}

/// A narrower terminal than this is laid out for as one of this width.
const NARROWEST: usize = 40;

/// As wide as COLUMNS says, else as the terminal is.
fn layout(stdout: &io::Stdout) -> Layout {
    let told = std::env::var("COLUMNS").ok();
    let told = told.and_then(|columns| columns.parse().ok());
    let seen = || terminal_size::terminal_size_of(stdout).map(|(width, _)| width.0.into());
    told.filter(|columns: &usize| *columns > 0)
        .or_else(seen)
        .map_or(Layout::Unbounded, |columns| {
            Layout::Terminal(columns.max(NARROWEST))
        })
}

/// Opens where the result goes, and tells the renderer how wide a terminal is. A reader that has
/// gone away (`| head`) is no error.
pub(crate) fn output(
    common: &Common,
    reader: Reader,
    render: impl FnOnce(&mut dyn Write, Layout) -> io::Result<()>,
) -> Result<()> {
    if let Some(asked) = &common.asked {
        return asked.write(reader, render);
    }
    let stdout = io::stdout();
    let choice = match (reader, common.color, &common.output) {
        (Reader::Program, ..) | (_, Color::Always, _) => ColorChoice::AlwaysAnsi,
        (_, Color::Never, _) | (_, Color::Auto, Some(_)) => ColorChoice::Never,
        (_, Color::Auto, None) => AutoStream::choice(&stdout),
    };
    let (result, gone) = match &common.output {
        Some(path) => {
            let file = File::create(path).with_context(|| {
                let path = path.display();
                format!("{path}: can't write the result there; name another file with -o")
            })?;
            written(AutoStream::new(file, choice), |out| {
                render(out, Layout::Unbounded)
            })
        }
        None => {
            let layout = layout(&stdout);
            written(AutoStream::new(stdout.lock(), choice), |out| {
                match (reader, layout.columns()) {
                    (Reader::Person, Some(columns)) => {
                        let mut out = Fitted::new(out, columns);
                        render(&mut out, layout).and_then(|()| out.flush())
                    }
                    _ => render(out, layout),
                }
            })
        }
    };
    match result {
        Err(_) if gone => Ok(()),
        other => other.with_context(|| match &common.output {
            Some(path) => format!(
                "{}: can't write the result to its end; make room, or name another file with -o",
                path.display()
            ),
            None => "can't write the result to the standard output".to_owned(),
        }),
    }
}

/// How writing went, and whether the reader has gone away.
pub(crate) fn written(
    out: impl Write,
    render: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> (io::Result<()>, bool) {
    let mut out = BufWriter::new(Pipe { out, gone: false });
    let result = render(&mut out).and_then(|()| out.flush());
    let gone = out.get_ref().gone;
    // What is left has nobody to read it.
    let _ = out.into_parts();
    (result, gone)
}

/// Remembers that its reader has gone away: what writes the rows may wrap the error in one of its
/// own.
struct Pipe<W> {
    out: W,
    gone: bool,
}

impl<W> Pipe<W> {
    fn noted<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        self.gone |= result.as_ref().is_err_and(is_gone);
        result
    }
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.out.write(bytes);
        self.noted(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.noted(result)
    }
}

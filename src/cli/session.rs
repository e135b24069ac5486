//! What every command starts and ends with: opening, warnings, the frame around the
//! result, where it goes, the exit code.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::mem::ManuallyDrop;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context, Result};
use serde::Serialize;
use vmleak::diag::Warning;
use vmleak::dump::DumpFacts;
use vmleak::kernel::{Kernel, KernelError};
use vmleak::once::get_or_make;
use vmleak::render;
use vmleak::report::{Document, RunFacts};
use vmleak::subsys::mm::slab::Progress;
use vmleak::subsys::system;
use vmleak::types::{Btf, Profile};

use super::args::{Color, Common};
use super::open::{self, Opened};
use super::progress::Bar;

/// Something was missing; the result says what.
const PARTIAL: u8 = 4;

/// What every command starts with.
pub(crate) struct Session {
    /// The process ends with it, so that it is not taken apart piece by piece.
    pub(crate) kernel: ManuallyDrop<Kernel>,
    run: OnceLock<RunFacts>,
    pub(crate) progress: Bar,
    /// The kernel's BTF, if its types come from there.
    pub(crate) btf: Option<Arc<Btf>>,
    /// The profile, if its types come from one.
    pub(crate) profile: Option<Arc<Profile>>,
}

impl Session {
    pub(crate) fn open(common: &Common) -> Result<Self> {
        let progress = Bar::new(common);
        progress.start("opening the dump and its debug information", 1);
        let Opened {
            kernel,
            btf,
            profile,
        } = open::kernel(common)?;
        warn_of_loss(&kernel, kernel.dump().facts());
        Ok(Self {
            kernel: ManuallyDrop::new(kernel),
            run: OnceLock::new(),
            progress,
            btf,
            profile,
        })
    }

    /// Of the machine and the dump. Read when they are first asked for, which may be while
    /// something else is.
    pub(crate) fn run(&self) -> &RunFacts {
        get_or_make(&self.run, || RunFacts {
            system: system::collect(&self.kernel),
            dump: self.kernel.dump().facts().clone(),
        })
    }

    /// Says with an error which file it is about and, if the file is damaged, what to do.
    pub(crate) fn explain<T>(&self, result: Result<T, KernelError>) -> Result<T> {
        let path = self.kernel.dump().path().display();
        let facts = self.kernel.dump().facts();
        result.with_context(|| {
            if facts.pages_of_absent_parts > 0 {
                format!(
                    "{path}: {} of {} pages are in parts of the split set that are not given (give all parts)",
                    facts.pages_of_absent_parts, facts.dumped_pages
                )
            } else if facts.missing_pages > 0 {
                format!(
                    "{path}: cut short, {} of {} pages lie beyond its end (copy it again)",
                    facts.missing_pages, facts.dumped_pages
                )
            } else if facts.incomplete || facts.contradictory {
                format!("{path}: incomplete or damaged (copy it again)")
            } else {
                path.to_string()
            }
        })
    }

    /// It took time and changes no result, so it is no warning of the document.
    fn say_if_the_cache_was_small(&self) {
        let dump = self.kernel.dump();
        let turns = dump.cache_turns();
        if turns >= TURNS {
            anstream::eprintln!(
                "vmleak: note: {turns} times as many pages were unpacked as the cache of {} holds: a larger --max-memory may be faster",
                render::size(dump.cache_bytes())
            );
        }
    }

    /// Ends the progress, puts the frame around the body and shows the warnings.
    pub(crate) fn document<T>(&self, common: &Common, complete: bool, body: T) -> Document<T> {
        self.progress.finish();
        let document = Document::new(&self.kernel, self.run(), complete, body);
        if !common.quiet {
            show(&document.warnings);
            self.say_if_the_cache_was_small();
        }
        document
    }
}

fn warn_of_loss(kernel: &Kernel, dump: &DumpFacts) {
    let absent = dump.pages_of_absent_parts;
    let cut = dump.missing_pages.saturating_sub(absent);
    if absent > 0 {
        kernel.diag.warn_many(
            "dump-part-absent",
            "pages that the dump should hold are in parts of the split set that are not given: give all parts",
            absent,
        );
    }
    if cut > 0 {
        kernel.diag.warn_many(
            "dump-truncated",
            "pages that the dump should hold lie beyond its end: copy it again, or see why it was cut short",
            cut,
        );
    } else if dump.incomplete && absent == 0 {
        kernel.diag.warn(
            "dump-incomplete",
            "the dump says that it is incomplete: its writer ran out of space",
        );
    }
    if dump.contradictory {
        kernel.diag.warn(
            "dump-contradictory",
            "the dump's page bitmap does not fit its page descriptors, so pages may be taken for others: compare the file's checksum with the original's",
        );
    }
}

/// Turns of the cache that are worth a word: up to two may be pages that were read once.
const TURNS: u64 = 4;

/// Of one code, so many are shown.
const SHOWN: usize = 5;

/// Shows warnings; of many of one kind the first ones.
fn show(warnings: &[Warning]) {
    for same in warnings.chunk_by(|a, b| a.code == b.code) {
        for warning in same.iter().take(SHOWN) {
            let times = match warning.count {
                1 => String::new(),
                n => format!(" ({n} times)"),
            };
            let message = render::printable(&warning.message);
            anstream::eprintln!("vmleak: warning: {message}{times}");
        }
        if let Some(more) = same.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let code = same.first().map_or("", |warning| warning.code);
            anstream::eprintln!(
                "vmleak: warning: {more} more such warnings ({code}; all are in --format json)"
            );
        }
    }
}

/// Success, or that something was missing.
pub(crate) fn exit(complete: bool) -> ExitCode {
    if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(PARTIAL)
    }
}

/// Each item as JSON on a line of its own.
pub(crate) fn json_lines<T: Serialize>(out: &mut dyn Write, items: &[T]) -> io::Result<()> {
    items
        .iter()
        .try_for_each(|item| render::json_line(out, item))
}

/// Who reads a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// People: with colour where it is wanted.
    Person,
    /// Programs: written as it is, there is no colour to take out.
    Program,
}

/// Opens where the result goes, and tells the renderer how wide a terminal is. A reader that has
/// gone away (`| head`) is no error.
pub(crate) fn output(
    common: &Common,
    reader: Reader,
    render: impl FnOnce(&mut dyn Write, Option<u16>) -> io::Result<()>,
) -> Result<()> {
    let stdout = io::stdout();
    let choice = match (reader, common.color, &common.output) {
        (Reader::Program, ..) | (_, Color::Always, _) => ColorChoice::AlwaysAnsi,
        (_, Color::Never, _) | (_, Color::Auto, Some(_)) => ColorChoice::Never,
        (_, Color::Auto, None) => AutoStream::choice(&stdout),
    };
    let result = match &common.output {
        Some(path) => {
            let file = File::create(path).with_context(|| path.display().to_string())?;
            let mut out = BufWriter::new(AutoStream::new(file, choice));
            render(&mut out, None).and_then(|()| out.flush())
        }
        None => {
            let width = terminal_size::terminal_size_of(&stdout).map(|(width, _)| width.0);
            let mut out = BufWriter::new(AutoStream::new(stdout.lock(), choice));
            render(&mut out, width).and_then(|()| out.flush())
        }
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("can't write the result"),
    }
}

//! What every command starts and ends with: opening, warnings, the frame around the
//! result, the exit code.

use std::mem::ManuallyDrop;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use vmleak::diag::Warning;
use vmleak::dump::{DumpFacts, Reads};
use vmleak::kernel::modules::Modules;
use vmleak::kernel::{Kernel, KernelError};
use vmleak::once::get_or_make;
use vmleak::open::{DebugInfo, OpenError};
use vmleak::render;
use vmleak::report::{Document, DumpIdentity, RunFacts};
use vmleak::subsys::mm::slab::Progress;
use vmleak::subsys::system;

use super::args::Common;
use super::held::Held;
use super::progress::Bar;

/// Something was missing; the result says what.
const PARTIAL: u8 = 4;

/// How often a kernel that runs is asked.
const ATTEMPTS: u32 = 4;

/// What every command starts with.
pub(crate) struct Session {
    pub(crate) kernel: Held,
    run: Arc<OnceLock<RunFacts>>,
    pub(crate) progress: Arc<Bar>,
    /// Where types of modules come from.
    pub(crate) debug: Arc<DebugInfo>,
}

/// Learns what all sessions of this process read, for `bundle`.
pub(crate) static READS: OnceLock<Arc<Reads>> = OnceLock::new();

impl Session {
    pub(crate) fn open(common: &Common) -> Result<Self> {
        if let Some(asked) = &common.asked {
            let session = asked.dump.session();
            session.explain(common.part.is_in(session.kernel.dump()))?;
            return Ok(session);
        }
        let progress = Bar::new(common);
        progress.start("opening the dump and its debug information", 1);
        let mut options = common.options();
        options.reads = READS.get().cloned();
        let opened = vmleak::open(options).map_err(|error| explained(error, common))?;
        warn_of_opening(&opened.kernel);
        let session = Self {
            kernel: Held::ToTheEnd(ManuallyDrop::new(opened.kernel)),
            run: Arc::default(),
            progress: Arc::new(progress),
            debug: Arc::new(opened.debug),
        };
        session.explain(common.part.is_in(session.kernel.dump()))?;
        Ok(session)
    }

    /// A question to a dump that a program has open.
    pub(crate) fn of(
        kernel: &Kernel,
        run: &Arc<OnceLock<RunFacts>>,
        debug: &Arc<DebugInfo>,
    ) -> Self {
        Self {
            kernel: Held::OfAQuestion(Box::new(kernel.question())),
            run: Arc::clone(run),
            progress: Arc::new(Bar::hidden()),
            debug: Arc::clone(debug),
        }
    }

    /// For a question of its own, of whose warnings this one learns when it
    /// [`absorb`](Diagnostics::absorb)s them.
    pub(crate) fn question(&self) -> Self {
        Self {
            kernel: self.kernel.question(),
            run: Arc::clone(&self.run),
            progress: Arc::clone(&self.progress),
            debug: Arc::clone(&self.debug),
        }
    }

    /// Asks again where a kernel that runs changed under the answer, so that something in it seems
    /// broken. Of a dump it is asked once.
    pub(crate) fn settled<T>(&self, ask: impl Fn(&Self) -> Result<T>) -> Result<T> {
        if !self.kernel.dump().is_live() {
            return ask(self);
        }
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let question = self.question();
            let answer = ask(&question);
            if left == 0 || (answer.is_ok() && !question.kernel.diag.has_loss()) {
                self.kernel.diag.absorb(&question.kernel.diag);
                return answer;
            }
        }
    }

    /// Adds the types of those of `names` that are loaded modules.
    pub(crate) fn add_module_types(
        &mut self,
        modules: &Modules,
        common: &Common,
        names: &[&str],
    ) -> Result<()> {
        self.debug
            .add_module_types(&mut self.kernel, modules, names)
            .map_err(|error| explained(error, common))
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
            } else if let Some(at) = facts.ends_early {
                format!("{path}: {}", vmleak::dump::ends_early(at))
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

    /// Which dump it is.
    pub(crate) fn identity(&self) -> DumpIdentity {
        DumpIdentity::new(&self.kernel, self.run())
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

/// With `-v` the places are named where a debug file was looked for.
fn explained(error: OpenError, common: &Common) -> anyhow::Error {
    if common.verbose > 0 {
        for path in error.looked() {
            let path = render::printable(&path.display().to_string());
            eprintln!("vmleak: no {path}");
        }
    }
    error.into()
}

/// Says in all answers what the file lacks, and that a kernel runs.
pub(crate) fn warn_of_opening(kernel: &Kernel) {
    warn_of_loss(kernel, kernel.dump().facts());
    if kernel.dump().is_live() {
        kernel.diag.note(
            "live",
            "this is the running kernel, which went on while it was read: no two counts are of one moment",
        );
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
    if let Some(at) = dump.ends_early {
        kernel
            .diag
            .warn_many("dump-truncated", vmleak::dump::ends_early(at), cut.max(1));
    } else if cut > 0 {
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

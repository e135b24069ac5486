//! The commands for programs that have a dump open and ask more than once: bindings, servers.
//!
//! Layer: beside the command line, of which it takes the commands as they are. Input: what the
//! library opens, once; then words as on the command line, without the dump. Output: what the
//! command would have printed, to where the program wants it. Invariants: each question has its
//! own diagnostics; nothing is printed; no file is opened but the dump and debug files that were
//! named or found when it was opened, and none is written.

mod commands;

use std::fmt;
use std::io::{Error, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anstream::StripStream;
use clap::FromArgMatches;
use thiserror::Error;

pub use commands::{CommandInfo, OptionInfo, Value, commands};

use super::command::{Cli, Command};
use super::output::{Reader, written};
use super::session::{Session, exit, warn_of_opening};
use super::{run, wrong};
use crate::kernel::{Kernel, KernelError};
use crate::open::{DebugInfo, OpenError, Options};
use crate::render::{Fitted, Layout};
use crate::report::{DumpIdentity, RunFacts};
use crate::subsys::system;

/// A dump that is open for questions, from any thread and from several at once.
///
/// ```
/// # use vmleak::cli::ask::{OpenDump, Status};
/// # let (vmcore, vmlinux) = ("corpora/small-6.12/vmcore", "corpora/small-6.12/vmlinux");
/// let dump = OpenDump::open(vmleak::open::Options::new([vmcore, vmlinux]))?;
/// let answer = dump.ask(&["slabs", "--cache", "leaky_session", "--format", "json"], None, Vec::new())?;
/// assert_eq!(answer.status, Status::Complete);
/// assert!(String::from_utf8(answer.out)?.contains("leaky_session"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenDump(Arc<Inner>);

struct Inner {
    kernel: Kernel,
    debug: Arc<DebugInfo>,
    run: Arc<OnceLock<RunFacts>>,
    max_memory: Option<u64>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inner")
            .field(&self.kernel.dump().path())
            .finish()
    }
}

/// What was answered.
#[derive(Debug)]
pub struct Answer<W> {
    /// Where it was written to.
    pub out: W,
    /// How the command went.
    pub status: Status,
}

/// How a command went: its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// All was there.
    Complete,
    /// Something was missing: the answer says what.
    Partial,
}

/// Why there is no answer.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum AskError {
    /// It can't be asked so, or of what this dump does not have. What the command line would say.
    #[error("{0}")]
    Usage(String),
    /// This kernel does not have what the command is about.
    #[error("{0}")]
    Unsupported(String),
    /// Memory that the answer needs is missing or broken, or the answer can't be written.
    #[error("{0}")]
    Failed(String),
}

impl OpenDump {
    /// Opens a dump as [`crate::open()`] does.
    ///
    /// # Errors
    /// As there.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let max_memory = options.max_memory;
        let opened = crate::open(options)?;
        let kernel = opened.kernel;
        warn_of_opening(&kernel);
        // Read once and before the questions, so that each learns what was missing of it.
        let run = RunFacts {
            system: system::collect(&kernel),
            dump: kernel.dump().facts().clone(),
        };
        Ok(Self(Arc::new(Inner {
            kernel,
            debug: Arc::new(opened.debug),
            run: Arc::new(OnceLock::from(run)),
            max_memory,
        })))
    }

    /// Which dump it is.
    pub fn identity(&self) -> DumpIdentity {
        self.session().identity()
    }

    pub(crate) fn session(&self) -> Session {
        Session::of(&self.0.kernel, &self.0.run, &self.0.debug)
    }

    /// Answers a command in words: its name, then what else it takes, without the dump.
    /// Texts for people are laid out for `columns`. Where `out` breaks (`BrokenPipe`), its reader
    /// has seen enough, and that is no error.
    ///
    /// # Errors
    /// If the words are no command that can be asked, or there is no answer.
    pub fn ask<W: Write + Send + 'static>(
        &self,
        words: &[impl AsRef<str>],
        columns: Option<usize>,
        out: W,
    ) -> Result<Answer<W>, AskError> {
        let mut command = parsed(words)?;
        let Some(common) = command.common_mut() else {
            return Err(AskError::Usage("it is no question to a dump".to_owned()));
        };
        let out = Arc::new(Mutex::new(Some(out)));
        common.quiet = true;
        common.max_memory = self.0.max_memory;
        common.asked = Some(Asked {
            dump: self.clone(),
            columns,
            out: Arc::clone(&out) as Arc<Mutex<dyn Sink>>,
        });
        let code = run::run(&command).map_err(AskError::from)?;
        let out = out.lock().unwrap_or_else(PoisonError::into_inner).take();
        let out = out.ok_or_else(|| AskError::Failed("the answer was not written".to_owned()))?;
        Ok(Answer {
            out,
            status: status(code),
        })
    }
}

fn status(code: ExitCode) -> Status {
    match code == exit(true) {
        true => Status::Complete,
        false => Status::Partial,
    }
}

/// The command, if it is one that only asks about the dump.
fn parsed(words: &[impl AsRef<str>]) -> Result<Command, AskError> {
    let words = words.iter().map(AsRef::as_ref);
    let words = std::iter::once("vmleak").chain(words);
    let usage = |error: clap::Error| AskError::Usage(error.to_string().trim_end().to_owned());
    let matches = commands::askable()
        .try_get_matches_from(words)
        .map_err(usage)?;
    commands::refuse_files(&matches).map_err(AskError::Usage)?;
    let cli = Cli::from_arg_matches(&matches).map_err(usage)?;
    Ok(cli.command)
}

impl From<anyhow::Error> for AskError {
    fn from(error: anyhow::Error) -> Self {
        let message = crate::render::printable(&format!("{error:#}"));
        let unsupported = |why: &KernelError| matches!(why, KernelError::Unsupported(_));
        match error.downcast_ref::<KernelError>() {
            Some(why) if unsupported(why) => Self::Unsupported(message),
            _ if error.is::<wrong::WrongArgument>() => Self::Usage(message),
            _ => Self::Failed(message),
        }
    }
}

/// Where an answer goes.
trait Sink: Send {
    fn out(&mut self) -> Option<&mut dyn Write>;
}

impl<W: Write + Send> Sink for Option<W> {
    fn out(&mut self) -> Option<&mut dyn Write> {
        self.as_mut().map(|out| out as &mut dyn Write)
    }
}

/// Of one question: the dump that is open, and where the answer goes.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(super) dump: OpenDump,
    columns: Option<usize>,
    out: Arc<Mutex<dyn Sink>>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Asked").field(&self.dump).finish()
    }
}

impl Asked {
    /// Writes the answer, without colour.
    pub(super) fn write(
        &self,
        reader: Reader,
        render: impl FnOnce(&mut dyn Write, Layout) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut sink = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(out) = sink.out() else {
            anyhow::bail!("the answer was written already");
        };
        let (result, gone) = match reader {
            Reader::Program => written(out, |out| render(out, Layout::Unbounded)),
            Reader::Person => {
                let text = self.text(render)?;
                written(out, |out| out.write_all(&text))
            }
        };
        match result {
            Err(_) if gone => Ok(()),
            other => Ok(other?),
        }
    }

    fn text(
        &self,
        render: impl FnOnce(&mut dyn Write, Layout) -> std::io::Result<()>,
    ) -> Result<Vec<u8>, Error> {
        let mut text = StripStream::new(Vec::new());
        match self.columns {
            Some(columns) => {
                let mut out = Fitted::new(&mut text, columns);
                render(&mut out, Layout::Terminal(columns))?;
                out.flush()?;
            }
            None => render(&mut text, Layout::Unbounded)?,
        }
        Ok(text.into_inner())
    }
}

#[cfg(test)]
mod tests;

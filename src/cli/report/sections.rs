//! One section after the other: asked, put into words, and with what was missing for it.

use std::collections::BTreeSet;
use std::io;

use anyhow::Result;
use serde::Serialize;
use vmleak::analysis::brief::Brief;
use vmleak::diag::{Diagnostics, Severity};
use vmleak::kernel::KernelError;
use vmleak::render;
use vmleak::report::Document;
use vmleak::report::figures::Figure;
use vmleak::report::redact::{Named, Redactor};
use vmleak::report::whole::{Section, Told, Topic};
use vmleak::subsys::net::interfaces;
use vmleak::subsys::task;

use super::super::session::Session;
use super::{ReportArgs, ReportFormat, topics};

/// What one command answered, and whether nothing was missing.
pub(super) type Answer<T> = Result<(T, bool)>;

/// What has been said so far.
pub(super) struct Sections<'s> {
    /// Of which each section is a question, as the dump was opened: what one of them lost is not
    /// the next one's.
    pub(super) session: &'s Session,
    pub(super) args: &'s ReportArgs,
    /// For the first page.
    pub(super) brief: Brief,
    pub(super) complete: bool,
    pub(super) said: Vec<Section>,
    pub(super) redactor: Redactor,
    /// What was said before anything was asked: it is of the whole page.
    at_first: BTreeSet<String>,
    /// What all of them have lost.
    lost: Diagnostics,
}

/// How a document is shown beside its numbers.
pub(super) struct Shown<W, F> {
    /// As the text of its command.
    pub(super) text: W,
    /// As pictures.
    pub(super) figures: F,
}

impl<'s> Sections<'s> {
    pub(super) fn new(session: &'s Session, args: &'s ReportArgs) -> Self {
        let said = session.kernel.diag.warnings();
        let redactor = match args.redact {
            true => learned(session, args),
            false => Redactor::default(),
        };
        Self {
            session,
            args,
            brief: Brief::default(),
            complete: true,
            said: Vec::new(),
            redactor,
            at_first: said.into_iter().map(|one| one.message).collect(),
            lost: Diagnostics::default(),
        }
    }

    /// Whether a section is wanted.
    pub(super) fn wants(&self, topic: Topic) -> bool {
        let left_out = self.args.redact && topics::FREE_TEXT.contains(&topic);
        let chosen = &self.args.sections;
        !left_out && (chosen.is_empty() || chosen.contains(&topic.id()))
    }

    /// What one command says to a question of its own, as text alone. One that can't say anything
    /// takes nothing from the others.
    pub(super) fn add<T: Serialize + Named>(
        &mut self,
        topic: Topic,
        ask: impl FnOnce(&Session) -> Answer<T>,
        text: impl FnOnce(&mut Vec<u8>, &Document<T>) -> io::Result<()>,
    ) {
        let figures = |_: &T, _: &mut Brief| Vec::new();
        self.add_drawn(topic, ask, Shown { text, figures });
    }

    /// The same with pictures, and with what the first page has to know of it.
    pub(super) fn add_drawn<T: Serialize + Named>(
        &mut self,
        topic: Topic,
        ask: impl FnOnce(&Session) -> Answer<T>,
        shown: Shown<
            impl FnOnce(&mut Vec<u8>, &Document<T>) -> io::Result<()>,
            impl FnOnce(&T, &mut Brief) -> Vec<Figure>,
        >,
    ) {
        if self.wants(topic) {
            let asked = self.session.question();
            let mut answer = ask(&asked);
            if let Ok((body, _)) = &mut answer {
                self.redact(body);
            }
            self.tell(topic, &asked, answer, shown);
        }
    }

    /// Takes names out of what was answered, if that is wanted: once, and before anything is drawn,
    /// written or kept of it.
    pub(super) fn redact(&mut self, body: &mut impl Named) {
        if self.args.redact {
            body.redact(&mut self.redactor);
        }
    }

    /// What was answered to `asked`; [`Self::redact`] has seen it.
    pub(super) fn tell<T: Serialize>(
        &mut self,
        topic: Topic,
        asked: &Session,
        answer: Answer<T>,
        shown: Shown<
            impl FnOnce(&mut Vec<u8>, &Document<T>) -> io::Result<()>,
            impl FnOnce(&T, &mut Brief) -> Vec<Figure>,
        >,
    ) {
        let mut figures = Vec::new();
        let losses = self.said(asked, Severity::Loss);
        let notes = self.said(asked, Severity::Note);
        let mut whole = losses.is_empty();
        let told = answer.and_then(|(body, complete)| {
            whole &= complete;
            self.complete &= complete;
            figures = (shown.figures)(&body, &mut self.brief);
            self.put(asked, complete, body, shown.text)
        });
        self.lost.absorb_losses(&asked.kernel.diag);
        // What a kernel or its debug file does not have is not missing.
        let why = told.as_ref().err().and_then(|error| error.downcast_ref());
        let lost = why.is_some_and(|why| {
            !matches!(why, KernelError::Unsupported(_) | KernelError::Layout(_))
        });
        self.complete &= !lost;
        self.said.push(Section {
            topic,
            told: told.map_err(|error| error.root_cause().to_string()),
            complete: whole,
            losses,
            notes,
            figures,
        });
    }

    /// A body in the form that is wanted.
    fn put<T: Serialize>(
        &mut self,
        asked: &Session,
        complete: bool,
        body: T,
        text: impl FnOnce(&mut Vec<u8>, &Document<T>) -> io::Result<()>,
    ) -> Result<Told> {
        if self.args.format == ReportFormat::Json {
            return Ok(Told::Data(serde_json::to_value(body)?));
        }
        let mut document = Document::new(&asked.kernel, asked.run(), complete, body);
        if self.args.redact {
            self.redactor.identity(&mut document.dump);
        }
        let mut written = Vec::new();
        text(&mut written, &document)?;
        let written = String::from_utf8(written)?;
        let above = render::above(&document);
        let own = written.strip_prefix(&above).unwrap_or(&written);
        Ok(Told::Text(own.to_owned()))
    }

    /// What was said of it alone.
    fn said(&self, asked: &Session, severity: Severity) -> Vec<String> {
        let all = asked.kernel.diag.warnings().into_iter();
        let own = all.filter(|one| one.severity == severity);
        let own = own.filter(|one| !self.at_first.contains(&one.message));
        own.map(|one| one.message).collect()
    }

    /// Hands on what all of them have lost; notes stay with their sections.
    pub(super) fn end(&self) {
        self.session.kernel.diag.absorb(&self.lost);
    }
}

/// Who lives there: what is said of it may name them before any document does.
fn learned(session: &Session, args: &ReportArgs) -> Redactor {
    let mut redactor = Redactor::default();
    let asked = session.question();
    // What can't be read here is missing from its own section, which says so.
    for process in task::collect(&asked.kernel)
        .into_iter()
        .flat_map(|facts| facts.processes)
    {
        // Words of vmleak, as `netns`, are names of kernel threads, too.
        if !process.kernel_thread {
            redactor.learn_process(&process.comm);
        }
    }
    let nets = interfaces::collect(&asked.kernel).into_iter();
    for device in nets
        .flat_map(|facts| facts.namespaces)
        .flat_map(|net| net.devices)
    {
        redactor.learn_interface(&device.name);
    }
    let common = &args.common;
    let given = common.files.iter().chain(&common.symbols);
    for path in given.chain(&common.debug_directory) {
        redactor.learn_path(&path.display().to_string());
    }
    redactor
}

//! What `diff` asks of a dump, and of what tools saved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use vmleak::analysis::growth::{self, View};
use vmleak::analysis::series::{FoundThen, State, StateIdentity};
use vmleak::kernel::KernelError;
use vmleak::kernel::modules::Modules;
use vmleak::report::leaks::LeaksReport;
use vmleak::report::pages::{Division, PagesReport};
use vmleak::subsys::mm::slab::{CacheFacts, SlabHeap};

use super::args::Common;
use super::conntrack_args::Netns;
use super::leaks::{self, Judged};
use super::machine::meminfo;
use super::session::Session;
use super::{conntrack, part, sysctl};

/// What is compared besides caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Besides {
    /// All of these
    All,
    /// Caches alone, which takes no search
    None,
    /// Lines of /proc/meminfo
    Meminfo,
    /// All of RAM by owner (searches the whole dump)
    Ledger,
    /// What was found, by fingerprint (searches the whole dump)
    Findings,
    /// Sysctls of the initial network namespace
    Sysctls,
    /// Loaded modules
    Modules,
    /// How many connections are tracked
    Connections,
}

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a>(pub(super) &'a [Besides]);

impl Wanted<'_> {
    fn has(self, part: Besides) -> bool {
        self.0.contains(&part) || self.0.contains(&Besides::All)
    }

    /// Whether some are named: then each that can't be told is missing.
    fn is_named(self) -> bool {
        !self.0.contains(&Besides::All)
    }
}

pub(super) fn identity(path: &Path, kind: &'static str) -> StateIdentity {
    StateIdentity {
        path: path.display().to_string(),
        kind,
        ..StateIdentity::default()
    }
}

/// Of a dump, and whether nothing was missing. What can't be told is left out, with a warning of
/// the session.
///
/// # Errors
/// If its caches can't be read.
pub(super) fn of_dump(
    session: &Session,
    common: &Common,
    path: &Path,
    view: View,
    wanted: Wanted<'_>,
) -> Result<(State, bool)> {
    let system = &session.run().system;
    let mut state = State {
        identity: StateIdentity {
            host: system.host.clone(),
            release: system.release.clone(),
            time: system.crash_time,
            boot_time: system
                .crash_time
                .zip(system.uptime_seconds)
                .map(|(crash, uptime)| crash - uptime as i64),
            ..identity(path, "dump")
        },
        ..State::default()
    };
    let searched = wanted.has(Besides::Ledger) || wanted.has(Besides::Findings);
    let named = wanted.is_named();
    let judged = if searched {
        search(session, common, named)
    } else {
        None
    };
    let complete = match judged {
        Some(judged) => {
            let caches = judged.report.caches.iter().map(|cache| &cache.facts);
            add_caches(&mut state, caches, view);
            if wanted.has(Besides::Findings) {
                add_findings(&mut state, &judged.report);
            }
            if let Some(pages) = judged.pages.filter(|_| wanted.has(Besides::Ledger)) {
                let report = PagesReport::new(pages, Division::Zone);
                let bytes = |pages: u64| pages.saturating_mul(report.page_bytes);
                let mut ledger = BTreeMap::new();
                for line in report.ledger.lines {
                    ledger.insert(line.code.clone(), bytes(line.pages));
                    state.ledger_titles.insert(line.code, line.name);
                }
                state.ledger = Some(ledger);
            }
            judged.complete
        }
        None => {
            let heap = session.explain(SlabHeap::read(&session.kernel, &*session.progress))?;
            let facts = session.explain(heap.facts(&*session.progress))?;
            add_caches(&mut state, facts.caches.iter(), view);
            facts.complete && facts.caches.iter().all(|cache| cache.exact.complete)
        }
    };
    let modules = Modules::read(&session.kernel)?;
    add_machine(&mut state, session, &modules, wanted);
    if wanted.has(Besides::Connections) {
        state.connections = told(session, named, ("connections", "conntrack"), |session| {
            conntrack::add_own_types(session, &modules, common)?;
            let (report, whole) = conntrack::summarised(session, &modules, Some(None))?;
            Ok((report.reconciliation.in_hash, whole))
        });
    }
    session.progress.finish();
    Ok((state, complete && !session.kernel.diag.has_loss()))
}

/// An answer to a question of its own, and whether nothing is missing in it; or a warning why there is none. What a kernel does not have
/// is no loss, nor is what a bundle was not made for, unless it was `named`.
fn told<T>(
    session: &Session,
    named: bool,
    (what, part): (&str, &'static str),
    ask: impl FnOnce(&mut Session) -> Result<(T, bool)>,
) -> Option<T> {
    let diag = &session.kernel.diag;
    let mut asked = session.question();
    let held = part::held_in(session.kernel.dump(), part);
    let answer = held.map_err(Into::into).and_then(|()| ask(&mut asked));
    match answer {
        Ok((answer, whole)) => {
            diag.absorb(&asked.kernel.diag);
            if !whole && !asked.kernel.diag.has_loss() {
                diag.warn("part-incomplete", format!("{what} are not all known"));
            }
            Some(answer)
        }
        Err(error) => {
            let text = format!("{what} are not compared: {error:#}");
            let lacks = match error.downcast_ref::<KernelError>() {
                Some(KernelError::Unsupported(_)) => false,
                Some(KernelError::NotInBundle { .. }) => named,
                _ => true,
            };
            match lacks {
                true => diag.warn("not-compared", text),
                false => diag.note("not-compared", text),
            }
            None
        }
    }
}

fn search(session: &Session, common: &Common, named: bool) -> Option<Judged> {
    told(
        session,
        named,
        ("findings and the ledger", "leaks"),
        |session| {
            let judged = leaks::judged(session, common.max_memory, None, false)?;
            // What is missing in it is judged with it.
            Ok((judged, true))
        },
    )
}

fn add_caches<'f>(
    state: &mut State,
    caches: impl Iterator<Item = &'f CacheFacts> + Clone,
    view: View,
) {
    let merged = caches.clone().filter(|cache| !cache.aliases.is_empty());
    state.merged = merged
        .map(|cache| [&[cache.name.clone()][..], &cache.aliases].concat())
        .collect();
    state.caches = Some(growth::sample(caches, view));
}

fn add_findings(state: &mut State, report: &LeaksReport) {
    state.findings = Some(BTreeMap::new());
    for finding in &report.findings {
        let found = FoundThen {
            subject: finding.subject.clone(),
            level: finding.level.word().to_owned(),
            bytes: finding.bytes,
        };
        state.add_finding(finding.fingerprint.clone(), found);
    }
}

fn add_machine(state: &mut State, session: &Session, modules: &Modules, wanted: Wanted<'_>) {
    let named = wanted.is_named();
    if wanted.has(Besides::Meminfo) {
        state.meminfo = told(session, named, ("lines of meminfo", "meminfo"), |session| {
            let (memory, whole) = meminfo::collected(session, false, meminfo::Kmalloc::Unasked)?;
            let kilobytes = memory.meminfo.iter().filter(|line| line.unit.is_some());
            let bytes = kilobytes.map(|line| (line.name.to_owned(), line.value << 10));
            Ok((bytes.collect(), whole))
        });
    }
    if wanted.has(Besides::Sysctls) {
        state.sysctls = told(session, named, ("sysctls", "sysctl"), |session| {
            let facts = sysctl::collect(session, modules, &|_| true, Netns::Initial)?;
            // Bytes that nobody knows how to write are no value.
            let all = facts.entries.into_iter().filter(|entry| !entry.raw);
            let values = all.filter_map(|entry| Some((entry.name, entry.value?)));
            Ok((values.collect::<BTreeMap<_, _>>(), facts.complete))
        });
    }
    if wanted.has(Besides::Modules) {
        let names = modules.iter().map(|module| module.name.clone());
        state.modules = Some(names.collect::<BTreeSet<_>>());
    }
}

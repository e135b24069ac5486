//! `diff`: what changed from one dump to another, or from a saved /proc/slabinfo to a dump.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use vmleak::addr::SMALLEST_PAGE;
use vmleak::analysis::growth::{self, Sample, View};
use vmleak::analysis::saved_slabinfo;
use vmleak::analysis::series::{State, besides};
use vmleak::diag::Severity;
use vmleak::dump::Dump;
use vmleak::open::{FileKind, kind_of};
use vmleak::render;
use vmleak::report::Document;
use vmleak::report::diff::{DiffReport, SampleIdentity};
use vmleak::space::boot;
use vmleak::subsys::system::SystemFacts;
use vmleak::types::build_id_of;

use super::args::Common;
use super::output::{Reader, json_lines, output};
use super::series;
use super::session::{Session, exit};
use super::state::{Besides, Wanted, of_dump};
use super::wrong::wrong;

/// Of `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = DiffFormat::Table, help_heading = "Output")]
    pub(crate) format: DiffFormat,
    /// Also the caches that stayed as they were
    #[arg(short, long, help_heading = "Output")]
    pub(crate) all: bool,
    /// What is compared besides caches, as far as both tell
    #[arg(
        long,
        value_enum,
        value_name = "PART,…",
        value_delimiter = ',',
        default_value = "all"
    )]
    pub(crate) with: Vec<Besides>,
}

/// Forms of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// For people, what grew most first
    Table,
    /// One document
    Json,
    /// A cache a line
    Jsonl,
    /// A cache a row
    Csv,
}

/// One of the two that are compared, in the order given: the older first.
#[derive(Debug)]
enum Given {
    Dump(PathBuf),
    Slabinfo(PathBuf),
}

/// A sample that has been read.
struct Taken {
    identity: SampleIdentity,
    state: State,
    /// Of a dump, with whether nothing is missing in it.
    dump: Option<(Session, bool)>,
    /// Of a saved slabinfo.
    text: String,
}

pub(crate) fn diff(args: &DiffArgs) -> Result<ExitCode> {
    if args.with.len() > 1 && args.with.contains(&Besides::None) {
        return Err(wrong(
            "--with none stands alone: nothing is compared besides caches then",
        ));
    }
    if series::is_wanted(&args.common) {
        return series::diff(args);
    }
    let (old, new, vmlinux) = sort_out(&args.common)?;
    let (view, with) = match (&old, &new) {
        (Given::Dump(_), Given::Dump(_)) => (View::Exact, &args.with[..]),
        // What one of them does not tell is not asked of the other.
        _ => (View::Slabinfo, &[Besides::None][..]),
    };
    let take = |given| take(&args.common, given, &vmlinux, view, Wanted(with));
    let (mut old, mut new) = (take(&old)?, take(&new)?);
    let same_boot = same_boot(&old, &new);
    let turned = same_boot == Some(true) && old.state.identity.time > new.state.identity.time;
    if turned {
        std::mem::swap(&mut old, &mut new);
    }
    let (body, complete) = compared(&old, &new, view, same_boot)?;
    // The frame is that of the newer dump.
    let (Some((session, _)), older) = (match new.dump {
        Some(dump) => (Some(dump), old.dump),
        None => (old.dump, None),
    }) else {
        bail!("no dump given");
    };
    let diag = &session.kernel.diag;
    for warning in older.iter().flat_map(|(of, _)| of.kernel.diag.warnings()) {
        let text = format!("{}: {}", body.old.path, warning.message);
        match warning.severity {
            Severity::Loss => diag.warn_many(warning.code, text, warning.count),
            Severity::Note => diag.note_many(warning.code, text, warning.count),
        }
    }
    if same_boot == Some(false) {
        let text = "the dumps are of two boots: nothing grew from the one to the other, they are only set side by side";
        diag.note("two-boots", text);
    } else if turned {
        let text =
            "the first dump is younger than the second: they are compared in the order of time";
        diag.note("order", text);
    }
    let document = session.document(&args.common, complete, body);
    show(args, &document)?;
    Ok(exit(document.complete))
}

/// What changed, and whether nothing was missing.
fn compared(
    old: &Taken,
    new: &Taken,
    view: View,
    same_boot: Option<bool>,
) -> Result<(DiffReport, bool)> {
    let page_size = |taken: &Taken| {
        let (session, _) = taken.dump.as_ref()?;
        Some(session.kernel.dump().page_size() as u64)
    };
    let page_size = page_size(new)
        .or_else(|| page_size(old))
        .unwrap_or_else(|| u64::from(SMALLEST_PAGE));
    // The names that the allocator merged into one cache, in either dump.
    let merged = [&old.state.merged[..], &new.state.merged].concat();
    let growth = growth::compare(&sample(old, page_size)?, &sample(new, page_size)?, &merged);
    let times = [old, new].map(|taken| taken.state.identity.time);
    let [was, is] = times;
    let between = is.zip(was).map(|(new, old)| (new - old) as f64);
    let rated = times.map(|time| time.filter(|_| same_boot != Some(false)));
    let complete = |taken: &Taken| {
        taken.dump.as_ref().is_none_or(|(session, complete)| {
            let dump = &session.run().dump;
            *complete && !dump.incomplete && !dump.contradictory
        })
    };
    let body = DiffReport {
        old: old.identity.clone(),
        new: new.identity.clone(),
        compared: view,
        same_boot,
        seconds_between: between,
        growth,
        besides: (view == View::Exact)
            .then(|| besides(&[old.state.clone(), new.state.clone()], &rated)),
    };
    Ok((body, complete(old) && complete(new)))
}

fn show(args: &DiffArgs, document: &Document<DiffReport>) -> Result<()> {
    let reader = match args.format {
        DiffFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    output(&args.common, reader, |out, width| match args.format {
        DiffFormat::Table => render::diff::write_text(out, document, width, args.all),
        DiffFormat::Json => render::json(out, document),
        DiffFormat::Jsonl => json_lines(out, &document.dump, &document.body.growth.caches),
        DiffFormat::Csv => render::diff::write_csv(out, document),
    })
}

/// The older and the newer sample in the order given, and each vmlinux, wherever it stands.
fn sort_out(common: &Common) -> Result<(Given, Given, Vec<PathBuf>)> {
    let mut given = Vec::new();
    let mut vmlinux = Vec::new();
    for path in &common.files {
        if kind_of(path) == FileKind::Vmlinux {
            vmlinux.push(path.clone());
        } else if is_slabinfo(path) {
            given.push(Given::Slabinfo(path.clone()));
        } else {
            given.push(Given::Dump(path.clone()));
        }
    }
    let count = given.len();
    let mut given = given.into_iter();
    match (given.next(), given.next(), given.next()) {
        (Some(old), Some(new), None) => Ok((old, new, vmlinux)),
        _ => Err(wrong(format!(
            "two dumps or saved slabinfos are compared, and {count} given; usage: vmleak diff OLDER NEWER [VMLINUX]"
        ))),
    }
}

fn is_slabinfo(path: &Path) -> bool {
    let mut start = vec![0; saved_slabinfo::MAGIC.len()];
    path.is_file()
        && fs::File::open(path)
            .and_then(|mut file| file.read_exact(&mut start))
            .is_ok()
        && start == saved_slabinfo::MAGIC.as_bytes()
}

fn take(
    common: &Common,
    given: &Given,
    vmlinux: &[PathBuf],
    view: View,
    with: Wanted<'_>,
) -> Result<Taken> {
    let identity = |path: &Path, kind| SampleIdentity {
        path: path.display().to_string(),
        kind,
        release: None,
        crash_time: None,
    };
    let path = match given {
        Given::Dump(path) => path,
        Given::Slabinfo(path) => {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            return Ok(Taken {
                identity: identity(path, "slabinfo"),
                state: State::default(),
                dump: None,
                text,
            });
        }
    };
    let session = opened(common, path, vmlinux)?;
    let (state, complete) = of_dump(&session, common, path, view, with)?;
    let system = &session.run().system;
    let identity = SampleIdentity {
        release: system.release.clone(),
        crash_time: system.crash_time_text(),
        ..identity(session.kernel.dump().path(), "dump")
    };
    Ok(Taken {
        identity,
        state,
        dump: Some((session, complete)),
        text: String::new(),
    })
}

/// One of several dumps, with that of the vmlinux files given that is its own.
pub(super) fn open_one(common: &Common, path: &Path) -> Result<Session> {
    let files = common.files.iter().cloned();
    let vmlinux: Vec<_> = files
        .filter(|path| kind_of(path) == FileKind::Vmlinux)
        .collect();
    opened(common, path, &vmlinux)
}

fn opened(common: &Common, path: &Path, vmlinux: &[PathBuf]) -> Result<Session> {
    let own = own_vmlinux(common, path, vmlinux);
    Session::open(&Common {
        files: std::iter::once(path.to_owned()).chain(own).collect(),
        ..common.clone()
    })
}

/// Of the vmlinux files given that of this dump: two dumps may be of two kernels. Where nothing
/// tells, the first.
fn own_vmlinux(common: &Common, path: &Path, given: &[PathBuf]) -> Option<PathBuf> {
    given.first()?;
    let dump = Dump::open_with(&[path.to_owned()], 0, common.access()).ok();
    let located = dump.and_then(|dump| boot::locate(dump).ok());
    let info = located.and_then(|located| located.dump.notes().vmcoreinfo.clone());
    let Some(wanted) = info.as_ref().and_then(|info| info.build_id()) else {
        return given.first().cloned();
    };
    let is_own = |file: &&PathBuf| {
        let found = build_id_of(file, common.access());
        found.is_none_or(|found| found == wanted) || (common.force && given.len() == 1)
    };
    given.iter().find(is_own).cloned()
}

/// Clocks of one boot may be set by so many seconds.
const CLOCK_SET: f64 = 60.0;

/// Whether two dumps are of one boot: the same kernel, booted at the same time.
fn same_boot(old: &Taken, new: &Taken) -> Option<bool> {
    let [old, new] = [old, new].map(|taken| taken.dump.as_ref().map(|(session, _)| session.run()));
    let (old, new) = (&old?.system, &new?.system);
    if old.build_id.is_some() && new.build_id.is_some() && old.build_id != new.build_id {
        return Some(false);
    }
    let booted = |of: &SystemFacts| Some(of.crash_time? as f64 - of.uptime_seconds?);
    Some((booted(old)? - booted(new)?).abs() <= CLOCK_SET)
}

fn sample(taken: &Taken, page_size: u64) -> Result<Sample> {
    match &taken.state.caches {
        Some(caches) => Ok(caches.clone()),
        None => saved_slabinfo::parse(&taken.text, page_size)
            .with_context(|| taken.identity.path.clone()),
    }
}

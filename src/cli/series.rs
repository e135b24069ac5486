//! `diff` of anything but two dumps: more than two, what tools saved, exported rows, sosreports.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use vmleak::addr::SMALLEST_PAGE;
use vmleak::analysis::growth::View;
use vmleak::analysis::saved::{self, Kind};
use vmleak::analysis::series::{State, StateIdentity, series};
use vmleak::open::{FileKind, kind_of};
use vmleak::render;
use vmleak::report::{Document, DumpIdentity};

use super::args::Common;
use super::diff::{DiffArgs, DiffFormat, open_one};
use super::exported;
use super::output::{Reader, json_lines, output};
use super::session::exit;
use super::state::{Wanted, identity, of_dump};
use super::wrong::wrong;

/// Bytes by which a text is told from a dump.
const START: usize = 256;

/// What is given for states.
enum Given<'p> {
    Dump(&'p Path),
    Text(&'p Path, Kind),
    Sosreport(&'p Path),
    Rows(&'p Path),
}

fn given(path: &Path) -> Given<'_> {
    if path.join("proc/meminfo").is_file() || path.join("proc/slabinfo").is_file() {
        return Given::Sosreport(path);
    }
    if exported::is_rows(path) {
        return Given::Rows(path);
    }
    match text_kind(path) {
        Some(kind) => Given::Text(path, kind),
        None => Given::Dump(path),
    }
}

fn text_kind(path: &Path) -> Option<Kind> {
    let file = fs::File::open(path).ok().filter(|_| path.is_file())?;
    let mut start = Vec::new();
    file.take(START as u64).read_to_end(&mut start).ok()?;
    Kind::of(&String::from_utf8_lossy(&start))
}

fn not_vmlinux(common: &Common) -> impl Iterator<Item = &Path> {
    let files = common.files.iter().map(|path| path.as_path());
    files.filter(|path| kind_of(path) != FileKind::Vmlinux)
}

/// Whether these are more or other things than two dumps, or a dump and a saved slabinfo.
pub(super) fn is_wanted(common: &Common) -> bool {
    let given: Vec<Given<'_>> = not_vmlinux(common).map(given).collect();
    let dumps = given.iter().filter(|one| matches!(one, Given::Dump(_)));
    let plain = |one: &Given<'_>| matches!(one, Given::Dump(_) | Given::Text(_, Kind::Slabinfo));
    let pair = given.len() <= 2 && given.iter().all(plain) && dumps.count() > 0;
    !pair && !given.is_empty()
}

/// Runs it.
pub(super) fn diff(args: &DiffArgs) -> Result<ExitCode> {
    let common = &args.common;
    let all: Vec<Given<'_>> = not_vmlinux(common).map(given).collect();
    // Where all are dumps or rows, counts are exact in all; else they are /proc/slabinfo's.
    let exact = |one: &Given<'_>| matches!(one, Given::Dump(_) | Given::Rows(_));
    let view = match all.iter().all(exact) {
        true => View::Exact,
        false => View::Slabinfo,
    };
    let (mut states, mut complete) = (Vec::new(), true);
    for one in &all {
        match one {
            Given::Dump(path) => {
                let (state, whole) = dump_state(args, path, view)?;
                complete &= whole;
                states.push(state);
            }
            Given::Text(path, kind) => states.extend(of_text(path, *kind)?),
            Given::Sosreport(path) => states.push(of_sosreport(path)?),
            Given::Rows(path) => states.extend(exported::states(path, view)?),
        }
    }
    if states.len() < 2 {
        return Err(wrong(format!(
            "{} state of a machine given, but two or more are compared; usage: vmleak diff OLDER NEWER… [VMLINUX]",
            states.len()
        )));
    }
    let body = series(states);
    let last = body.states.last();
    let path = last.map_or("", |state| state.path.as_str());
    let dump = DumpIdentity::of_no_dump(path, last.and_then(|state| state.release.clone()));
    let document = Document::of_no_dump(dump, complete, body);
    let reader = match args.format {
        DiffFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    output(common, reader, |out, width| match args.format {
        DiffFormat::Table => render::series::write_text(out, &document.body, width, args.all),
        DiffFormat::Json => render::json(out, &document),
        DiffFormat::Jsonl => json_lines(out, &document.dump, &document.body.caches),
        DiffFormat::Csv => render::series::write_csv(out, &document),
    })?;
    Ok(exit(complete))
}

fn of_text(path: &Path, kind: Kind) -> Result<Vec<State>> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    let text = String::from_utf8_lossy(&text);
    let moments = saved::read(kind, &text, u64::from(SMALLEST_PAGE));
    let moments = moments.with_context(|| path.display().to_string())?;
    let state = |moment: saved::Moment| State {
        identity: StateIdentity {
            time: moment.time,
            ..identity(path, kind.name())
        },
        caches: moment.caches,
        meminfo: moment.meminfo,
        ..State::default()
    };
    Ok(moments.into_iter().map(state).collect())
}

/// What is there of a sosreport's tree; a file that it lacks tells nothing.
fn of_sosreport(folder: &Path) -> Result<State> {
    let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
    let mut state = State {
        identity: identity(folder, "sosreport"),
        ..State::default()
    };
    for (file, kind) in [
        ("proc/slabinfo", Kind::Slabinfo),
        ("proc/meminfo", Kind::Meminfo),
    ] {
        let Some(text) = read(file).filter(|text| Kind::of(text) == Some(kind)) else {
            continue;
        };
        let moments = saved::read(kind, &text, u64::from(SMALLEST_PAGE));
        let moments = moments.with_context(|| folder.join(file).display().to_string())?;
        for moment in moments {
            state.caches = state.caches.or(moment.caches);
            state.meminfo = state.meminfo.or(moment.meminfo);
        }
    }
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    state.modules = read("proc/modules").map(|text| text.lines().filter_map(first).collect());
    state.sysctls = read("sos_commands/kernel/sysctl_-a").map(|text| {
        let lines = text.lines().filter_map(|line| line.split_once(" = "));
        let lines = lines.map(|(name, value)| (name.to_owned(), value.to_owned()));
        lines.collect()
    });
    let release = read("proc/sys/kernel/osrelease").or_else(|| {
        let uname = read("sos_commands/kernel/uname_-a")?;
        uname.split_whitespace().nth(2).map(str::to_owned)
    });
    state.identity.release = release.map(|text| text.trim().to_owned());
    let date = read("sos_commands/date/date").or_else(|| read("date"));
    state.identity.time = date.and_then(|date| saved::seconds(&date));
    state.identity.host = read("proc/sys/kernel/hostname")
        .or_else(|| read("sos_commands/host/hostname"))
        .map(|text| text.trim().to_owned());
    Ok(state)
}

fn dump_state(args: &DiffArgs, path: &Path, view: View) -> Result<(State, bool)> {
    let session = open_one(&args.common, path)?;
    let (state, whole) = of_dump(&session, &args.common, path, view, Wanted(&args.with))?;
    if !args.common.quiet {
        for warning in session.kernel.diag.losses() {
            let message = render::printable(&warning.message);
            anstream::eprintln!("vmleak: warning: {}: {message}", path.display());
        }
    }
    Ok((state, whole))
}

//! `bundle`: a small dump with only what the commands read.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, Parser};
use vmleak::bundle::{self, BundleFacts, Wanted};
use vmleak::dump::Reads;
use vmleak::open::{FileKind, kind_of};
use vmleak::render::{size, thousands};

use super::args::Common;
use super::command::Cli;
use super::run;
use super::save_profile::{self, ModulesOf};
use super::session::{READS, Session, exit};
use super::wrong::wrong;

/// Of `bundle`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct BundleArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Hold what these commands read, in place of all that search no memory, but `dentries`
    ///
    /// `leaks` stands for `retained`, `pages` and `report` too, and makes the file larger: of memory that
    /// these search, all words that are kernel addresses are in it, and the beginnings of objects that
    /// nothing points to, whatever they hold.
    #[arg(long = "for", value_name = "COMMAND,…", value_delimiter = ',', value_parser = names())]
    pub(crate) commands: Vec<String>,
    /// Blank the log's texts, the machine's name and the kernel's command line
    #[arg(long)]
    pub(crate) redact: bool,
}

const EXAMPLE: &str = "\
Examples:
  vmleak bundle -o node17.bundle vmcore vmlinux
  vmleak bundle --for slabs,conntrack --redact -o node17.bundle vmcore
  vmleak slabs node17.bundle

node17.bundle.profile beside it has the types and symbols: send both. Neither pages of processes \
and files nor what sockets and pipes hold is in a bundle, but names of files, processes and hosts \
are, unless --redact blanks them.";

/// Types that are the kernel's own, in the dump: who has the bundle alone reads them there.
const OWN: &str = "btf";
/// Commands that take types of modules, which lie elsewhere than those of the kernel.
const BY_MODULES: [&str; 3] = ["conntrack", "nat", "rules"];

/// What is run for the name of a command: what these read answers all their options.
const COMMANDS: &[(&str, &[&[&str]])] = &[
    ("info", &[&["info", "--layouts"]]),
    ("slabs", &[&["slabs"]]),
    (
        "conntrack",
        &[
            &["conntrack"],
            &["conntrack", "--summary"],
            &["conntrack", "--expect"],
            &["conntrack", "--stats"],
        ],
    ),
    ("nat", &[&["nat"]]),
    ("sockets", &[&["sockets"], &["sockets", "--skbs"]]),
    ("net", &[&["net"]]),
    ("rules", &[&["rules"]]),
    ("meminfo", &[&["meminfo", "--precise"], &["meminfo"]]),
    ("log", &[&["log"], &["log", "--oom"]]),
    ("vmalloc", &[&["vmalloc"]]),
    ("kmemleak", &[&["kmemleak"]]),
    ("allocinfo", &[&["allocinfo"]]),
    ("memcg", &[&["memcg"]]),
    ("pageowner", &[&["pageowner"]]),
    ("modules", &[&["modules"]]),
    ("sysctl", &[&["sysctl"], &["sysctl", "--check"]]),
    ("ps", &[&["ps"]]),
    ("files", &[&["files", "--top", "1000000000"]]),
    (NAMES, &[&["dentries", "--top", "1000000000"]]),
    ("zones", &[&["zones"]]),
    ("bpf", &[&["bpf"]]),
    (
        SEARCH,
        &[&["leaks"], &["retained"], &["pages"], &["report"]],
    ),
];
/// Types as they were given or are found.
const GIVEN: &str = "auto";

/// What searches all memory is left out unless it is named.
const SEARCH: &str = "leaks";

/// So is what reads each name that the kernel keeps.
const NAMES: &str = "dentries";

fn names() -> Vec<&'static str> {
    COMMANDS.iter().map(|(name, _)| *name).collect()
}

/// Runs `vmleak bundle`.
pub(crate) fn bundle(args: &BundleArgs) -> Result<ExitCode> {
    let Some(path) = args.common.output.clone() else {
        return Err(wrong(
            "no file to write the bundle to: name one with -o FILE",
        ));
    };
    let mut session = Session::open(&args.common)?;
    if let Some(bundle) = session.kernel.dump().bundle() {
        anyhow::bail!(
            "this dump is a bundle already, with what {} read: copy that file",
            bundle.commands
        );
    }
    if session.kernel.dump().is_live() {
        anyhow::bail!("a kernel that runs can't be bundled: what is read twice differs");
    }
    let profile = beside(&path, ".profile");
    let part = beside(&path, ".part");
    let whole = write_profile(&mut session, &args.common, &profile)?;
    let mut wanted = Wanted {
        commands: Vec::new(),
        redact: args.redact,
    };
    let reads = record(args, &profile, &mut wanted)?;
    let facts = written(&session, &reads, &wanted, &part)?;
    fs::rename(&part, &path).with_context(|| path.display().to_string())?;
    say(&session, &path, &profile, &facts);
    let document = session.document(&args.common, whole, ());
    Ok(exit(document.complete))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Types and symbols. Those of a profile are copied.
fn write_profile(session: &mut Session, common: &Common, to: &Path) -> Result<bool> {
    match session.debug.profile_path() {
        Some(from) => fs::copy(from, to).map(|_| true).with_context(|| {
            let to = to.display();
            format!("{to}: can't write the profile there; name another file with -o")
        }),
        None => save_profile::write(session, common, to, ModulesOf::Bundle),
    }
}

/// Runs the commands, and learns what they read: with the bundle's own types, and with those that
/// were given, which may be more.
fn record(args: &BundleArgs, profile: &Path, wanted: &mut Wanted) -> Result<Arc<Reads>> {
    let reads = Arc::clone(READS.get_or_init(Arc::default));
    let types = format!("profile:{}", profile.display());
    for (name, lines) in COMMANDS {
        let asked = match args.commands.is_empty() {
            true => ![SEARCH, NAMES].contains(name),
            false => *name == "info" || args.commands.iter().any(|one| one == name),
        };
        if !asked {
            continue;
        }
        for line in *lines {
            // What one can't tell of this kernel by any types, the bundle won't either.
            let own = BY_MODULES.contains(name).then_some(OWN);
            for types in [&*types, GIVEN].into_iter().chain(own) {
                let _ = run::run(&parsed(line, &args.common, types)?);
            }
        }
        wanted.commands.push((*name).to_owned());
    }
    Ok(reads)
}

/// The command line of a command whose result nobody sees.
fn parsed(line: &[&str], common: &Common, types: &str) -> Result<super::command::Command> {
    let mut words: Vec<std::ffi::OsString> = vec!["vmleak".into()];
    words.extend(line.iter().map(Into::into));
    let quiet = [
        "-q",
        "--no-progress",
        "--format",
        "json",
        "-o",
        "/dev/null",
        "--types",
    ];
    words.extend(quiet.iter().map(Into::into));
    words.push(types.into());
    // What a kernel says of itself needs no file.
    let files = common.debug_directory.iter().filter(|_| types != OWN);
    for folder in files {
        words.extend(["--debug-directory".into(), folder.into()]);
    }
    for file in common.symbols.iter().filter(|_| types != OWN) {
        words.extend(["-s".into(), file.into()]);
    }
    if common.force {
        words.push("--force".into());
    }
    if common.no_default_debug_directories || types == OWN {
        words.push("--no-default-debug-directories".into());
    }
    words.push("--".into());
    // A profile is there to do without a vmlinux, which takes time to read.
    let wanted = |path: &&PathBuf| types == GIVEN || kind_of(path) != FileKind::Vmlinux;
    words.extend(common.files.iter().filter(wanted).map(Into::into));
    Ok(Cli::try_parse_from(words)?.command)
}

fn written(session: &Session, reads: &Reads, wanted: &Wanted, part: &Path) -> Result<BundleFacts> {
    let file = File::create(part).with_context(|| {
        let part = part.display();
        format!("{part}: can't write the bundle there; name another file with -o")
    })?;
    let out = BufWriter::new(file);
    let facts = bundle::write(&session.kernel, reads, wanted, out, &*session.progress);
    if facts.is_err() {
        let _ = fs::remove_file(part);
    }
    facts.with_context(|| "no bundle was written".to_owned())
}

fn say(session: &Session, path: &Path, profile: &Path, facts: &BundleFacts) {
    session.progress.finish();
    let of = session.kernel.dump().file_bytes();
    let share = facts.bytes as f64 * 100.0 / of.max(1) as f64;
    anstream::println!(
        "{}: {} in {} pages, {share:.1} % of the dump\n{}: its types and symbols",
        path.display(),
        size(facts.bytes),
        thousands(facts.pages),
        profile.display(),
    );
    if facts.kept_back > 0 {
        let pages = thousands(facts.kept_back);
        anstream::println!(
            "{pages} pages that were read stayed behind: they are of users, or free"
        );
    }
}

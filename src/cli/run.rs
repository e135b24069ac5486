//! The commands: open, collect, judge, render, and say by the exit code how it went.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use vmleak::analysis::accounting::Level;
use vmleak::kernel::modules::Modules;
use vmleak::render;
use vmleak::report::{InfoReport, SlabsReport};
use vmleak::subsys::mm::slab::era::SlabEra;
use vmleak::subsys::mm::slab::{CacheFacts, SlabHeap, left_out};

use super::args::{Common, FailOn, InfoArgs, InfoFormat, SlabsArgs, SlabsFormat, Sort};
use super::bundle;
use super::command::Command;
use super::conntrack;
use super::diff;
use super::export;
use super::leaks;
use super::machine;
use super::manual;
use super::names::{self, no_such_cache};
use super::net;
use super::objects;
use super::output::{json_lines, output};
use super::pageowner;
use super::report;
use super::retained;
use super::rules;
use super::save_profile::{self, ModulesOf};
use super::session::{Session, exit};
use super::sockets;
use super::sysctl;
use super::whatis;
use super::wrong::nothing_so;

/// What `--fail-on` names was found.
const FOUND: u8 = 1;

/// Runs one command.
pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Slabs(args) => with_threads(&args.common, Some("slabs"), || slabs(args)),
        Command::Objects(args) => {
            with_threads(&args.common, Some("slabs"), || objects::objects(args))
        }
        Command::Info(args) => with_threads(&args.common, Some("info"), || info(args)),
        Command::Leaks(args) => with_threads(&args.common, Some("leaks"), || leaks::leaks(args)),
        Command::Whatis(args) => with_threads(&args.common, None, || whatis::whatis(args)),
        Command::Retained(args) => {
            with_threads(&args.common, Some("leaks"), || retained::retained(args))
        }
        Command::Diff(args) => with_threads(&args.common, Some("slabs"), || diff::diff(args)),
        Command::Conntrack(args) => with_threads(&args.common, Some("conntrack"), || {
            conntrack::conntrack(args)
        }),
        Command::Nat(args) => with_threads(&args.common, Some("nat"), || conntrack::nat(args)),
        Command::Rules(args) => with_threads(&args.common, Some("rules"), || rules::rules(args)),
        Command::Meminfo(args) => {
            with_threads(&args.common, Some("meminfo"), || machine::meminfo(args))
        }
        Command::Log(args) => with_threads(&args.common, Some("log"), || machine::log(args)),
        Command::Vmalloc(args) => {
            with_threads(&args.common, Some("vmalloc"), || machine::vmalloc(args))
        }
        Command::Kmemleak(args) => {
            with_threads(&args.common, Some("kmemleak"), || machine::kmemleak(args))
        }
        Command::Allocinfo(args) => {
            with_threads(&args.common, Some("allocinfo"), || machine::allocinfo(args))
        }
        Command::Memcg(args) => with_threads(&args.common, Some("memcg"), || machine::memcg(args)),
        Command::Files(args) => with_threads(&args.common, Some("files"), || machine::files(args)),
        Command::Dentries(args) => {
            with_threads(&args.common, Some("dentries"), || machine::dentries(args))
        }
        Command::Bpf(args) => with_threads(&args.common, Some("bpf"), || machine::bpf(args)),
        Command::Pages(args) => with_threads(&args.common, Some("leaks"), || machine::pages(args)),
        Command::Zones(args) => with_threads(&args.common, Some("zones"), || machine::zones(args)),
        Command::Ps(args) => with_threads(&args.common, Some("ps"), || machine::ps(args)),
        Command::Pageowner(args) => with_threads(&args.common, Some("pageowner"), || {
            pageowner::pageowner(args)
        }),
        Command::Modules(args) => {
            with_threads(&args.common, Some("modules"), || machine::modules(args))
        }
        Command::Report(args) => with_threads(&args.common, Some("leaks"), || report::report(args)),
        Command::Bundle(args) => with_threads(&args.common, None, || bundle::bundle(args)),
        Command::Export(args) => with_threads(&args.common, None, || export::export(args)),
        Command::Schema(args) => export::schema(args),
        Command::Man(args) => manual::man(args),
        Command::Completions(args) => manual::completions(args),
        Command::Sockets(args) => {
            with_threads(&args.common, Some("sockets"), || sockets::sockets(args))
        }
        Command::Net(args) => with_threads(&args.common, Some("net"), || net::net(args)),
        Command::Sysctl(args) => {
            with_threads(&args.common, Some("sysctl"), || sysctl::sysctl(args))
        }
    }
}

/// `part` is what a bundle must hold for it; those without say themselves what they need.
fn with_threads<T: Send>(
    common: &Common,
    part: Option<&'static str>,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    common.part.set(part);
    // The threads of a program that asks are its own; a command that runs others has them already.
    static STARTED: AtomicBool = AtomicBool::new(false);
    if common.asked.is_some() || STARTED.swap(true, Ordering::Relaxed) {
        return work();
    }
    // This thread is one of them: none waits for the others.
    rayon::ThreadPoolBuilder::new()
        .num_threads(common.threads.map_or(0, |threads| threads.clamp(1, 1024)))
        .use_current_thread()
        .build_global()
        .context("can't start threads")?;
    work()
}

fn slabs(args: &SlabsArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let facts = session.settled(|session| {
        let heap = || SlabHeap::read(&session.kernel, &*session.progress);
        let (heap, _) = rayon::join(heap, || session.run());
        session.explain(session.explain(heap)?.facts(&*session.progress))
    })?;
    let seen_all = facts.complete;
    let mut report = SlabsReport::new(facts, session.run().system.memory_bytes);
    match (args.format, args.sort) {
        (SlabsFormat::Slabinfo, _) | (_, Sort::List) => {}
        (_, Sort::Size) => report.sort_by_size(),
        (_, Sort::Name) => report.sort_by_name(),
    }
    if let Some(name) = &args.cache {
        if !report
            .caches
            .iter()
            .any(|cache| is_called(name, &cache.facts))
        {
            let all = report.caches.iter();
            let names = all.flat_map(|cache| names_of(&cache.facts));
            return Err(nothing_so(&session.kernel.diag, no_such_cache(name, names)));
        }
        report.keep(|own| names::matches(name, own));
    }
    let complete = seen_all && report.caches.iter().all(|cache| cache.facts.exact.complete);
    let worst = report.caches.iter().map(|cache| cache.verdict.level).max();
    let document = session.document(&args.common, complete, report);
    output(
        &args.common,
        args.format.reader(),
        |out, width| match args.format {
            SlabsFormat::Table if args.cache.is_some() => {
                render::cache::write_text(out, &document, width)
            }
            SlabsFormat::Table => render::slabs::write_text(out, &document, width, args.all),
            SlabsFormat::Json => render::json(out, &document),
            SlabsFormat::Jsonl => json_lines(out, &document.dump, &document.body.caches),
            SlabsFormat::Csv => render::slabs::write_csv(out, &document),
            SlabsFormat::Slabinfo => render::slabs::write_slabinfo(out, &document.body),
        },
    )?;
    let can_tell = args.fail_on != Some(FailOn::Leak);
    if !can_tell {
        anstream::eprintln!(
            "vmleak: slabs searches for no unreachable objects, so it can't say whether there is a leak: run vmleak leaks --fail-on leak"
        );
    }
    Ok(verdict_code(
        args.fail_on,
        worst,
        document.complete && can_tell,
    ))
}

fn names_of(cache: &CacheFacts) -> impl Iterator<Item = &str> {
    std::iter::once(&cache.name)
        .chain(&cache.aliases)
        .map(String::as_str)
}

fn is_called(asked: &str, cache: &CacheFacts) -> bool {
    names_of(cache).any(|name| names::matches(asked, name))
}

/// The exit code of a command that gives verdicts.
pub(crate) fn verdict_code(
    fail_on: Option<FailOn>,
    worst: Option<Level>,
    complete: bool,
) -> ExitCode {
    let failed = match fail_on {
        Some(FailOn::Leak) => worst >= Some(Level::Leak),
        Some(FailOn::Suspect) => worst >= Some(Level::Suspect),
        None => false,
    };
    if failed {
        ExitCode::from(FOUND)
    } else {
        exit(complete)
    }
}

fn info(args: &InfoArgs) -> Result<ExitCode> {
    let mut session = Session::open(&args.common)?;
    let saved = match &args.save_profile {
        Some(path) => save_profile::write(&mut session, &args.common, path, ModulesOf::Kernel)?,
        None => true,
    };
    let kernel = &session.kernel;
    let era = SlabEra::detect(kernel)?;
    if args.layouts && era.is_supported() {
        // Reading the heap is what resolves its layouts.
        session.explain(SlabHeap::read(kernel, &*session.progress))?;
    }
    let recognise = || InfoReport::new(kernel, Modules::read(kernel).ok().as_ref());
    let system = || rayon::join(|| left_out::warn_if_many(kernel), || session.run());
    let (body, _) = rayon::join(recognise, system);
    let mut body = session.explain(body)?;
    body.layouts = args.layouts.then(|| kernel.layouts());
    let document = session.document(&args.common, saved, body);
    output(
        &args.common,
        args.format.reader(),
        |out, width| match args.format {
            InfoFormat::Table => render::info::write_text(out, &document, width),
            InfoFormat::Json => render::json(out, &document),
            InfoFormat::Jsonl => json_lines(out, &document.dump, &[&document.body]),
            InfoFormat::Csv => render::flat::csv(out, &document.dump, "", &[&document.body]),
        },
    )?;
    Ok(exit(document.complete))
}

//! The commands: open, collect, judge, render, and say by the exit code how it went.

use std::process::ExitCode;

use anyhow::{Context, Result};
use vmleak::analysis::accounting::Level;
use vmleak::render;
use vmleak::report::{InfoReport, ObjectCounts, ObjectsReport, SlabsReport};
use vmleak::subsys::slab::SlabHeap;
use vmleak::subsys::slab::era::SlabEra;
use vmleak::subsys::slab::objects::{self, ObjectState};

use super::args::{
    Command, Common, FailOn, InfoArgs, InfoFormat, ObjectsArgs, ObjectsFormat, SlabsArgs,
    SlabsFormat, Sort, StateFilter,
};
use super::conntrack;
use super::session::{Session, exit, json_lines, output};
use super::sysctl;

/// What `--fail-on` names was found.
const FOUND: u8 = 1;

/// Runs one command.
pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Slabs(args) => with_threads(&args.common, || slabs(args)),
        Command::Objects(args) => with_threads(&args.common, || list_objects(args)),
        Command::Info(args) => with_threads(&args.common, || info(args)),
        Command::Conntrack(args) => with_threads(&args.common, || conntrack::conntrack(args)),
        Command::Nat(args) => with_threads(&args.common, || conntrack::nat(args)),
        Command::Sysctl(args) => with_threads(&args.common, || sysctl::sysctl(args)),
    }
}

fn with_threads<T: Send>(common: &Common, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    match common.threads {
        None => work(),
        Some(threads) => rayon::ThreadPoolBuilder::new()
            .num_threads(threads.clamp(1, 1024))
            .build()
            .context("can't start threads")?
            .install(work),
    }
}

fn slabs(args: &SlabsArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let heap = session.explain(SlabHeap::read(&session.kernel, &session.progress))?;
    let facts = session.explain(heap.facts(&session.progress))?;
    let seen_all = facts.complete;
    let mut report = SlabsReport::new(facts, session.run.system.memory_bytes);
    match (args.format, args.sort) {
        (SlabsFormat::Slabinfo, _) | (_, Sort::List) => {}
        (_, Sort::Size) => report.sort_by_size(),
        (_, Sort::Name) => report.sort_by_name(),
    }
    if let Some(name) = &args.cache {
        let known = |facts: &vmleak::subsys::slab::CacheFacts| {
            facts.name == *name || facts.aliases.contains(name)
        };
        report.caches.retain(|cache| known(&cache.facts));
        if report.caches.is_empty() {
            anyhow::bail!("no slab cache is called {name:?}; vmleak slabs --all lists them");
        }
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
            SlabsFormat::Jsonl => json_lines(out, &document.body.caches),
            SlabsFormat::Csv => render::slabs::write_csv(out, &document.body),
            SlabsFormat::Slabinfo => render::slabs::write_slabinfo(out, &document.body),
        },
    )?;
    let failed = match args.fail_on {
        Some(FailOn::Leak) => worst >= Some(Level::Leak),
        Some(FailOn::Suspect) => worst >= Some(Level::Suspect),
        None => false,
    };
    Ok(match (failed, document.complete) {
        (true, _) => ExitCode::from(FOUND),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => exit(false),
    })
}

fn list_objects(args: &ObjectsArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let kernel = &session.kernel;
    let heap = session.explain(SlabHeap::read(kernel, &session.progress))?;
    let index = match heap.find(&args.cache) {
        Some(index) => Some(index),
        None => heap
            .aliases()?
            .iter()
            .position(|names| names.contains(&args.cache)),
    };
    let Some((index, cache)) = index.and_then(|i| Some((i, heap.caches().get(i)?))) else {
        anyhow::bail!(
            "no slab cache is called {:?}; vmleak slabs --all lists them",
            args.cache
        );
    };
    let mut report = ObjectsReport {
        cache: cache.name.clone(),
        object_size: cache.object_size,
        counts: ObjectCounts::default(),
        objects: Vec::new(),
    };
    let limit = args.limit.unwrap_or(usize::MAX);
    let whole = objects::each(&heap, index, |object| {
        let (count, wanted) = match object.state {
            ObjectState::Allocated => (
                &mut report.counts.allocated,
                args.state != StateFilter::Free,
            ),
            ObjectState::Free => (
                &mut report.counts.free,
                args.state != StateFilter::Allocated,
            ),
            ObjectState::PendingFree => (
                &mut report.counts.pending_free,
                args.state == StateFilter::All,
            ),
            ObjectState::Unknown => (&mut report.counts.unknown, args.state == StateFilter::All),
        };
        *count += 1;
        if wanted && report.objects.len() < limit {
            report.objects.push(object);
        }
    });
    let complete = whole && report.counts.unknown == 0 && heap.is_complete();
    let document = session.document(&args.common, complete, report);
    let read = |address, len| {
        kernel
            .space
            .read_bytes(address, len)
            .map_err(|fault| fault.to_string())
    };
    output(&args.common, args.format.reader(), |out, _| {
        match args.format {
            ObjectsFormat::Table => {
                let hexdump: Option<render::objects::ReadObject<'_>> =
                    args.hexdump.then_some(&read);
                render::objects::write_text(out, &document, hexdump)
            }
            ObjectsFormat::Json => render::json(out, &document),
            ObjectsFormat::Jsonl => json_lines(out, &document.body.objects),
            ObjectsFormat::Csv => render::objects::write_csv(out, &document.body),
            ObjectsFormat::Addrs => render::objects::write_addrs(out, &document.body),
            ObjectsFormat::Crash => render::objects::write_crash(out, &document.body),
        }
    })?;
    Ok(exit(document.complete))
}

fn info(args: &InfoArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let kernel = &session.kernel;
    let era = SlabEra::detect(kernel)?;
    if args.layouts && era.is_supported() {
        // Reading the heap is what resolves its layouts.
        session.explain(SlabHeap::read(kernel, &session.progress))?;
    }
    let body = InfoReport {
        coverage: session.run.dump.clone(),
        translation: kernel.space.mmu_name(),
        slab_allocator: era.name(),
        layouts: args.layouts.then(|| kernel.layouts()),
    };
    let document = session.document(&args.common, true, body);
    output(
        &args.common,
        args.format.reader(),
        |out, width| match args.format {
            InfoFormat::Table => render::info::write_text(out, &document, width),
            InfoFormat::Json => render::json(out, &document),
        },
    )?;
    Ok(exit(document.complete))
}

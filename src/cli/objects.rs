//! `objects`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use rustc_hash::FxHashSet;
use vmleak::addr::VirtAddr;
use vmleak::analysis::leaks::Trust;
use vmleak::graph;
use vmleak::kernel::KernelError;
use vmleak::render;
use vmleak::report::{Document, ObjectCounts, ObjectsReport};
use vmleak::subsys::mm::slab::SlabHeap;
use vmleak::subsys::mm::slab::objects::{self as slab_objects, ObjectState};

use super::args::{ObjectsArgs, ObjectsFormat, StateFilter};
use super::leaks::first_search;
use super::names::{self, word_and_files};
use super::output::{json_lines, output};
use super::session::{Session, exit};
use super::traces::traces;
use super::wrong::{nothing_so, wrong};

pub(crate) fn objects(args: &ObjectsArgs) -> Result<ExitCode> {
    check(args)?;
    let (cache, common) = word_and_files(&args.cache, &args.common);
    let session = Session::open(&common)?;
    let kernel = &session.kernel;
    let heap = session.explain(SlabHeap::read(kernel, &*session.progress))?;
    let index = find(&heap, &cache)?;
    let Some(cache) = heap.caches().get(index) else {
        bail!("there is no such cache");
    };
    if let Some(of) = args.traces {
        return traces(&session, args, &heap, index, of);
    }
    let counted_in = heap.counted_in().get(index).copied().unwrap_or(index);
    let whole = heap.caches().get(counted_in).unwrap_or(cache);
    let chosen = chosen(&session, args, whole.address)?;
    let mut report = ObjectsReport {
        cache: cache.name.clone(),
        object_size: cache.object_size,
        counts: ObjectCounts::default(),
        matching: None,
        chosen: match (args.cluster, args.unreachable) {
            (Some(_), _) => Some("cluster"),
            (None, true) => Some("unreachable"),
            (None, false) => None,
        },
        objects: Vec::new(),
    };
    let (whole, matching) = list(&heap, index, args, &chosen, &mut report);
    report.matching = (chosen != Chosen::Unknown).then_some(matching);
    if report.counts.unknown > 0 || !whole {
        kernel.diag.warn_many(
            "objects-unknown",
            format!(
                "objects of {} can't be told free or allocated: their slab's free chain is broken or not in the dump (vmleak slabs --cache shows which); take the dump with kernel pages included",
                report.cache
            ),
            report.counts.unknown.max(1),
        );
    }
    let complete = whole && report.counts.unknown == 0 && heap.is_complete();
    let document = session.document(&args.common, complete, report);
    write(args, &session, &document)?;
    Ok(exit(document.complete))
}

/// The one cache that is called so, by its own name or another's merged into it.
fn find(heap: &SlabHeap<'_>, asked: &str) -> Result<usize> {
    if let Some(index) = heap.find(asked) {
        return Ok(index);
    }
    let aliases = heap.aliases()?;
    let names_of = |index: usize| {
        let own = heap.caches().get(index).map(|cache| cache.name.as_str());
        let others = aliases.of_caches.get(index);
        own.into_iter()
            .chain(others.into_iter().flatten().map(String::as_str))
    };
    let count = heap.caches().len();
    let found: Vec<usize> = (0..count)
        .filter(|index| names_of(*index).any(|name| names::matches(asked, name)))
        .collect();
    match found.as_slice() {
        [index] => Ok(*index),
        [] => {
            let message = names::no_such_cache(asked, (0..count).flat_map(names_of));
            Err(nothing_so(&heap.kernel().diag, message))
        }
        several => {
            let caches = several.iter().filter_map(|index| heap.caches().get(*index));
            let names: Vec<&str> = caches.map(|cache| cache.name.as_str()).collect();
            Err(wrong(format!(
                "{asked:?} is the name of {} caches: {}; name one of them",
                names.len(),
                names.join(", ")
            )))
        }
    }
}

/// What `--unreachable` and `--cluster` leave of a cache's objects.
#[derive(PartialEq)]
enum Chosen {
    /// All: neither is asked for.
    All,
    /// These.
    These(FxHashSet<VirtAddr>),
    /// The search can't tell.
    Unknown,
}

/// Counts the objects of a cache, and keeps those that are wanted; whether all were seen, and how
/// many are wanted.
fn list(
    heap: &SlabHeap<'_>,
    index: usize,
    args: &ObjectsArgs,
    chosen: &Chosen,
    report: &mut ObjectsReport,
) -> (bool, u64) {
    let mut matching = 0;
    let limit = args.limit.unwrap_or(usize::MAX);
    let counts = &mut report.counts;
    let whole = slab_objects::each(heap, index, |object| {
        let (count, wanted) = match object.state {
            ObjectState::Allocated => (&mut counts.allocated, args.state != StateFilter::Free),
            ObjectState::Free => (&mut counts.free, args.state != StateFilter::Allocated),
            ObjectState::PendingFree => (&mut counts.pending_free, args.state == StateFilter::All),
            ObjectState::Unknown => (&mut counts.unknown, args.state == StateFilter::All),
        };
        *count += 1;
        let wanted = wanted
            && match chosen {
                Chosen::All => true,
                Chosen::These(set) => set.contains(&object.address),
                Chosen::Unknown => false,
            };
        matching += u64::from(wanted);
        if wanted && report.objects.len() < limit {
            report.objects.push(object);
        }
    });
    (whole, matching)
}

fn write(args: &ObjectsArgs, session: &Session, document: &Document<ObjectsReport>) -> Result<()> {
    let read = |address, len| {
        let bytes = session.kernel.space.read_bytes(address, len);
        bytes.map_err(|fault| fault.to_string())
    };
    if let Some(bundle) = session.kernel.dump().bundle().filter(|_| args.hexdump) {
        return session.explain(Err(KernelError::NotInBundle {
            what: "objects --hexdump",
            commands: bundle.commands.to_owned(),
            remedy: "ask the dump that it was made of",
        }));
    }
    let hexdump: Option<render::objects::ReadObject<'_>> = args.hexdump.then_some(&read);
    output(&args.common, args.format.reader(), |out, _| {
        match args.format {
            ObjectsFormat::Table => render::objects::write_text(out, document, hexdump),
            ObjectsFormat::Json => render::json(out, document),
            ObjectsFormat::Jsonl => json_lines(out, &document.dump, &document.body.objects),
            ObjectsFormat::Csv => render::objects::write_csv(out, document),
            ObjectsFormat::Addrs => render::objects::write_addrs(out, &document.body),
            // Turned away at the start.
            ObjectsFormat::Proc => Ok(()),
            ObjectsFormat::Crash => render::objects::write_crash(out, &document.body),
        }
    })
}

/// A usage error where `--format` and `--traces` do not go together.
fn check(args: &ObjectsArgs) -> Result<()> {
    let of_traces = [
        ObjectsFormat::Table,
        ObjectsFormat::Json,
        ObjectsFormat::Jsonl,
        ObjectsFormat::Proc,
    ];
    let problem = match args.traces {
        Some(_) if !of_traces.contains(&args.format) => {
            "with --traces the formats are table, json, jsonl and proc"
        }
        None if args.format == ObjectsFormat::Proc => "--format proc goes with --traces",
        _ => return Ok(()),
    };
    Err(wrong(problem))
}

/// The objects that `--unreachable` and `--cluster` leave.
fn chosen(session: &Session, args: &ObjectsArgs, cache: VirtAddr) -> Result<Chosen> {
    if !args.unreachable && args.cluster.is_none() {
        return Ok(Chosen::All);
    }
    let options = graph::Options {
        memory: args.common.max_memory,
        deadline: None,
        list: Some(cache),
        suspects: None,
        own_pages: false,
        progress: &*session.progress,
    };
    let suspects = first_search(session, &options)?;
    let options = graph::Options {
        suspects: suspects.as_ref(),
        ..options
    };
    let (_, found, ()) = session.explain(graph::collect(&session.kernel, &options, |_| ()))?;
    let trust = Trust::of(&found.coverage);
    warn_of_doubt(session, &trust);
    if !trust.reliable {
        return Ok(Chosen::Unknown);
    }
    let mut caches = found.caches.into_iter();
    let Some(of) = caches.find(|of| of.address == cache) else {
        return Ok(Chosen::Unknown);
    };
    let clusters = of.content.clusters.len();
    let members = match args.cluster {
        None => of.lost,
        Some(number) => match number
            .checked_sub(1)
            .and_then(|at| of.content.clusters.into_iter().nth(at))
        {
            Some(cluster) => {
                if of.content.looked_at < of.unreachable {
                    session.kernel.diag.note(
                        "cluster-sampled",
                        format!("only {} of the {} unreachable objects were looked at: the cluster has more", of.content.looked_at, of.unreachable),
                    );
                }
                cluster.members
            }
            None => {
                let message = format!(
                    "the cache has {clusters} clusters of unreachable objects: vmleak leaks shows them"
                );
                return Err(nothing_so(&session.kernel.diag, message));
            }
        },
    };
    Ok(Chosen::These(members.into_iter().collect()))
}

/// A search that can't be believed is a loss that stands among the warnings, too.
pub(super) fn warn_of_doubt(session: &Session, trust: &Trust) {
    for why in &trust.reasons {
        session.kernel.diag.warn(
            "unreachable-unknown",
            format!("no object can be called unreachable: {}", why.message),
        );
    }
}

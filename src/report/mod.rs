//! The one serialisable document of a run: identity, coverage, assumptions, facts,
//! findings, warnings. Field names are a contract (see docs/json.md).

pub mod allocinfo;
pub mod bpf;
pub mod conntrack;
pub mod dentries;
pub mod diff;
pub mod figures;
pub mod files;
pub mod kmemleak;
pub mod leaks;
pub mod log;
pub mod memcg;
pub mod meminfo;
pub mod modules;
pub mod net;
pub mod pageowner;
pub mod pages;
pub mod ps;
pub mod redact;
pub mod retained;
pub mod rules;
pub mod sockets;
pub mod sysctl;
pub mod traces;
pub mod vmalloc;
pub mod whatis;
pub mod whole;
pub mod zones;

use serde::Serialize;

use crate::analysis::accounting::{SlabTotals, Verdict, judge};
use crate::analysis::families::{self, Family};
use crate::diag::{Assumption, Warning};
use crate::dump::DumpFacts;
use crate::kernel::layout::LayoutInfo;
use crate::kernel::modules::Modules;
use crate::kernel::shapes::{self, Era, Shape};
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::slab::era::SlabEra;
use crate::subsys::mm::slab::objects::Object;
use crate::subsys::mm::slab::{CacheFacts, SlabFacts};
use crate::subsys::system::{Cannot, PanicTask, SystemFacts, cannot};

/// Version of the document's form; grows only when a named field changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// Which program made the document.
#[derive(Clone, Debug, Serialize)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl Tool {
    const THIS: Self = Self {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    };
}

/// Which dump it is about.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)] // named by the contract
#[non_exhaustive]
pub struct DumpIdentity {
    /// The same for each copy and form of one dump.
    pub id: String,
    pub path: String,
    pub format: String,
    pub source: &'static str,
    pub host: Option<String>,
    pub release: Option<String>,
    pub build_id: Option<String>,
    pub arch: &'static str,
    /// How it is known where the kernel is in it.
    pub boot_facts_from: &'static str,
    /// RFC 3339, UTC.
    pub crash_time: Option<String>,
    pub uptime_seconds: Option<f64>,
    pub panic: Option<String>,
    pub panic_task: Option<PanicTask>,
    pub tasks: Option<u64>,
    /// Over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    pub nr_cpus: Option<usize>,
    pub memory_bytes: Option<u64>,
    pub dump_level: Option<u32>,
    pub types_from: &'static str,
    pub symbols_from: &'static str,
}

impl DumpIdentity {
    /// Of what is no dump but has a result: the file, and the kernel if it is known.
    pub fn of_no_dump(path: &str, release: Option<String>) -> Self {
        Self {
            id: String::new(),
            path: path.to_owned(),
            format: String::new(),
            source: "saved",
            boot_facts_from: "",
            host: None,
            release,
            build_id: None,
            arch: "",
            crash_time: None,
            uptime_seconds: None,
            panic: None,
            panic_task: None,
            tasks: None,
            load: None,
            nr_cpus: None,
            memory_bytes: None,
            dump_level: None,
            types_from: "",
            symbols_from: "",
        }
    }

    /// Whether it is the kernel that runs.
    pub fn is_live(&self) -> bool {
        self.source == "live"
    }
}

/// The document around a command's own part.
#[derive(Clone, Debug, Serialize)]
pub struct Document<T> {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Which program.
    pub tool: Tool,
    /// Which dump.
    pub dump: DumpIdentity,
    /// Whether nothing that the command needed was missing, broken or cut short.
    pub complete: bool,
    /// What to know besides the result.
    pub warnings: Vec<Warning>,
    /// What was chosen, because the dump does not state it.
    pub assumptions: Vec<Assumption>,
    /// The command's own part.
    #[serde(flatten)]
    pub body: T,
}

/// Identity facts gathered once per run.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// Of the machine.
    pub system: SystemFacts,
    /// Of the file.
    pub dump: DumpFacts,
}

impl DumpIdentity {
    /// Of the kernel and its dump.
    pub fn new(kernel: &Kernel, run: &RunFacts) -> Self {
        let system = &run.system;
        Self {
            id: system.id.clone(),
            path: kernel.dump().path().display().to_string(),
            format: run.dump.format.clone(),
            source: run.dump.source,
            boot_facts_from: kernel.space.boot().from(),
            host: system.host.clone(),
            release: system.release.clone(),
            build_id: system.build_id.clone(),
            arch: kernel.space.boot().arch.name(),
            crash_time: system.crash_time_text(),
            uptime_seconds: system.uptime_seconds,
            panic: system.panic.clone(),
            panic_task: system.panic_task.clone(),
            tasks: system.tasks,
            load: system.load,
            nr_cpus: system.nr_cpus,
            memory_bytes: system.memory_bytes,
            dump_level: run.dump.dump_level,
            types_from: kernel.types.origin(),
            symbols_from: kernel.symbols_from().name(),
        }
    }
}

impl<T> Document<T> {
    /// Puts the frame around what is of no one dump.
    pub fn of_no_dump(dump: DumpIdentity, complete: bool, body: T) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            tool: Tool::THIS,
            dump,
            complete,
            warnings: Vec::new(),
            assumptions: Vec::new(),
            body,
        }
    }

    /// Puts the frame around `body`. `complete` is what the command itself can say.
    pub fn new(kernel: &Kernel, run: &RunFacts, complete: bool, body: T) -> Self {
        say_if_bundled(kernel);
        Self {
            schema_version: SCHEMA_VERSION,
            tool: Tool::THIS,
            dump: DumpIdentity::new(kernel, run),
            complete: complete
                && !run.dump.incomplete
                && !run.dump.contradictory
                && !kernel.diag.has_loss(),
            warnings: kernel.diag.warnings(),
            assumptions: kernel.diag.assumptions(),
            body,
        }
    }
}

/// What a bundle lacks, its maker left out: the remedy is another one.
fn say_if_bundled(kernel: &Kernel) {
    let Some(bundle) = kernel.dump().bundle() else {
        return;
    };
    let version = env!("CARGO_PKG_VERSION");
    if bundle.version != version {
        kernel.diag.warn(
            "bundle-version",
            format!("this bundle was made by vmleak {}, and version {version} may read words that it does not hold, which are zeros in it: read it with that version, or make it again", bundle.version),
        );
    }
    if kernel.diag.has_loss() {
        kernel.diag.warn(
            "bundle",
            format!("this is a bundle with what {} read: what else is missing here is in the dump that it was made of; make another one of that with --for and the names of commands", bundle.commands),
        );
    }
}

/// A cache with its verdict.
#[derive(Clone, Debug, Serialize)]
pub struct CacheReport {
    /// What it held.
    #[serde(flatten)]
    pub facts: CacheFacts,
    /// What that means.
    pub verdict: Verdict,
}

/// The part of `slabs`.
#[derive(Clone, Debug, Serialize)]
pub struct SlabsReport {
    /// Over all caches.
    pub totals: SlabTotals,
    /// Each cache.
    pub caches: Vec<CacheReport>,
    /// The kmalloc caches summed up by size.
    pub families: Vec<Family>,
}

impl SlabsReport {
    /// Judges all caches, in the order of /proc/slabinfo.
    pub fn new(facts: SlabFacts, memory_bytes: Option<u64>) -> Self {
        Self::of(facts.caches, memory_bytes)
    }

    /// Judges these caches.
    pub fn of(caches: Vec<CacheFacts>, memory_bytes: Option<u64>) -> Self {
        let totals = SlabTotals::of(&caches, memory_bytes);
        let families = families::of(&caches);
        let caches = caches
            .into_iter()
            .map(|facts| CacheReport {
                verdict: judge(&facts, &totals).by_size_alone(),
                facts,
            })
            .collect();
        Self {
            totals,
            caches,
            families,
        }
    }

    /// Keeps the caches that `wanted` names, by their own name or another's merged into them, and
    /// their families.
    pub fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        let is = |facts: &CacheFacts| {
            wanted(&facts.name) || facts.aliases.iter().any(|alias| wanted(alias))
        };
        self.caches.retain(|cache| is(&cache.facts));
        let kept: Vec<&str> = self.caches.iter().map(|c| c.facts.name.as_str()).collect();
        let related = |family: &Family| family.caches.iter().any(|c| kept.contains(&c.as_str()));
        self.families.retain(related);
    }

    /// Puts the largest cache first.
    pub fn sort_by_size(&mut self) {
        self.caches.sort_by(|a, b| {
            let key =
                |c: &CacheReport| (std::cmp::Reverse(c.facts.exact.bytes), c.facts.name.clone());
            key(a).cmp(&key(b))
        });
    }

    /// Sorts by name.
    pub fn sort_by_name(&mut self) {
        self.caches.sort_by(|a, b| a.facts.name.cmp(&b.facts.name));
    }
}

/// The part of `objects`.
#[derive(Clone, Debug, Serialize)]
pub struct ObjectsReport {
    /// The cache's name.
    pub cache: String,
    /// Bytes that its user asked for.
    pub object_size: u32,
    /// How many objects there are by state, before any filter.
    pub counts: ObjectCounts,
    /// How many are asked for: more than `objects` has, if `--limit` is less.
    pub matching: Option<u64>,
    /// What is asked for besides a state: `unreachable` or `cluster`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<&'static str>,
    /// The objects asked for.
    pub objects: Vec<Object>,
}

/// Objects of one cache by state.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs)] // named by their states
pub struct ObjectCounts {
    pub allocated: u64,
    pub free: u64,
    pub pending_free: u64,
    pub unknown: u64,
}

/// The part of `info`.
#[derive(Clone, Debug, Serialize)]
pub struct InfoReport {
    /// What the file holds and lacks.
    pub coverage: DumpFacts,
    /// How addresses are translated.
    pub translation: String,
    /// Name of the slab allocator's era.
    pub slab_allocator: &'static str,
    /// Which releases have all of `shapes` upstream.
    pub era: Era,
    /// What the parts of this kernel look like.
    pub shapes: Vec<Shape>,
    /// What it was built or booted without.
    pub cannot: Vec<Cannot>,
    /// Structures and where their members lie, with `--layouts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layouts: Option<Vec<LayoutInfo>>,
}

impl InfoReport {
    /// Gathers what the kernel tells of itself; `modules` where they can be read.
    ///
    /// # Errors
    /// If the kernel's types are damaged.
    pub fn new(kernel: &Kernel, modules: Option<&Modules>) -> Result<Self, KernelError> {
        let slab_allocator = SlabEra::detect(kernel)?.name();
        let shapes = shapes::of(&kernel.types, |name| kernel.symbol(name).is_some())?;
        Ok(Self {
            coverage: kernel.dump().facts().clone(),
            translation: kernel.space.mmu_name().to_owned(),
            slab_allocator,
            era: Era::of(&shapes),
            shapes,
            cannot: cannot(kernel, modules),
            layouts: None,
        })
    }
}

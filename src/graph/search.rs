//! One search from its beginning to its end: what must be known, the passes, what they leave.

use std::sync::atomic::Ordering;

use super::areas::Areas;
use super::cached_skbs::CachedSkbs;
use super::charged::Charges;
use super::closure::Edges;
use super::omit::{OmittedRanges, SeenObjects};
use super::pages::{Gathered, PageWatch};
use super::percpu::PercpuWatch;
use super::scan::{Edge, Found, Scan};
use super::structures::PageStructures;
use super::targets::Targets;
use super::watch::Watch;
use super::{Coverage, Options};
use crate::addr::Pfn;
use crate::kernel::memmap::Memmap;
use crate::kernel::modules::Modules;
use crate::kernel::page_kinds::{PageKind, PageKinds};
use crate::kernel::symbolize::Symbolizer;
use crate::kernel::tasks::{self, Stacks};
use crate::kernel::variables::Variables;
use crate::kernel::zones::{self, CpuList};
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::meminfo;
use crate::subsys::mm::slab::{Prepared, Progress, SlabFacts, SlabHeap};
use crate::subsys::mm::vmalloc::{self, VmallocFacts};

/// Each is in a batch, and then in one list of all.
const REFERENCE: u64 = 2 * size_of::<Edge>() as u64;

/// All that must be known before memory is searched.
pub(super) struct Search<'k> {
    pub(super) kernel: &'k Kernel,
    pub(super) memmap: Memmap,
    pub(super) kinds: PageKinds,
    pub(super) heap: SlabHeap<'k>,
    pub(super) prepared: Prepared<'k>,
    pub(super) stacks: Stacks,
    pub(super) targets: Targets,
    pub(super) areas: Areas,
    pub(super) seen: SeenObjects,
    pub(super) omitted: OmittedRanges,
    pub(super) structures: Vec<u64>,
    /// Whether the kernel marks blocks of large kmalloc.
    pub(super) marks_blocks: bool,
    /// Per-CPU allocations, where they are wanted.
    pub(super) percpu: Option<PercpuWatch>,
    /// Places that had to be known and can't be told, beside those of areas and of what is left out.
    pub(super) gaps: u64,
}

/// What a search through memory leaves behind.
pub(super) struct Done {
    pub(super) slabs: SlabFacts,
    pub(super) found: Found,
    pub(super) edges: Edges,
}

/// What can be read without the memmap.
pub(super) struct Beside {
    /// Without them those of their pages count as the kernel's own.
    areas: Result<VmallocFacts, KernelError>,
    stacks: Stacks,
    skbs: CachedSkbs,
    cpu_lists: Vec<CpuList>,
    /// Where the kernel's own pages are wanted.
    percpu: Option<PercpuWatch>,
}

impl Beside {
    fn read(kernel: &Kernel, own_pages: bool) -> Result<(Modules, Self), KernelError> {
        let modules = Modules::read(kernel)?;
        meminfo::look_at_percpu_chunks(kernel)?;
        let areas = vmalloc::collect(kernel, &Symbolizer::new(kernel, &modules));
        // Types without chunks cost what is looked for in them: that was said just now.
        let percpu = match own_pages.then(|| PercpuWatch::read(kernel)) {
            None | Some(Err(KernelError::Layout(_))) => None,
            Some(watch) => watch?,
        };
        let beside = Self {
            percpu,
            areas,
            stacks: tasks::stacks(kernel)?,
            skbs: CachedSkbs::read(kernel),
            cpu_lists: zones::cpu_lists(kernel)?,
        };
        Ok((modules, beside))
    }
}

/// What the memmap tells.
pub(super) struct Pages<'k> {
    kernel: &'k Kernel,
    memmap: Memmap,
    kinds: PageKinds,
    structures: PageStructures,
    heap: SlabHeap<'k>,
    /// The kernel's own pages, where they are wanted.
    pub(super) gathered: Option<Gathered>,
}

impl<'k> Pages<'k> {
    fn read(
        kernel: &'k Kernel,
        progress: &dyn Progress,
        own_pages: bool,
    ) -> Result<Self, KernelError> {
        let memmap = Memmap::find(kernel)?;
        let kinds = PageKinds::new(kernel, &memmap)?;
        let structures = PageStructures::new(kernel, &kinds)?;
        let gathered = own_pages.then(|| Gathered::new(kernel, &memmap));
        let gathered = gathered.transpose()?;
        let heap = SlabHeap::read_with(kernel, &memmap, progress, |chunk| {
            structures.read(chunk, &kinds, |record, pfn, order, kind| {
                if let Some(gathered) = &gathered {
                    gathered.take(record, pfn, order, kind);
                }
            });
        })?;
        Ok(Self {
            gathered,
            kernel,
            memmap,
            kinds,
            structures,
            heap,
        })
    }

    /// With what can be read at the same time; `own_pages` is whether the kernel's own pages are
    /// wanted one by one.
    pub(super) fn and_beside(
        kernel: &'k Kernel,
        progress: &dyn Progress,
        own_pages: bool,
    ) -> Result<(Self, Modules, Beside), KernelError> {
        let bundle = kernel.dump().bundle();
        if let Some(bundle) = bundle.filter(|bundle| !bundle.is_for("leaks")) {
            return Err(KernelError::NotInBundle {
                what: "the search of all memory",
                commands: bundle.commands.to_owned(),
                remedy: "ask the dump that it was made of, or make another one of that with --for leaks",
            });
        }
        let beside = || Beside::read(kernel, own_pages);
        let (beside, pages) = rayon::join(beside, || Self::read(kernel, progress, own_pages));
        let (modules, beside) = beside?;
        Ok((pages?, modules, beside))
    }
}

impl<'k> Search<'k> {
    /// With the names of variables.
    pub(super) fn prepare(
        pages: Pages<'k>,
        modules: &'k Modules,
        beside: Beside,
    ) -> Result<(Variables<'k>, Self), KernelError> {
        let kernel = pages.kernel;
        let names = || Variables::new(kernel, modules);
        let (names, search) = rayon::join(names, || Self::of(pages, beside));
        Ok((names, search?))
    }

    fn of(pages: Pages<'k>, beside: Beside) -> Result<Self, KernelError> {
        let Beside {
            areas,
            stacks,
            skbs,
            cpu_lists,
            percpu,
        } = beside;
        let Pages {
            kernel,
            memmap,
            kinds,
            structures,
            heap,
            gathered: _,
        } = pages;
        kinds.finish(kernel, &memmap, &cpu_lists);
        for pages in memmap.offline() {
            pages.for_each(|pfn| kinds.set(Pfn(pfn), 0, PageKind::Unknown));
        }
        kinds.tell_code(kernel);
        mark_slabs(&kinds, &heap);
        mark_stacks(kernel, &kinds, &stacks);
        let blocks = kinds.large_kmalloc();
        let targets = || {
            let blocks = blocks.as_deref().unwrap_or_default();
            let targets = Targets::of(kernel, &heap, kinds.index(), blocks)?;
            let areas = Areas::of(kernel, areas, &targets, &kinds);
            Ok::<_, KernelError>((targets, areas))
        };
        let (prepared, targets) = rayon::join(|| heap.prepare(), targets);
        let (targets, areas) = targets?;
        let seen = SeenObjects::of(kernel, &heap, &targets, &skbs);
        Ok(Self {
            omitted: OmittedRanges::of(kernel, &heap, &seen, &skbs),
            structures: structures.take(&heap, &targets),
            kernel,
            memmap,
            kinds,
            heap,
            prepared,
            stacks,
            targets,
            areas,
            seen,
            marks_blocks: blocks.is_some(),
            percpu,
            gaps: skbs.gaps,
        })
    }

    /// How much was seen, and what was missing.
    pub(super) fn coverage(&self, done: &Done, symbols: &Variables<'_>) -> Coverage {
        let (found, totals) = (&done.found, done.found.totals());
        let (free, pointed_to) = found.free.count_with(&found.marked);
        Coverage {
            live: self.kernel.dump().is_live(),
            page_bytes: self.kernel.dump().page_size() as u64,
            root_pages: totals.root_pages,
            root_pages_missing: totals.root_missing,
            page_structures: self.memmap.pages() + self.memmap.lost_pages(),
            page_structures_missing: done.slabs.missing_page_structs,
            slab_pages: totals.slab_pages,
            slab_pages_missing: totals.slab_missing,
            doubtful_slabs: totals.doubtful,
            stray_slabs: done.slabs.stray_slabs,
            broken_lists: self.heap.broken_lists(),
            places_missing: self.gaps + self.areas.gaps + self.omitted.gaps + symbols.gaps(),
            words: totals.words,
            pointers: totals.pointers,
            free_objects: free,
            free_objects_pointed_to: pointed_to,
            all_tasks: self.stacks.complete,
            all_areas: self.areas.complete,
            all_caches: done.slabs.complete,
            out_of_time: found.stopped.load(Ordering::Relaxed),
            references_dropped: found.dropped.load(Ordering::Relaxed),
            // Of a kernel that runs, what changed under the search is told by searching twice.
            losses: match self.kernel.dump().is_live() {
                true => Vec::new(),
                false => self.kernel.diag.losses(),
            },
        }
    }

    pub(super) fn charges(&self) -> Result<Charges<'_>, KernelError> {
        Charges::new(self.kernel, &self.memmap, &self.heap, &self.targets)
    }

    pub(super) fn run(
        &self,
        options: &Options<'_>,
        symbols: &Variables<'_>,
        watch: Option<Watch>,
        pages: Option<PageWatch>,
    ) -> Result<Done, KernelError> {
        let mut scan = Scan::new(
            self.kernel,
            &self.targets,
            &self.areas,
            &self.seen,
            &self.heap,
            symbols,
            options.deadline,
        );
        scan.found.watch = watch;
        scan.found.pages = pages;
        scan.watch_percpu(self.percpu.as_ref());
        if let Some(memory) = options.memory {
            *scan.room.get_mut() = memory / REFERENCE;
        }
        scan.page_structures(&self.structures);
        scan.roots(&self.kinds, &self.omitted, options.progress);
        scan.stacks(&self.stacks);
        scan.follow_areas();
        let slabs = self
            .heap
            .facts_with(&self.prepared, options.progress, &scan)?;
        let (found, edges) = scan.into_edges();
        let edges = Edges::new(edges);
        let progress = options.progress;
        progress.start("following references", edges.len() as u64);
        edges.propagate(&found.marked);
        Ok(Done {
            slabs,
            found,
            edges,
        })
    }
}

fn mark_slabs(kinds: &PageKinds, heap: &SlabHeap<'_>) {
    for slab in heap.slabs() {
        // KFENCE's pages belong to slabs only in name.
        let kind = match heap.geometry(slab) {
            Some(_) => PageKind::Slab,
            None => PageKind::Kernel,
        };
        kinds.set(slab.pfn, u32::from(slab.order), kind);
    }
}

fn mark_stacks(kernel: &Kernel, kinds: &PageKinds, stacks: &Stacks) {
    let shift = kernel.dump().page_shift();
    for stack in &stacks.stacks {
        let mut at = stack.start;
        while at < stack.end {
            if let Ok(mapping) = kernel.space.translate(at) {
                let pfn = Pfn::containing(mapping.phys, shift);
                kinds.set(pfn, 0, PageKind::Stack);
            }
            at = at.plus(1 << shift);
        }
    }
}

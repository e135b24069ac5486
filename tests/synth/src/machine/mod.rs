//! A whole machine at the moment of its crash.
//!
//! Input: an era, the paging mode and a [`Scenario`]. Output: physical memory with page tables and
//! kernel structures, and the [`Truth`] about it. [`crate::write`] makes a file of it.

pub mod arm64;
mod clock;
pub mod cpus;
pub mod depot;
pub mod identity;
pub mod image;
mod kernel;
pub mod memmap;
mod module_btf;
mod module_sysfs;
pub mod modules;
pub mod paging;
pub mod printk;
pub mod ram;
pub mod space;
mod statistics;
pub mod tasks;
pub mod vmap;
mod vmcoreinfo;
pub mod zones;

pub use kernel::Kernel;

use crate::conntrack::{self, ConntrackTruth, LaidConntrack};
use crate::ctypes::{Change, TypeTable};
use crate::debuginfo::btf;
use crate::era::{Era, PagingLevels};
use crate::leaks::{self, LeaksTruth};
use crate::memory::{Memory, PAGE_SHIFT};
use crate::random::Random;
use crate::slub::lay::LaidSlub;
use crate::slub::scenario::{Freelist, Scenario};
use crate::slub::truth::{self, Truth};
use image::{Image, TEXT_SIZE};
use paging::{Leaf, PageTables};
use ram::{Frames, Ram};
use space::{IMAGE_SIZE, Space};

/// What a machine can be built with, apart from its scenario.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Which kernel.
    pub era: Era,
    /// Page-table levels.
    pub paging: PagingLevels,
    /// AMD memory encryption: bit 47 is set in every page-table entry.
    pub encrypted: bool,
    /// Seed of everything that is random.
    pub seed: u64,
    /// Conntrack, where the scenario has it, is a module and not built in.
    pub conntrack_module: bool,
    /// A stack depot, and of which shape: not with an era whose tracks hold no handles.
    pub depot: Option<depot::Depot>,
    /// Bytes of a `struct page`, which depend on the configuration: 64 with memory cgroups.
    pub struct_page: u64,
    /// What its structures have of other releases.
    pub changes: &'static [Change],
}

impl Options {
    /// Without encryption, with the seed that all tests share.
    pub fn new(era: Era, paging: PagingLevels) -> Self {
        Self {
            era,
            paging,
            encrypted: false,
            seed: 0x5eed,
            conntrack_module: false,
            depot: None,
            struct_page: 64,
            changes: &[],
        }
    }

    /// `sme_me_mask`.
    pub fn sme_mask(&self) -> u64 {
        if self.encrypted { 1 << 47 } else { 0 }
    }
}

/// Frames for slabs, by node.
#[derive(Debug)]
pub struct SlabFrames {
    node0: Frames,
    node1: Vec<Frames>,
    turn: usize,
    random: Random,
}

impl SlabFrames {
    fn new(random: Random, ram: &Ram) -> Self {
        let node1 = match ram.extra() {
            Some(extra) => vec![Frames::new(extra)],
            None => vec![
                Frames::new(0x10_0400..0x10_8000),
                Frames::new(0x14_0800..0x14_1800),
            ],
        };
        Self {
            node0: Frames::new(0xb000..0xfff0),
            node1,
            turn: 0,
            random,
        }
    }

    /// `1 << order` frames of a node; node 1 takes turns between its sections.
    pub fn take(&mut self, node: u32, order: u32) -> u64 {
        // Extra memory is there to be filled.
        let packed = node == 1 && self.node1.len() == 1;
        let gap = if packed { 0 } else { self.random.below(3) };
        let frames = if node == 0 {
            &mut self.node0
        } else {
            self.turn = (self.turn + 1) % self.node1.len();
            &mut self.node1[self.turn]
        };
        frames.skip(gap);
        frames.take(order)
    }
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// How it was built.
    pub options: Options,
    /// Types, memory, addresses and symbols.
    pub kernel: Kernel,
    /// Where the allocator's structures lie.
    pub slub: LaidSlub,
    /// Where the connection table lies, if there is one.
    pub conntrack: Option<LaidConntrack>,
    /// The stack depot, if there is one.
    pub depot: Option<depot::LaidDepot>,
    /// The VMCOREINFO note's text.
    pub vmcoreinfo: String,
    truth: Truth,
    conntrack_truth: Option<ConntrackTruth>,
    leaks_truth: Option<LeaksTruth>,
}

impl Machine {
    /// Builds a machine with default options.
    pub fn build(era: Era, paging: PagingLevels, scenario: &Scenario) -> Self {
        Self::with(Options::new(era, paging), scenario)
    }

    /// Builds a machine.
    pub fn with(options: Options, scenario: &Scenario) -> Self {
        let mut scenario = scenario.clone();
        if options.era == Era::V6_12Tiny || options.era.is_3_10() {
            // CONFIG_SLUB_TINY and hardening exclude each other; hardening came with 4.14.
            scenario.freelist = Freelist::Plain;
        }
        let scenario = &scenario;
        let (all, vmlinux) = types(options, scenario);
        let scenario = &conntrack::with_caches(scenario, options.era, &all);
        let mut kernel = boot(options, scenario, (all, vmlinux));
        lay_image(&mut kernel);
        lay_direct_map(&mut kernel);
        memmap::lay(
            &mut kernel,
            options.paging,
            &mut Frames::new(0x2000..0x3000),
        );
        let mut percpu = cpus::lay(&mut kernel);
        zones::lay(&mut kernel, &mut percpu);
        tasks::lay(&mut kernel);
        vmap::lay(&mut kernel);
        identity::lay(&mut kernel);
        kernel.set_variable("sme_me_mask", options.sme_mask());
        printk::lay(&mut kernel);
        clock::lay(&mut kernel);
        modules::lay(&mut kernel);
        let random = Random::new(kernel.random.word());
        let mut frames = SlabFrames::new(random, &kernel.ram);
        let slub = crate::slub::lay::lay(&mut kernel, &mut percpu, &mut frames, scenario);
        let (laid, conntrack_truth) = scenario
            .conntrack
            .as_ref()
            .map(|table| conntrack::lay::lay(&mut kernel, &mut percpu, &slub, table))
            .unzip();
        let mut truth = truth::of(options.era, &slub);
        let depot = options.depot.map(|shape| depot::lay(&mut kernel, shape));
        let leaks_truth = scenario
            .leaks
            .then(|| leaks::lay(&mut kernel, &mut percpu, &slub, &truth, depot.as_ref()));
        zones::free_the_rest(&mut kernel);
        statistics::lay(&mut kernel, scenario, &mut truth);
        truth.messages = printk::MESSAGES.iter().map(|text| (*text).into()).collect();
        give_back_init(&mut kernel);
        let vmcoreinfo = vmcoreinfo::text(&kernel, options.paging, options.sme_mask());
        Self {
            options,
            kernel,
            slub,
            conntrack: laid,
            depot,
            vmcoreinfo,
            truth,
            conntrack_truth,
            leaks_truth,
        }
    }

    /// What a reader of the dump should find.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// What a reader of the connection table should find.
    pub fn conntrack_truth(&self) -> &ConntrackTruth {
        let truth = self.conntrack_truth.as_ref();
        truth.expect("a scenario with conntrack")
    }

    /// What a search for unreachable objects should find.
    pub fn leaks_truth(&self) -> &LeaksTruth {
        let truth = self.leaks_truth.as_ref();
        truth.expect("a scenario of unreachable objects")
    }

    /// Physical memory.
    pub fn memory(&self) -> &Memory {
        &self.kernel.memory
    }

    /// Page frames that are RAM, in order.
    pub fn ram(&self) -> &[std::ops::Range<u64>] {
        &self.kernel.ram.ranges
    }

    /// One more than the last page frame.
    pub fn max_pfn(&self) -> u64 {
        self.kernel.ram.end()
    }

    /// The build-id that the dump and vmlinux share.
    pub fn build_id(&self) -> [u8; 20] {
        identity::build_id(&self.kernel)
    }

    /// A cache that was laid.
    pub fn cache(&self, name: &str) -> &crate::slub::lay::LaidCache {
        let mut caches = self.slub.caches.iter();
        caches.find(|laid| laid.cache.name == name).expect("cache")
    }
}

/// Variables that only x86-64 has.
const NOT_OF_ARM64: [&str; 3] = ["page_offset_base", "vmalloc_base", "vmemmap_base"];

/// All types, and those of vmlinux.
fn types(options: Options, scenario: &Scenario) -> (TypeTable, TypeTable) {
    let (mut all, mut vmlinux) = match (&scenario.conntrack, options.conntrack_module) {
        (None, _) if scenario.leaks => {
            let types = options.era.types_for_leaks();
            (types.clone(), types)
        }
        (None, _) => (options.era.types(), options.era.types()),
        (Some(_), true) => options.era.types_with_conntrack(),
        (Some(_), false) => {
            let (all, _) = options.era.types_with_conntrack();
            (all.clone(), all)
        }
    };
    for table in [&mut all, &mut vmlinux] {
        table.resize_page(options.struct_page);
        for change in options.changes {
            table.change(*change);
        }
        if options.paging.arm64().is_some() {
            let gone = |name: &str| NOT_OF_ARM64.contains(&name);
            table.variables.retain(|(name, _)| !gone(name));
        }
        if let Some(depot) = options.depot {
            depot.add_types(table);
        }
    }
    if scenario.freelist == Freelist::Plain && all.has("kmem_cache", "random") {
        all.drop_member("kmem_cache", "random");
        vmlinux.drop_member("kmem_cache", "random");
    }
    (all, vmlinux)
}

/// Bases and empty page tables.
fn boot(options: Options, scenario: &Scenario, types: (TypeTable, TypeTable)) -> Kernel {
    // From 4.18 on, so that an older era before them changes none of their machines.
    let number = (options.era as u64).wrapping_sub(Era::V4_18 as u64);
    let mut random = Random::new(options.seed ^ number << 32);
    let (types, vmlinux_types) = types;
    let many = scenario
        .conntrack
        .as_ref()
        .is_some_and(conntrack::Conntrack::is_many);
    let extra = if many { conntrack::pages(scenario) } else { 0 };
    let btf_size = btf::encode(&vmlinux_types).len() as u64;
    let image = Image::new(
        &vmlinux_types,
        btf_size,
        options.era.relocates_percpu() || options.paging.arm64().is_some(),
        options.paging,
    );
    let space = Space::new(
        options.era,
        options.paging,
        types.sizeof("page"),
        &mut random,
    );
    let root = space.phys(space.relocated(image.address("swapper_pg_dir")));
    let frames = Frames::new(0x1000..0x1400);
    Kernel {
        era: options.era,
        paging: options.paging,
        types,
        vmlinux_types,
        modules: Vec::new(),
        ram: Ram::with_extra(extra),
        memory: Memory::new(options.paging.page_shift()),
        space,
        image,
        tables: PageTables::new(root, options.paging, options.sme_mask(), frames),
        random,
        boot: Frames::new(0x3000..0x5000),
        stack_pointers: Vec::new(),
        kfence_pool: 0x1800,
        bump: (0, 0),
    }
}

/// The image: text that is not zero, data that will be written to.
fn lay_image(kernel: &mut Kernel) {
    let (phys, shift) = (kernel.space.image_phys, kernel.page_shift());
    kernel.memory.touch(phys >> shift, IMAGE_SIZE >> shift);
    for page in 0..TEXT_SIZE >> shift {
        let text: Vec<u8> = (0..1u64 << (shift - 3))
            .flat_map(|_| kernel.random.word().to_le_bytes())
            .collect();
        kernel.memory.write(phys + (page << shift), &text);
    }
    let types = btf::encode(&kernel.vmlinux_types);
    kernel.write(kernel.symbol("__start_BTF"), &types);
    let virt = kernel.space.relocated(kernel.image.base);
    // Where parts of it are unmapped, they are pages of their own.
    let leaf = match kernel.paging.arm64() {
        Some(_) => Leaf::Page,
        None => Leaf::Pmd,
    };
    kernel
        .tables
        .map(&mut kernel.memory, virt, phys, IMAGE_SIZE, leaf);
}

/// `free_initmem()` of aarch64 unmaps the init part of the image, and others get its pages.
fn give_back_init(kernel: &mut Kernel) {
    if kernel.paging.arm64().is_none() {
        return;
    }
    let start = kernel.symbol("__init_begin");
    let end = kernel.symbol("__init_end");
    for virt in (start..end).step_by(kernel.page_size() as usize) {
        kernel.tables.hide(&mut kernel.memory, virt);
        let phys = kernel.space.phys(virt);
        kernel
            .memory
            .write(phys, &vec![0xa5; kernel.page_size() as usize]);
    }
}

/// 4 KiB pages for the first 2 MiB and the KFENCE pool, 2 MiB pages below 4 GiB,
/// 1 GiB pages above.
fn lay_direct_map(kernel: &mut Kernel) {
    // Larger pages have larger blocks; nobody walks to what is linear.
    if kernel.page_shift() != PAGE_SHIFT {
        return;
    }
    let (pool, extra) = (kernel.kfence_pool << PAGE_SHIFT, kernel.ram.extra());
    let mut map = |phys: u64, size, leaf| {
        let virt = kernel.space.direct(phys);
        kernel
            .tables
            .map(&mut kernel.memory, virt, phys, size, leaf);
    };
    for phys in (0..256 << 20).step_by(2 << 20) {
        let small = phys == 0 || phys == pool;
        map(phys, 2 << 20, if small { Leaf::Page } else { Leaf::Pmd });
    }
    map(4 << 30, 2 << 30, Leaf::Pud);
    if let Some(extra) = extra {
        let size = ((extra.end << PAGE_SHIFT) - (32 << 30)).next_multiple_of(1 << 30);
        map(32 << 30, size, Leaf::Pud);
    }
}

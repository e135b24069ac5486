//! CPUs, NUMA nodes and per-CPU areas.
//!
//! Four CPUs are possible and present, three online. The areas of CPUs 0 and 1
//! lie in the direct map, those of 2 and 3 in the vmalloc area.

use super::image::PER_CPU_SIZE;
use super::kernel::Kernel;
use super::paging::Leaf;
use super::ram::node_of;

/// CPUs that could exist.
pub const POSSIBLE_CPUS: u32 = 4;
/// CPUs that ran.
pub const ONLINE_CPUS: u32 = 3;
/// NUMA nodes.
pub const NODES: u32 = 2;
/// Bytes of one CPU's area.
const UNIT_SIZE: u64 = 96 << 10;

/// Hands out the dynamic part of the per-CPU areas.
#[derive(Debug, Clone)]
pub struct PerCpu {
    next: u64,
    end: u64,
    /// `__per_cpu_offset`.
    pub offsets: Vec<u64>,
}

impl PerCpu {
    /// A per-CPU pointer to `size` zeroed bytes on every possible CPU.
    pub fn alloc(&mut self, size: u64) -> u64 {
        let pointer = self.next.next_multiple_of(32);
        self.next = pointer + size;
        assert!(self.next <= self.end, "per-CPU area overflows");
        pointer
    }

    /// The address of a per-CPU pointer's target on one CPU.
    pub fn pointer(&self, pointer: u64, cpu: u32) -> u64 {
        self.offsets[cpu as usize].wrapping_add(pointer)
    }
}

/// Lays CPU masks, per-CPU areas and nodes.
pub fn lay(kernel: &mut Kernel) -> PerCpu {
    for (kind, count) in [
        ("possible", POSSIBLE_CPUS),
        ("present", POSSIBLE_CPUS),
        ("online", ONLINE_CPUS),
    ] {
        let mask = match kernel.era.is_3_10() {
            true => kernel.symbol(&format!("cpu_{kind}_bits")),
            false => kernel.symbol(&format!("__cpu_{kind}_mask")),
        };
        kernel.write_u64(mask, (1 << count) - 1);
    }
    kernel.set_variable("nr_cpu_ids", u64::from(POSSIBLE_CPUS));
    kernel.set_variable("nr_node_ids", u64::from(NODES));
    let start = match kernel.relocates_percpu() {
        true => kernel.symbol("__per_cpu_start"),
        false => 0,
    };
    let offsets: Vec<u64> = (0..POSSIBLE_CPUS)
        .map(|cpu| lay_area(kernel, cpu).wrapping_sub(start))
        .collect();
    let array = kernel.symbol("__per_cpu_offset");
    for (cpu, offset) in offsets.iter().enumerate() {
        kernel.write_u64(array + cpu as u64 * 8, *offset);
    }
    lay_nodes(kernel);
    PerCpu {
        next: start + PER_CPU_SIZE,
        end: start + UNIT_SIZE,
        offsets,
    }
}

fn lay_area(kernel: &mut Kernel, cpu: u32) -> u64 {
    let count = UNIT_SIZE.div_ceil(kernel.page_size());
    let first = kernel.boot.take_run(count);
    kernel.memory.touch(first, count);
    if cpu < 2 {
        return kernel.space.direct(first << kernel.page_shift());
    }
    let mut area = 0;
    for page in 0..count {
        let frame = first + count - 1 - page;
        let virt = kernel.space.vmalloc
            + ((kernel.space.vmalloc_pages.len() as u64) << kernel.page_shift());
        kernel.space.vmalloc_pages.push(frame);
        let (phys, size) = (frame << kernel.page_shift(), kernel.page_size());
        let tables = &mut kernel.tables;
        tables.map(&mut kernel.memory, virt, phys, size, Leaf::Page);
        if page == 0 {
            area = virt;
        }
    }
    area
}

fn lay_nodes(kernel: &mut Kernel) {
    let states = kernel.symbol("node_states");
    let mask_size = 128;
    for state in [
        "N_POSSIBLE",
        "N_ONLINE",
        "N_NORMAL_MEMORY",
        "N_MEMORY",
        "N_CPU",
    ] {
        let index = kernel.types.constant(state);
        kernel.write_u64(states + index * mask_size, (1 << NODES) - 1);
    }
    let array = kernel.symbol("node_data");
    for node in 0..NODES {
        let pgdat = kernel.alloc_struct("pglist_data");
        kernel.write_u64(array + u64::from(node) * 8, pgdat);
        let ranges = kernel.ram.ranges.clone();
        let here = ranges.iter().filter(|range| node_of(range.start) == node);
        let start = here.clone().map(|range| range.start).min().unwrap_or(0);
        let end = here.clone().map(|range| range.end).max().unwrap_or(0);
        let present: u64 = here.map(|range| range.end - range.start).sum();
        for (member, value) in [
            ("node_id", u64::from(node)),
            ("nr_zones", 3),
            ("node_start_pfn", start),
            ("node_spanned_pages", end - start),
            ("node_present_pages", present),
        ] {
            kernel.set(pgdat, "pglist_data", member, value);
        }
        for (zone, name) in ["DMA", "DMA32", "Normal", "Movable", "Device"]
            .iter()
            .enumerate()
        {
            let size = kernel.types.sizeof("zone");
            let at = pgdat + kernel.types.offset("pglist_data", "node_zones") + zone as u64 * size;
            let name = kernel.alloc_string(name);
            kernel.set(at, "zone", "name", name);
            kernel.set(at, "zone", "zone_pgdat", pgdat);
        }
    }
}

//! Which CPUs and NUMA nodes the kernel had, and where per-CPU data lie.

use super::{Kernel, KernelError};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;

/// More CPUs than any kernel is built for (NR_CPUS is 8192 at most).
const MAX_CPUS: usize = 8192;

/// The possible CPUs with their per-CPU offsets.
#[derive(Clone, Debug)]
pub struct Cpus {
    offsets: Vec<(u32, u64)>,
}

impl Cpus {
    /// Reads the possible mask and `__per_cpu_offset[]` (include/asm-generic/percpu.h).
    ///
    /// # Errors
    /// If either is missing from the kernel or the dump.
    pub fn read(kernel: &Kernel) -> Result<Self, KernelError> {
        let possible = mask(kernel, "__cpu_possible_mask")?;
        let table = kernel.need_symbol("__per_cpu_offset")?;
        let mut offsets = Vec::with_capacity(possible.len());
        for cpu in possible {
            let offset = kernel
                .space
                .read_u64(table.plus(u64::from(cpu) * 8))
                .map_err(|fault| KernelError::Memory {
                    what: "the per-CPU offsets",
                    fault,
                })?;
            offsets.push((cpu, offset));
        }
        Ok(Self { offsets })
    }

    /// Address of a per-CPU object on every possible CPU.
    pub fn instances(&self, percpu: VirtAddr) -> impl Iterator<Item = (u32, VirtAddr)> + '_ {
        self.offsets
            .iter()
            .map(move |(cpu, offset)| (*cpu, percpu.plus(*offset)))
    }

    /// Their numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.offsets.iter().map(|(cpu, _)| *cpu)
    }

    /// How many CPUs are possible.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there are none, which no kernel has.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }
}

/// The numbers of the CPUs in one of the kernel's masks (kernel/cpu.c).
///
/// # Errors
/// If the mask is missing from the kernel or the dump.
pub fn mask(kernel: &Kernel, name: &'static str) -> Result<Vec<u32>, KernelError> {
    let at = match kernel.symbol_table().tells_of(name) {
        true => kernel.symbol(name).or_else(|| older(kernel, name)),
        false => None,
    };
    let at = at.ok_or(KernelError::NoSymbol(name))?;
    let size = kernel
        .types
        .find_struct("cpumask", "kernel/cpu.c", true)?
        .map_or(8, |found| found.body.size as usize)
        .clamp(8, MAX_CPUS / 8);
    let bits = kernel
        .space
        .read_bytes(at, size)
        .map_err(|fault| KernelError::Memory {
            what: "a CPU mask",
            fault,
        })?;
    let mut cpus = Vec::new();
    for word in 0..size / 8 {
        let value = u64_at(&bits, word * 8).unwrap_or(0);
        for bit in (0..64).filter(|bit| value >> bit & 1 == 1) {
            cpus.push((word * 64 + bit) as u32);
        }
    }
    Ok(cpus)
}

/// The same mask in kernels up to 4.4 (commit 4b804c85dc37), which keep it as bits of their own.
fn older(kernel: &Kernel, name: &str) -> Option<VirtAddr> {
    let name = match name {
        "__cpu_possible_mask" => "cpu_possible_bits",
        "__cpu_present_mask" => "cpu_present_bits",
        "__cpu_online_mask" => "cpu_online_bits",
        "__cpu_active_mask" => "cpu_active_bits",
        _ => return None,
    };
    let known = kernel.symbol_table().tells_of(name);
    known.then(|| kernel.symbol(name)).flatten()
}

/// The CPUs that were up when the kernel died: besides those online, those still active. The CPU
/// that panics stops the others, which then call themselves offline (`smp_send_stop()`, on arm64
/// also before a dump is taken), but nobody takes them out of the scheduler.
///
/// # Errors
/// If the mask of those online is missing from the kernel or the dump.
pub fn up(kernel: &Kernel) -> Result<Vec<u32>, KernelError> {
    const ACTIVE: &str = "__cpu_active_mask";
    let mut up = mask(kernel, "__cpu_online_mask")?;
    // A profile written before this was asked for says nothing of it.
    let table = kernel.symbol_table();
    let known = table.tells_of(ACTIVE) && kernel.symbol(ACTIVE).is_some();
    if known || older(kernel, ACTIVE).is_some() {
        up.extend(mask(kernel, ACTIVE)?);
    }
    up.sort_unstable();
    up.dedup();
    Ok(up)
}

/// Number of possible NUMA nodes; arrays per node have that many entries (mm/page_alloc.c).
pub fn node_count(kernel: &Kernel) -> usize {
    // The variable exists only in kernels built for more than one node.
    let count = kernel.u32_of("nr_node_ids").value().unwrap_or(1);
    (count as usize).clamp(1, 1024)
}

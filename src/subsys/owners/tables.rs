//! Page tables, of which older kernels mark only some.

use super::{Claims, Owner};
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::kernel::layout::layout;
use crate::kernel::processes::Processes;
use crate::kernel::{Kernel, KernelError};
use crate::space::Half;

layout! {
    /// include/linux/sched.h
    struct TaskMmLayout = "task_struct" in "kernel/fork.c" {
        need mm = "mm",
        need pid = "tgid",
        need comm = "comm",
    }
}

layout! {
    /// include/linux/mm_types.h
    struct RootLayout = "mm_struct" in "kernel/fork.c" {
        need pgd = "pgd",
    }
}

/// Those of the kernel, then those of processes.
pub(super) fn claim(
    kernel: &Kernel,
    processes: &Processes,
    claims: &mut Claims,
) -> Result<(), KernelError> {
    let task: TaskMmLayout = kernel.layout()?;
    let mm: RootLayout = kernel.layout()?;
    let space = &kernel.space;
    let mut tables = space.tables();
    let owner = claims.owner(Owner::of_kernel("page_tables", "of the kernel"));
    let mut found = Vec::new();
    for root in kernel_roots(kernel, &mm) {
        tables.walk(root, Half::Kernel, |at| found.push(at));
    }
    claims.tables(kernel, owner, &mut found);
    for thread in processes.list.iter().flat_map(|one| &one.threads) {
        let Ok(record) = space.span(*thread, task.len) else {
            continue;
        };
        let memory = VirtAddr(task.mm.get(&record));
        let root = match memory.is_null() {
            true => None,
            false => root_of(kernel, &mm, memory),
        };
        if let Some(root) = root {
            tables.walk(root, Half::User, |at| found.push(at));
        }
        // Threads of one process have one root, which is walked once.
        if found.is_empty() {
            continue;
        }
        let comm = thread.plus(u64::from(task.comm.offset));
        let owner = claims.owner(Owner {
            kind: "page_tables",
            name: String::new(),
            pid: Some(task.pid.get(&record) as u32),
            comm: space.read_c_string(comm, task.comm.size as usize).ok(),
        });
        claims.tables(kernel, owner, &mut found);
    }
    Ok(())
}

fn root_of(kernel: &Kernel, mm: &RootLayout, at: VirtAddr) -> Option<PhysAddr> {
    let pgd = kernel.space.read_ptr(at.plus(u64::from(mm.pgd.offset)));
    let mapping = kernel.space.translate(pgd.ok()?).ok()?;
    Some(mapping.phys)
}

/// The kernel's own root; behind it that which processes see of the kernel, where page tables are
/// isolated (arch/x86/kernel/head_64.S); and that of the firmware.
fn kernel_roots(kernel: &Kernel, mm: &RootLayout) -> Vec<PhysAddr> {
    let root = kernel.space.kernel_root();
    let page = kernel.dump().page_size() as u64;
    let mut roots = vec![root];
    if kernel.symbol_room("swapper_pg_dir") == Some(2 * page) {
        roots.push(root.plus(page));
    }
    let firmware = kernel.symbol("efi_mm");
    roots.extend(firmware.and_then(|at| root_of(kernel, mm, at)));
    roots
}

impl Claims {
    fn tables(&mut self, kernel: &Kernel, owner: u32, found: &mut Vec<PhysAddr>) {
        let shift = kernel.dump().page_shift();
        self.tables.push((owner, found.len() as u64));
        for at in found.drain(..) {
            let page = Pfn::containing(at, shift).start(shift);
            self.block(owner, kernel.space.direct_map_address(page));
        }
    }
}

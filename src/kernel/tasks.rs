//! All tasks, and the parts of their stacks that are in use.
//!
//! Walked from `init_task` over processes and their threads; the idle tasks of other
//! CPUs are on no list.

use rustc_hash::FxHashSet;

use super::cpus::Cpus;
use super::layout::layout;
use super::processes::{Processes, Threads};
use super::{Kernel, KernelError, registers};
use crate::addr::VirtAddr;

layout! {
    /// include/linux/sched.h
    struct TaskLayout = "task_struct" in "kernel/fork.c" {
        need stack = "stack",
        /// The stack pointer of a task that does not run: by architecture.
        need sp = "thread.sp" | "thread.cpu_context.sp",
        /// With CONFIG_SMP.
        maybe on_cpu = "on_cpu",
    }
}

/// One task's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Its lowest address.
    pub start: VirtAddr,
    /// One past its highest.
    pub end: VirtAddr,
    /// Where its live part begins; `start` if nobody knows.
    pub live: VirtAddr,
}

/// The stacks of all tasks.
#[derive(Clone, Debug, Default)]
pub struct Stacks {
    /// In no particular order.
    pub stacks: Vec<Stack>,
    /// The tasks themselves.
    pub tasks: Vec<VirtAddr>,
    /// Whether all tasks were reached.
    pub complete: bool,
}

/// Finds all tasks' stacks.
///
/// # Errors
/// If the kernel's types or symbols lack what tasks are made of. Broken lists give what was
/// reached, and a warning.
pub fn stacks(kernel: &Kernel) -> Result<Stacks, KernelError> {
    let walker = Walker::new(kernel)?;
    let threads = Threads::new(kernel)?;
    let listed = Processes::read(kernel)?;
    let mut found = Stacks {
        complete: listed.complete,
        ..Stacks::default()
    };
    // On no list: the first task, and those of the other CPUs.
    let mut unlisted = vec![kernel.need_symbol("init_task")?];
    if let Some(idle) = kernel.symbol("idle_threads") {
        for (_, at) in Cpus::read(kernel)?.instances(idle) {
            match kernel.space.read_ptr(at) {
                Ok(task) if task.is_null() => {}
                Ok(task) => unlisted.push(task),
                Err(_) => found.complete = false,
            }
        }
    }
    let mut processes = listed.list;
    for leader in unlisted {
        let (process, whole) = threads.of(leader);
        found.complete &= whole;
        processes.push(process);
    }
    let mut seen = FxHashSet::default();
    for task in processes.into_iter().flat_map(|process| process.threads) {
        if seen.insert(task) {
            found.tasks.push(task);
            walker.add(task, &mut found);
        }
    }
    if !found.complete {
        kernel.diag.warn(
            "tasks-lost",
            "not all tasks can be reached: what only their stacks point to looks unreachable (look at the list with crash: ps)",
        );
    }
    Ok(found)
}

/// What the types say, if stacks may have that size; else the usual.
fn stack_size(known: &[u64], by_types: u64) -> u64 {
    let usual = known.first().copied().unwrap_or(by_types);
    if known.contains(&by_types) {
        by_types
    } else {
        usual
    }
}

/// Bytes of a task's stack (THREAD_SIZE).
///
/// # Errors
/// If the type information is damaged.
pub(crate) fn stack_bytes(kernel: &Kernel) -> Result<u64, KernelError> {
    let stack = kernel
        .types
        .find_struct("thread_union", "kernel/fork.c", true)?;
    let size = stack.map_or(0, |found| u64::from(found.body.size));
    let arch = kernel.space.boot().arch;
    Ok(stack_size(arch.stack_sizes(), size))
}

struct Walker<'k> {
    kernel: &'k Kernel,
    task: TaskLayout,
    size: u64,
    /// The stack pointers that the CPUs saved when the kernel died.
    saved: Vec<VirtAddr>,
}

impl<'k> Walker<'k> {
    fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        let saved = registers::saved(kernel);
        let arch = kernel.space.boot().arch;
        Ok(Self {
            task: kernel.layout()?,
            size: stack_bytes(kernel)?,
            saved: saved
                .iter()
                .filter_map(|note| arch.stack_pointer(note))
                .collect(),
            kernel,
        })
    }

    fn add(&self, task: VirtAddr, found: &mut Stacks) {
        let Ok(record) = self.kernel.space.span(task, self.task.len) else {
            found.complete = false;
            return;
        };
        let start = VirtAddr(self.task.stack.get(&record));
        // Freed already, while the task waits to be reaped.
        if start.is_null() {
            return;
        }
        let end = start.plus(self.size);
        let inside = |at: &VirtAddr| start <= *at && *at < end;
        let running = self.task.on_cpu.is_some_and(|on| on.get(&record) != 0);
        let live = match running {
            // It runs on, and may be anywhere in its stack by now.
            _ if self.kernel.dump().is_live() => start,
            // On an interrupt's stack at the crash, or without registers: nobody knows.
            true => self.saved.iter().copied().find(inside).unwrap_or(start),
            false => Some(VirtAddr(self.task.sp.get(&record)))
                .filter(inside)
                .unwrap_or(start),
        };
        found.stacks.push(Stack { start, end, live });
    }
}

#[cfg(test)]
mod tests;

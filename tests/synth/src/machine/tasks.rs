//! Tasks: the first one, which is in the image, and others on its list.

use super::cpus::PerCpu;
use super::kernel::Kernel;

/// THREAD_SIZE.
pub const STACK_SIZE: u64 = 16 << 10;

/// A task to lay.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// Where its `task_struct` is.
    pub address: u64,
    /// Where its `signal_struct` is; 0 if it waits to be reaped.
    pub signal: u64,
    /// The lowest address of its stack; 0 if that is given back.
    pub stack: u64,
    /// What it saved of its stack pointer.
    pub sp: u64,
    /// It runs.
    pub on_cpu: bool,
}

/// `init_task`, alone.
pub(super) fn lay(kernel: &mut Kernel) {
    let stack = kernel.symbol("init_stack");
    let init = Task {
        address: kernel.symbol("init_task"),
        signal: kernel.symbol("init_signals"),
        stack,
        sp: stack + STACK_SIZE - 0x200,
        on_cpu: false,
    };
    lay_task(kernel, &init);
    link(kernel, &[], 0);
    link_threads(kernel, init.signal, &[init.address]);
    kernel.stack_pointers = vec![stack + STACK_SIZE - 0x180; 3];
}

/// Fills a `task_struct`.
pub fn lay_task(kernel: &mut Kernel, task: &Task) {
    for (member, value) in [
        ("stack", task.stack),
        ("signal", task.signal),
        ("thread.sp", task.sp),
        ("on_cpu", u64::from(task.on_cpu)),
    ] {
        kernel.set(task.address, "task_struct", member, value);
    }
}

/// Puts processes on the list behind `init_task`; they have so many threads together.
pub fn link(kernel: &mut Kernel, leaders: &[u64], threads: u64) {
    let link = kernel.types.offset("task_struct", "tasks");
    let entries: Vec<u64> = leaders.iter().map(|task| task + link).collect();
    let head = kernel.symbol("init_task") + link;
    kernel.link_list(head, &entries);
    kernel.set_variable("nr_threads", threads);
}

/// Puts the threads of a process on its list.
pub fn link_threads(kernel: &mut Kernel, signal: u64, threads: &[u64]) {
    let node = kernel.types.offset("task_struct", "thread_node");
    let entries: Vec<u64> = threads.iter().map(|task| task + node).collect();
    let head = signal + kernel.types.offset("signal_struct", "thread_head");
    kernel.link_list(head, &entries);
}

/// Says which task is a CPU's idle one.
pub fn set_idle(kernel: &mut Kernel, percpu: &PerCpu, cpu: u32, task: u64) {
    let at = percpu.pointer(kernel.per_cpu_symbol("idle_threads"), cpu);
    kernel.write_u64(at, task);
}

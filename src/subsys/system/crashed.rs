//! Which task ran on a CPU, and on that which panicked.

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::bytes;
use crate::kernel::Kernel;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;

layout! {
    /// include/linux/sched.h
    struct TaskName = "task_struct" in "kernel/fork.c" {
        need pid = "pid",
        need comm = "comm",
    }
}

/// A task, and the CPU that it ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunningTask {
    /// Its number in the initial namespace; 0 is a CPU that had nothing to do.
    pub pid: u32,
    /// Its name, of 15 bytes at most.
    pub comm: String,
    /// Where it ran; `None` of one that did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
}

/// The task that the kernel died in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PanicTask {
    /// Its number in the initial namespace; 0 is a CPU that had nothing to do.
    pub pid: u32,
    /// Its name, of 15 bytes at most.
    pub comm: String,
    /// The CPU that it ran on.
    pub cpu: u32,
}

/// The `task_struct` of the task that the kernel died in.
pub(in crate::subsys) fn panic_task_address(kernel: &Kernel) -> Option<VirtAddr> {
    current_on(kernel, panic_cpu(kernel)?)
}

/// `None` if nobody panicked (a dump of a machine that ran), or it can't be read.
pub(super) fn panic_task(kernel: &Kernel) -> Option<PanicTask> {
    let cpu = panic_cpu(kernel)?;
    let RunningTask { pid, comm, .. } = running_on(kernel, cpu)?;
    Some(PanicTask { pid, comm, cpu })
}

/// What ran on a CPU.
pub(in crate::subsys) fn running_on(kernel: &Kernel, cpu: u32) -> Option<RunningTask> {
    let task = task_named(kernel, current_on(kernel, cpu)?)?;
    Some(RunningTask {
        cpu: Some(cpu),
        ..task
    })
}

/// The task of a `task_struct`.
pub(in crate::subsys) fn task_named(kernel: &Kernel, task: VirtAddr) -> Option<RunningTask> {
    let layout: TaskName = kernel.layout().ok()?;
    let read = |offset: u32, len| {
        let at = task.plus(u64::from(offset));
        kernel.space.read_bytes(at, len).ok()
    };
    let pid = read(layout.pid.offset, 4)?;
    let comm = read(layout.comm.offset, layout.comm.size.min(64) as usize)?;
    Some(RunningTask {
        pid: bytes::u32_at(&pid, 0)?,
        comm: bytes::c_string(&comm),
        cpu: None,
    })
}

/// The first CPU that came to panic(), which keeps the others out (kernel/panic.c), else the one
/// that started the crash kernel. Both are -1 until there is one.
fn panic_cpu(kernel: &Kernel) -> Option<u32> {
    let read = |name: &str| kernel.space.read_u32(told(kernel, name)?).ok();
    [read("panic_cpu"), read("crashing_cpu")]
        .into_iter()
        .flatten()
        .find(|cpu| i32::try_from(*cpu).is_ok())
}

/// `current` of a CPU: a variable of its own or (6.2 to 6.14, commit e57ef2ed97c1) the first of
/// the hot ones; other machines keep it for the entry into the kernel.
fn current_on(kernel: &Kernel, cpu: u32) -> Option<VirtAddr> {
    let variable = ["current_task", "pcpu_hot", "__entry_task"]
        .into_iter()
        .find_map(|name| told(kernel, name))?;
    let cpus = Cpus::read(kernel).ok()?;
    let (_, at) = cpus.instances(variable).find(|(of, _)| *of == cpu)?;
    let task = kernel.space.read_ptr(at).ok()?;
    (!task.is_null()).then_some(task)
}

/// The address of a symbol, without a word where a profile does not tell of it: these facts are
/// beside every result.
pub(super) fn told(kernel: &Kernel, name: &str) -> Option<VirtAddr> {
    let tells = kernel.symbol_table().tells_of(name);
    tells.then(|| kernel.symbol(name)).flatten()
}

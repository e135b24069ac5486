//! Tasks whose stacks keep objects, by the part that is in use.

use super::areas::allocate;
use super::web::Web;
use crate::machine::tasks::{self, STACK_SIZE, Task};

/// The stacks, and the records of their areas.
pub(super) struct Tasks {
    /// Stacks and where the part in use begins.
    pub(super) stacks: Vec<(u64, u64)>,
    /// `vmap_area`s.
    pub(super) records: Vec<u64>,
}

/// Words of a stack that are in use, from its end.
const LIVE: u64 = 0x300;

/// What becomes of one task's stack pointer.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Saved in the task.
    Sleeps,
    /// In the note of the CPU that it runs on.
    Runs(usize),
    /// Runs, and its registers are those of an interrupt's stack.
    Interrupted,
}

/// Lays `init_task`'s companions: processes with one and with several threads, idle tasks that
/// are on no list, one that waits to be reaped.
pub(super) fn lay(web: &mut Web<'_>) -> Tasks {
    let mut all = Tasks {
        stacks: Vec::new(),
        records: Vec::new(),
    };
    let init = web.kernel.symbol("init_stack");
    all.stacks.push((init, init + STACK_SIZE - 0x200));
    tasks::set_idle(web.kernel, web.percpu, 0, web.kernel.symbol("init_task"));
    let process = |web: &mut Web<'_>, all: &mut Tasks, states: &[(State, bool)]| -> u64 {
        let signal = web.take("signal_cache");
        let each = states.iter();
        let threads: Vec<u64> = each
            .map(|(state, mapped)| task(web, all, signal, *state, *mapped))
            .collect();
        tasks::link_threads(web.kernel, signal, &threads);
        threads[0]
    };
    let leaders = [
        process(web, &mut all, &[(State::Sleeps, true)]),
        process(
            web,
            &mut all,
            &[
                (State::Sleeps, false),
                (State::Runs(1), true),
                (State::Sleeps, true),
            ],
        ),
        process(web, &mut all, &[(State::Interrupted, false)]),
        dead(web),
    ];
    web.truth.threads = 6;
    tasks::link(web.kernel, &leaders, web.truth.threads);
    let idle = process(web, &mut all, &[(State::Sleeps, true)]);
    tasks::set_idle(web.kernel, web.percpu, 2, idle);
    cached(web, &mut all);
    all
}

fn task(web: &mut Web<'_>, all: &mut Tasks, signal: u64, state: State, mapped: bool) -> u64 {
    let stack = match mapped {
        true => {
            let caller = web.kernel.symbol("alloc_thread_stack_node") + 0x52;
            let (stack, records) =
                allocate(web, STACK_SIZE.div_ceil(web.kernel.page_size()), caller);
            all.records.push(records.area);
            stack
        }
        false => web.kernel.alloc(STACK_SIZE, STACK_SIZE),
    };
    let live = match state {
        State::Interrupted => stack,
        _ => stack + STACK_SIZE - LIVE,
    };
    if let State::Runs(cpu) = state {
        web.kernel.stack_pointers[cpu] = live;
    }
    let address = web.take("task_struct");
    let task = Task {
        address,
        signal,
        stack,
        // What a running task saved is from when it slept.
        sp: match state {
            State::Sleeps => live,
            _ => stack + 0x100,
        },
        on_cpu: state != State::Sleeps,
    };
    tasks::lay_task(web.kernel, &task);
    all.stacks.push((stack, live));
    address
}

/// One whose stack and signals are given back.
fn dead(web: &mut Web<'_>) -> u64 {
    let address = web.take("task_struct");
    let task = Task {
        address,
        signal: 0,
        stack: 0,
        sp: 0,
        on_cpu: false,
    };
    tasks::lay_task(web.kernel, &task);
    address
}

/// A stack that a CPU keeps for the next task: by its record only.
fn cached(web: &mut Web<'_>, all: &mut Tasks) {
    let caller = web.kernel.symbol("alloc_thread_stack_node") + 0x52;
    let (_, records) = allocate(web, STACK_SIZE.div_ceil(web.kernel.page_size()), caller);
    all.records.push(records.area);
    let slot = web.kernel.per_cpu_symbol("cached_stacks") + 8;
    let slot = web.percpu.pointer(slot, 1);
    web.kernel.write_u64(slot, records.vm);
    web.truth.cached_stacks += 1;
}

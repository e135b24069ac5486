//! Tasks of a synthetic machine, by address.

use vmleak_synth::machine::tasks::{self as lay, STACK_SIZE, Task};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use super::super::synthetic;
use super::*;

/// Bytes of a stack that are in use.
const LIVE: u64 = 0x300;

/// The next task, with a stack of its own; a new process if `signal` is 0.
fn task(machine: &mut Machine, signal: u64) -> Task {
    let kernel = &mut machine.kernel;
    let stack = kernel.alloc(STACK_SIZE, STACK_SIZE);
    Task {
        address: kernel.alloc_struct("task_struct"),
        signal: match signal {
            0 => kernel.alloc_struct("signal_struct"),
            given => given,
        },
        stack,
        sp: stack + STACK_SIZE - LIVE,
        on_cpu: false,
    }
}

/// Puts processes on the list, each by its threads, the leader first.
fn link(machine: &mut Machine, processes: &[&[Task]]) {
    let kernel = &mut machine.kernel;
    for threads in processes {
        threads.iter().for_each(|task| lay::lay_task(kernel, task));
        let addresses: Vec<u64> = threads.iter().map(|task| task.address).collect();
        if threads[0].signal > 1 {
            lay::link_threads(kernel, threads[0].signal, &addresses);
        }
    }
    let leaders: Vec<u64> = processes.iter().map(|all| all[0].address).collect();
    let count = processes.iter().map(|all| all.len() as u64).sum();
    lay::link(kernel, &leaders, count);
}

/// Addresses of the tasks but the first, and where their stacks begin and are in use.
fn read(machine: &Machine) -> (Vec<u64>, Vec<(u64, u64)>, bool) {
    let kernel = synthetic::kernel(machine);
    let found = stacks(&kernel).expect("types of tasks");
    let (init, stack) = (
        machine.kernel.symbol("init_task"),
        machine.kernel.symbol("init_stack"),
    );
    let mut tasks: Vec<u64> = found.tasks.iter().map(|task| task.0).collect();
    assert!(tasks.contains(&init));
    tasks.retain(|task| *task != init);
    for each in &found.stacks {
        assert_eq!(each.end, each.start.plus(STACK_SIZE));
    }
    let starts = found.stacks.iter().map(|each| (each.start.0, each.live.0));
    let stacks = starts.filter(|(start, _)| *start != stack).collect();
    let warned = kernel
        .diag
        .warnings()
        .iter()
        .any(|w| w.code == "tasks-lost");
    assert_eq!(warned, !found.complete);
    (tasks, stacks, found.complete)
}

/// kernel/exit.c: __exit_signal takes the signals away, and the stack goes when the task stops
/// (put_task_stack) while others may still hold its `task_struct`.
#[test]
fn exited_tasks_that_are_still_listed() {
    let mut m = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let alone = task(&mut m, 0);
    let leader = task(&mut m, 0);
    let thread = task(&mut m, leader.signal);
    let with_stack = Task {
        signal: 0,
        ..task(&mut m, 0)
    };
    let without = Task {
        signal: 0,
        stack: 0,
        sp: 0,
        ..task(&mut m, 0)
    };
    link(
        &mut m,
        &[&[with_stack], &[alone], &[without], &[leader, thread]],
    );
    let (tasks, stacks, complete) = read(&m);
    assert!(complete);
    let all = [&with_stack, &alone, &without, &leader, &thread];
    assert_eq!(tasks, all.map(|task| task.address));
    let live = |task: &Task| (task.stack, task.stack + STACK_SIZE - LIVE);
    let alive = [&with_stack, &alone, &leader, &thread];
    assert_eq!(stacks, alive.map(live));
}

/// What can't be reached is said, and the others are there.
#[test]
fn signals_that_lead_nowhere_cost_their_threads() {
    let mut m = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let alone = task(&mut m, 0);
    let leader = Task {
        signal: 1,
        ..task(&mut m, 0)
    };
    link(&mut m, &[&[leader], &[alone]]);
    let (tasks, stacks, complete) = read(&m);
    assert!(!complete);
    assert_eq!(tasks, [leader.address, alone.address]);
    assert_eq!(stacks.len(), 2);

    // So is a list of processes that ends in nothing.
    let mut m = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let alone = task(&mut m, 0);
    link(&mut m, &[&[alone]]);
    m.kernel.set(alone.address, "task_struct", "tasks.next", 0);
    let (tasks, _, complete) = read(&m);
    assert_eq!((tasks, complete), (vec![alone.address], false));
}

/// A stack pointer is believed if it points into the stack: else all of the stack counts.
#[test]
fn where_a_stack_is_in_use() {
    let mut m = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let with = |m: &mut Machine, sp: fn(u64) -> u64, on_cpu: bool| {
        let task = task(m, 0);
        Task {
            sp: sp(task.stack),
            on_cpu,
            ..task
        }
    };
    let first = with(&mut m, |stack| stack, false);
    let last = with(&mut m, |stack| stack + STACK_SIZE - 8, false);
    let below = with(&mut m, |stack| stack - 8, false);
    let beyond = with(&mut m, |stack| stack + STACK_SIZE, false);
    // What a running task has saved is old; the CPU's registers are in its note.
    let runs = with(&mut m, |stack| stack + 0x100, true);
    let elsewhere = with(&mut m, |stack| stack + 0x100, true);
    m.kernel.stack_pointers[1] = runs.stack + 0x2000;
    let all = [first, last, below, beyond, runs, elsewhere];
    link(&mut m, &all.each_ref().map(std::slice::from_ref));
    let (_, stacks, complete) = read(&m);
    assert!(complete);
    let offsets: Vec<u64> = stacks.iter().map(|(start, live)| live - start).collect();
    assert_eq!(offsets, [0, STACK_SIZE - 8, 0, 0, 0x2000, 0]);
}

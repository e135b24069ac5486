//! kernel.* and vm.*: values out of variables that the tables don't point to.

use super::super::decode::{Answer, Unread, ValueReader};
use super::super::handlers::Decoder;
use super::super::tree::Leaf;
use super::{Once, unknown};
use crate::addr::VirtAddr;
use crate::kernel::layout::{Field, layout};

layout! {
    /// include/linux/hugetlb.h
    struct HugeLayout = "hstate" in "mm/hugetlb.c" {
        need max = "max_huge_pages",
        need overcommit = "nr_overcommit_huge_pages",
    }
}

layout! {
    /// kernel/kexec_core.c, 6.3 and later.
    struct LoadLimitLayout = "kexec_load_limit" in "kernel/kexec_core.c" {
        need limit = "limit",
    }
}

layout! {
    /// include/linux/pid.h
    struct PidLayout = "pid" in "kernel/pid.c" {
        need numbers = "numbers",
    }
}

layout! {
    /// include/linux/pid.h
    struct UpidLayout = "upid" in "kernel/pid.c" {
        need nr = "nr",
    }
}

layout! {
    /// kernel/sched/debug.c
    struct DomainFlagLayout = "sd_flag_debug" in "kernel/sched/topology.c" {
        need name = "name",
    }
}

/// Structures of this file.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    huge: Once<HugeLayout>,
    limit: Once<LoadLimitLayout>,
    pid: Once<PidLayout>,
    upid: Once<UpidLayout>,
    flag: Once<DomainFlagLayout>,
}

pub(crate) fn zero(_: &ValueReader<'_>, _: &Leaf) -> Answer {
    Ok("0".to_owned())
}

/// drivers/char/random.c up to 5.17: bits of the input pool, kept in eighths.
pub(crate) fn entropy(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    const ENTROPY_SHIFT: u32 = 3;
    let eighths = reader.kernel.space.read_u32(leaf.data)?;
    Ok((eighths.cast_signed() >> ENTROPY_SHIFT).to_string())
}

pub(crate) fn nothing(_: &ValueReader<'_>, _: &Leaf) -> Answer {
    Err(Unread::Nothing)
}

/// mm/hugetlb.c: of the default size of huge pages.
fn huge(reader: &ValueReader<'_>, member: fn(&HugeLayout) -> Field) -> Answer {
    let layout = reader.shapes.core.huge.get(reader)?;
    let index = reader.variable("default_hstate_idx")?;
    let index = u64::from(reader.kernel.space.read_u32(index)?);
    let at = reader
        .variable("hstates")?
        .plus(index * layout.struct_size as u64 + u64::from(member(layout).offset));
    Ok(reader.kernel.space.read_u64(at)?.to_string())
}

pub(crate) fn huge_pages(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    huge(reader, |layout| layout.max)
}

pub(crate) fn overcommit_huge_pages(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    huge(reader, |layout| layout.overcommit)
}

/// kernel/kexec_core.c
pub(crate) fn kexec_limit(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let limit = reader.shapes.core.limit.get(reader)?.limit;
    let at = leaf.data.plus(u64::from(limit.offset));
    Ok(reader.kernel.space.read_u32(at)?.cast_signed().to_string())
}

/// kernel/pid_namespace.c: the cursor of the PIDs, less one.
pub(crate) fn last_pid(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let next = reader.shapes.pid_namespace.get(reader)?.next;
    let next = next.ok_or_else(|| unknown("PIDs"))?;
    let at = reader.variable("init_pid_ns")?.plus(u64::from(next.offset));
    let next = reader.kernel.space.read_u32(at)?;
    Ok(next.wrapping_sub(1).cast_signed().to_string())
}

/// kernel/reboot.c: the process that Ctrl-Alt-Del goes to.
pub(crate) fn cad_pid(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let shapes = &reader.shapes.core;
    let offset = shapes.pid.get(reader)?.numbers.offset + shapes.upid.get(reader)?.nr.offset;
    let pid = VirtAddr(reader.long("cad_pid")?);
    if pid.is_null() {
        return Ok("0".to_owned());
    }
    let at = pid.plus(u64::from(offset));
    Ok(reader.kernel.space.read_u32(at)?.to_string())
}

/// kernel/umh.c. Up to 6.2 the data are the numbers 1 and 2 in place of addresses.
pub(crate) fn capabilities(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let at = match leaf.data.0 {
        1 => reader.variable("usermodehelper_bset")?,
        2 => reader.variable("usermodehelper_inheritable")?,
        data => VirtAddr(data),
    };
    let bits = reader.kernel.space.read_u64(at)?;
    Ok(format!("{}\t{}", bits & 0xffff_ffff, bits >> 32))
}

/// drivers/char/random.c: without data, a number made at each reading.
pub(crate) fn uuid(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    if leaf.data.is_null() {
        return Err(Unread::Raw("made anew at each reading".to_owned()));
    }
    let bytes = reader.kernel.space.read_bytes(leaf.data, 16)?;
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(Unread::Raw("made at the first reading".to_owned()));
    }
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    Ok(text)
}

/// kernel/hung_task.c
pub(crate) fn hung_tasks(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    Ok(reader.long("sysctl_hung_task_detect_count")?.to_string())
}

/// kernel/kprobes.c
pub(crate) fn kprobes_optimization(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let allowed = reader.truth_of("kprobes_allow_optimization")?;
    Ok(u8::from(allowed).to_string())
}

/// kernel/panic.c
pub(crate) fn taint(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    Ok(reader.long("tainted_mask")?.to_string())
}

pub(crate) fn max_threads(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    reader.int("max_threads")
}

/// kernel/delayacct.c
pub(crate) fn delay_accounting(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    reader.int("delayacct_on")
}

/// kernel/watchdog.c: bits of `watchdog_enabled`.
fn watchdog(reader: &ValueReader<'_>, bits: u64) -> Answer {
    let on = reader.long("watchdog_enabled")? & bits != 0;
    Ok(u8::from(on).to_string())
}

pub(crate) fn hard_watchdog(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    watchdog(reader, 1)
}

pub(crate) fn soft_watchdog(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    watchdog(reader, 2)
}

pub(crate) fn any_watchdog(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    watchdog(reader, 3)
}

/// kernel/watchdog.c: the data are the value to come.
pub(crate) fn watchdog_threshold(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    reader.int("watchdog_thresh")
}

/// kernel/sched/core.c: a mode since 5.18 (commit c574bbe91703), a key before.
pub(crate) fn numa_balancing(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    match reader.int("sysctl_numa_balancing_mode") {
        Err(Unread::Raw(_)) => key(reader, "sched_numa_balancing"),
        mode => mode,
    }
}

fn key(reader: &ValueReader<'_>, name: &'static str) -> Answer {
    let key = reader.variable(name)?;
    Ok(reader.key_at(key)?.to_string())
}

/// kernel/sched/core.c
pub(crate) fn scheduler_statistics(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    key(reader, "sched_schedstats")
}

/// kernel/sched/topology.c: since 6.7 (commit 8f833c82cdab) the file is empty where the CPUs are
/// all alike. Were they not, the scheduling that is asked for would be on.
pub(crate) fn energy_aware(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let value = reader.decode(leaf, Decoder::Int)?;
    let empties = reader.kernel.symbol("sched_is_eas_possible").is_some();
    if !empties || key(reader, "sched_energy_present")? == "1" {
        return Ok(value);
    }
    match value.as_str() {
        "1" => Err(Unread::Nothing),
        _ => Err(Unread::Raw("empty if the CPUs are all alike".to_owned())),
    }
}

/// kernel/seccomp.c: bits of `seccomp_actions_logged`, in the order of `seccomp_log_names[]`.
pub(crate) fn seccomp_actions(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    const ACTIONS: [(u32, &str); 8] = [
        (0, "kill_process"),
        (1, "kill_thread"),
        (2, "trap"),
        (3, "errno"),
        (7, "user_notif"),
        (4, "trace"),
        (5, "log"),
        (6, "allow"),
    ];
    let at = reader.variable("seccomp_actions_logged")?;
    let logged = reader.kernel.space.read_u32(at)?;
    let names = ACTIONS.iter().filter(|(bit, _)| logged >> bit & 1 == 1);
    let names: Vec<&str> = names.map(|(_, name)| *name).collect();
    Ok(names.join(" "))
}

/// drivers/tty/sysrq.c
pub(crate) fn sysrq(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    match reader.truth_of("sysrq_always_enabled")? {
        true => Ok("1".to_owned()),
        false => reader.int("sysrq_enabled"),
    }
}

/// kernel/sched/debug.c, up to 5.12: names of flags, each with a blank behind it.
pub(crate) fn domain_flags(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let layout = reader.shapes.core.flag.get(reader)?;
    let names = reader.variable("sd_flag_debug")?;
    let flags = reader.kernel.space.read_u32(leaf.data)?;
    let mut text = String::new();
    for bit in (0..32).filter(|bit| flags >> bit & 1 == 1) {
        let record = names.plus(bit * layout.struct_size as u64);
        text.push_str(&reader.name_in(record, layout.name)?);
        text.push(' ');
    }
    Ok(text)
}

/// lib/sys_info.c, 6.17 and later: names of the bits with commas between them; bits beyond the
/// names, which `panic_print` may have, are passed over.
pub(crate) fn system_information(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    const MAX_NAME: usize = 64;
    let space = &reader.kernel.space;
    let bits = space.read_u64(leaf.data)?;
    if bits == 0 {
        return Ok(String::new());
    }
    let names = reader.variable("si_names")?;
    let room = reader.kernel.symbol_room("si_names");
    let room = room.ok_or_else(|| unknown("the names of its bits"))?;
    let mut all = Vec::new();
    for bit in 0..(room / 8).min(64) {
        let name = space.read_ptr(names.plus(bit * 8))?;
        // Padding before the next variable.
        if name.is_null() {
            break;
        }
        if bits >> bit & 1 == 1 {
            all.push(reader.string(name, MAX_NAME)?);
        }
    }
    all.retain(|name| !name.is_empty());
    Ok(all.join(","))
}

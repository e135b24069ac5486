//! The dump itself, its sysctls and its log.

use super::super::column::{Table, flag, made, maybe, real, some, text, unsigned};
use crate::report::DumpIdentity;
use crate::subsys::log::{Caller, LogRecord};
use crate::subsys::sysctl::Entry;

/// The dump, and what of it could be told.
#[derive(Clone, Debug)]
pub struct DumpRow {
    /// Which.
    pub identity: DumpIdentity,
    /// Tables of which rows or values are missing.
    pub incomplete_tables: Vec<String>,
    /// Tables that this kernel has nothing for, or that can't be told at all.
    pub absent_tables: Vec<String>,
}

/// One row.
pub static DUMPS: Table<DumpRow> = Table {
    name: "dumps",
    about: "The dump, and which of its tables are whole",
    columns: &[
        text(
            "level",
            "What makedumpfile left out (-d), where the file says it",
            |row| made(row.identity.dump_level?),
        ),
        text("path", "The file", |row| some(&row.identity.path)),
        text("format", "Of the file", |row| some(&row.identity.format)),
        text("source", "What took it: kdump, elf, raw, live …", |row| {
            some(row.identity.source)
        }),
        text("build_id", "Of the kernel", |row| {
            maybe(&row.identity.build_id)
        }),
        text("arch", "Of the machine", |row| some(row.identity.arch)),
        real("uptime_seconds", "From boot to crash", |row| {
            row.identity.uptime_seconds
        }),
        text("panic", "The panic's message", |row| {
            maybe(&row.identity.panic)
        }),
        unsigned("panic_pid", "The task that it died in", |row| {
            Some(row.identity.panic_task.as_ref()?.pid.into())
        }),
        text("panic_comm", "Its name", |row| {
            some(&row.identity.panic_task.as_ref()?.comm)
        }),
        unsigned("tasks", "Threads of all processes", |row| {
            row.identity.tasks
        }),
        real("load_1", "Load over a minute", |row| {
            Some(row.identity.load?[0])
        }),
        real("load_5", "Over five", |row| Some(row.identity.load?[1])),
        real("load_15", "Over fifteen", |row| Some(row.identity.load?[2])),
        unsigned("nr_cpus", "CPUs present", |row| {
            Some(row.identity.nr_cpus? as u64)
        }),
        unsigned("memory_bytes", "MemTotal", |row| row.identity.memory_bytes),
        text("types_from", "Where types come from", |row| {
            some(row.identity.types_from)
        }),
        flag(
            "complete",
            "No table lacks anything that the kernel had",
            |row| Some(row.incomplete_tables.is_empty()),
        ),
        text(
            "incomplete_tables",
            "Tables that lack rows or values, by blanks",
            |row| made(row.incomplete_tables.join(" ")),
        ),
        text(
            "absent_tables",
            "Tables that the kernel has nothing for, or that can't be told",
            |row| made(row.absent_tables.join(" ")),
        ),
        text("vmleak", "Version of the program", |_| {
            some(env!("CARGO_PKG_VERSION"))
        }),
    ],
};

/// All of each network namespace.
pub static SYSCTLS: Table<Entry> = Table {
    name: "sysctls",
    about: "A sysctl, also of each network namespace",
    columns: &[
        text("name", "As sysctl writes it", |row| some(&row.name)),
        text(
            "value",
            "What reading it gives; null if there is none to be had",
            |row| maybe(&row.value),
        ),
        flag("raw", "The value is bytes in hexadecimal", |row| {
            Some(row.raw)
        }),
        text("note", "Why there is no value, or only a raw one", |row| {
            maybe(&row.note)
        }),
        flag("listed", "sysctl -a shows it", |row| Some(row.listed)),
        text("handler", "The kernel's function that prints it", |row| {
            maybe(&row.handler)
        }),
        text("mode", "Permissions in octal", |row| some(&row.mode)),
        unsigned(
            "netns",
            "Number of its network namespace, if it is of one",
            |row| row.netns.map(u64::from),
        ),
    ],
};

/// All records.
pub static LOG: Table<LogRecord> = Table {
    name: "log",
    about: "A record of the kernel's log, the oldest first",
    columns: &[
        unsigned("seq", "Its number since boot", |row| Some(row.seq)),
        real("seconds", "After boot", |row| {
            Some(row.ts_nsec as f64 / 1e9)
        }),
        unsigned("level", "0 (emerg) to 7 (debug)", |row| {
            Some(row.level.into())
        }),
        unsigned("facility", "0 is the kernel", |row| {
            Some(row.facility.into())
        }),
        text(
            "caller",
            "Who printed it: T and a task's number, C and a CPU's",
            |row| {
                made(match row.caller? {
                    Caller::Task(task) => format!("T{task}"),
                    Caller::Cpu(cpu) => format!("C{cpu}"),
                })
            },
        ),
        text("subsystem", "Of the device that it is about", |row| {
            maybe(&row.subsystem)
        }),
        text("device", "That it is about", |row| maybe(&row.device)),
        text("text", "Its text, of one or more lines", |row| {
            some(&row.text)
        }),
    ],
};

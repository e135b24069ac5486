//! The sections of a report, in the order of reading: what they are called is what `--sections`
//! takes.

use vmleak::report::whole::{Room, Topic};

const fn topic(title: &'static str, command: &'static str, room: Room) -> Topic {
    Topic {
        title,
        command,
        room,
    }
}

pub(super) const PAGES: Topic = topic("All of RAM by owner", "pages", Room::Memory);
pub(super) const LEAKS: Topic = topic("Leaks", "leaks", Room::Memory);
pub(super) const SLABS: Topic = topic("Slab caches", "slabs", Room::Memory);
pub(super) const RETAINED: Topic = topic("Who keeps what alive", "retained", Room::Memory);
pub(super) const MEMINFO: Topic = topic("Memory by the kernel's counters", "meminfo", Room::Memory);
pub(super) const ZONES: Topic = topic("Zones and watermarks", "zones", Room::Memory);
pub(super) const VMALLOC: Topic = topic("Areas of vmalloc", "vmalloc", Room::Memory);
pub(super) const KMEMLEAK: Topic = topic("What kmemleak had found", "kmemleak", Room::Memory);
pub(super) const ALLOCINFO: Topic = topic("Allocations by place", "allocinfo", Room::Memory);
pub(super) const PAGEOWNER: Topic = topic("Who allocated the pages", "pageowner", Room::Memory);
pub(super) const PS: Topic = topic("Processes", "ps", Room::Processes);
pub(super) const MEMCG: Topic = topic("Memory cgroups", "memcg", Room::Processes);
pub(super) const FILES: Topic = topic("Files in memory", "files", Room::Processes);
pub(super) const BPF: Topic = topic("BPF maps and programs", "bpf", Room::Processes);
pub(super) const CONNTRACK: Topic = topic("Connections", "conntrack --summary", Room::Network);
pub(super) const NAT: Topic = topic("Translations", "nat", Room::Network);
pub(super) const SOCKETS: Topic = topic("Sockets", "sockets", Room::Network);
pub(super) const NET: Topic = topic("Interfaces and namespaces", "net", Room::Network);
pub(super) const RULES: Topic = topic("Packet filters", "rules", Room::Network);
pub(super) const LIMITS: Topic = topic("Limits", "sysctl --check", Room::Kernel);
pub(super) const MODULES: Topic = topic("Modules", "modules", Room::Kernel);
pub(super) const OOM: Topic = topic("The out-of-memory killer", "log --oom", Room::Kernel);
pub(super) const LOG: Topic = topic("The end of the log", "log", Room::Kernel);
pub(super) const DUMP: Topic = topic("The dump", "info", Room::Kernel);

/// All of them.
pub(super) const ALL: [Topic; 24] = [
    PAGES, LEAKS, SLABS, RETAINED, MEMINFO, ZONES, VMALLOC, KMEMLEAK, ALLOCINFO, PAGEOWNER, PS,
    MEMCG, FILES, BPF, CONNTRACK, NAT, SOCKETS, NET, RULES, LIMITS, MODULES, OOM, LOG, DUMP,
];

/// Those that one search tells.
pub(super) const OF_SEARCH: [Topic; 3] = [PAGES, LEAKS, SLABS];

/// What somebody wrote freely: nothing tells which words of it are names.
pub(super) const FREE_TEXT: [Topic; 3] = [RULES, OOM, LOG];

/// As `--sections` takes it.
pub(super) fn parse(name: &str) -> Result<String, String> {
    let known = ALL.iter().map(Topic::id);
    let known: Vec<String> = known.collect();
    match known.iter().any(|one| one == name) {
        true => Ok(name.to_owned()),
        false => Err(format!("sections are {}", known.join(", "))),
    }
}

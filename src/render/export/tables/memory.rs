//! Caches, the ledger, processes and files.

use super::super::column::{Table, flag, made, maybe, real, signed, some, text, time, unsigned};
use crate::report::leaks::LeakCache;
use crate::report::pages::PagesReport;
use crate::subsys::fs::FileFacts;
use crate::subsys::task::ProcessFacts;

/// Those of `leaks`, which are those of `slabs` with the search's verdict.
pub static CACHES: Table<LeakCache> = Table {
    name: "caches",
    about: "A slab cache with the verdict of vmleak leaks",
    columns: &[
        text("name", "As in /proc/slabinfo", |row| some(&row.facts.name)),
        text(
            "aliases",
            "Names of caches merged into it, by commas",
            |row| made(row.facts.aliases.join(",")),
        ),
        text("address", "Of struct kmem_cache", |row| {
            made(row.facts.address)
        }),
        unsigned("object_size", "Bytes that its user asked for", |row| {
            Some(row.facts.object_size.into())
        }),
        unsigned("size", "Bytes from object to object", |row| {
            Some(row.facts.size.into())
        }),
        unsigned("objects_per_slab", "By the preferred order", |row| {
            Some(row.facts.objects_per_slab.into())
        }),
        unsigned("pages_per_slab", "By the preferred order", |row| {
            Some(row.facts.pages_per_slab.into())
        }),
        text("flags", "SLAB_* without the prefix, by blanks", |row| {
            made(row.facts.flags.join(" "))
        }),
        flag("reclaimable", "The kernel may shrink it", |row| {
            Some(row.facts.reclaimable)
        }),
        unsigned("active_objs", "As /proc/slabinfo counts", |row| {
            Some(row.facts.slabinfo.active_objs)
        }),
        unsigned("num_objs", "As /proc/slabinfo counts", |row| {
            Some(row.facts.slabinfo.num_objs)
        }),
        unsigned("num_slabs", "As /proc/slabinfo counts", |row| {
            Some(row.facts.slabinfo.num_slabs)
        }),
        unsigned("slabs", "Found", |row| Some(row.facts.exact.slabs)),
        unsigned("objects", "There is room for", |row| {
            Some(row.facts.exact.objects)
        }),
        unsigned("allocated", "Objects in use", |row| {
            Some(row.facts.exact.allocated)
        }),
        unsigned("free", "Objects that are free", |row| {
            Some(row.facts.exact.free)
        }),
        unsigned("pending_free", "Objects that wait for RCU", |row| {
            Some(row.facts.exact.pending_free)
        }),
        unsigned("bytes", "Of its pages", |row| Some(row.facts.exact.bytes)),
        unsigned("allocated_bytes", "Of objects in use", |row| {
            Some(row.facts.exact.allocated_bytes)
        }),
        flag("complete", "Nothing of it was missing or broken", |row| {
            Some(row.facts.exact.complete)
        }),
        text("verdict", "leak, suspect, inconclusive or clean", |row| {
            some(row.judgement.verdict.level.word())
        }),
        text("verdict_message", "In words", |row| {
            some(row.judgement.verdict.headline())
        }),
        unsigned(
            "unreachable_objects",
            "That nothing points to; null if that could not be told",
            |row| row.judgement.unreachable.objects,
        ),
        unsigned("unreachable_bytes", "Of these", |row| {
            row.judgement.unreachable.bytes
        }),
        text(
            "owner",
            "Whose they seem to be: a module, or vmlinux",
            |row| some(&row.judgement.owners.first()?.module),
        ),
    ],
};

/// A line of the ledger, or a holder within one.
#[derive(Clone, Debug)]
pub struct LedgerRow {
    kind: String,
    about: String,
    owner: Option<String>,
    pid: Option<u32>,
    comm: Option<String>,
    pages: u64,
    bytes: u64,
    how: &'static str,
}

impl LedgerRow {
    /// Lines add up to all of RAM; `holders` are parts of them.
    pub fn of(report: &PagesReport) -> Vec<Self> {
        let bytes = |pages: u64| pages.saturating_mul(report.page_bytes);
        let line = |kind: &str, about: &str, pages: u64, how| Self {
            kind: kind.to_owned(),
            about: about.to_owned(),
            owner: None,
            pid: None,
            comm: None,
            pages,
            bytes: bytes(pages),
            how,
        };
        let lines = report.ledger.lines.iter();
        let lines = lines.map(|one| line(&one.code, &one.name, one.pages, "line"));
        let owned = report.owned.iter().map(|one| Self {
            owner: Some(one.owner.name.clone()),
            pid: one.owner.pid,
            comm: one.owner.comm.clone(),
            ..line(one.owner.kind, one.owner.kind, one.pages, "owner")
        });
        let areas = report.areas.iter().map(|one| Self {
            owner: Some(one.caller.clone()),
            ..line("vmalloc", "areas of vmalloc by caller", one.pages, "area")
        });
        let pointed = report.pointed_to.iter().map(|one| Self {
            owner: Some(one.holder.clone()),
            ..line(
                "kernel_pointed_to",
                "by who points there",
                one.pages,
                "pointer",
            )
        });
        lines.chain(owned).chain(areas).chain(pointed).collect()
    }
}

/// That of `pages`.
pub static LEDGER: Table<LedgerRow> = Table {
    name: "ledger",
    about: "RAM by owner: the rows with how = line add up to all of it, the others are parts of them",
    columns: &[
        text("kind", "For programs: anon, slab, socket_buffers", |row| {
            some(&row.kind)
        }),
        text("about", "For people", |row| some(&row.about)),
        text("owner", "Which one", |row| maybe(&row.owner)),
        unsigned("pid", "The process that has it open", |row| {
            row.pid.map(u64::from)
        }),
        text("comm", "Its name", |row| maybe(&row.comm)),
        unsigned("pages", "How many", |row| Some(row.pages)),
        unsigned("bytes", "Of these", |row| Some(row.bytes)),
        text(
            "how",
            "line; owner, area or pointer: who holds a part of one, and how that is known",
            |row| some(row.how),
        ),
    ],
};

/// Those of `ps`.
pub static PROCESSES: Table<ProcessFacts> = Table {
    name: "processes",
    about: "A process or kernel thread",
    columns: &[
        unsigned("pid", "In the initial namespace", |row| {
            Some(row.pid.into())
        }),
        unsigned("ppid", "Of its parent", |row| row.ppid.map(u64::from)),
        text("comm", "Its name", |row| some(&row.comm)),
        text("state", "The letter that ps shows", |row| made(row.state?)),
        flag("kernel_thread", "It is one", |row| Some(row.kernel_thread)),
        flag("panicked", "The kernel died in it", |row| {
            Some(row.panicked)
        }),
        unsigned("uid", "Real user id", |row| row.uid.map(u64::from)),
        unsigned("threads", "That have not exited", |row| row.threads),
        signed("oom_score_adj", "-1000 (never killed) to 1000", |row| {
            row.oom_score_adj.map(i64::from)
        }),
        signed(
            "oom_badness",
            "What the out-of-memory killer compares, in pages",
            |row| row.oom_badness,
        ),
        text("cgroup", "Its path", |row| maybe(&row.cgroup)),
        real("start_seconds", "After boot", |row| row.start_seconds),
        time("start_time", "When it began", |row| {
            row.start_time.as_deref()
        }),
        unsigned("rss_anon_bytes", "Anonymous memory in RAM", |row| {
            Some(row.memory.as_ref()?.rss_anon_bytes)
        }),
        unsigned("rss_file_bytes", "Pages of files", |row| {
            Some(row.memory.as_ref()?.rss_file_bytes)
        }),
        unsigned("rss_shmem_bytes", "Shared memory and tmpfs", |row| {
            Some(row.memory.as_ref()?.rss_shmem_bytes)
        }),
        unsigned("swap_bytes", "Swapped out", |row| {
            Some(row.memory.as_ref()?.swap_bytes)
        }),
        unsigned("page_table_bytes", "Page tables", |row| {
            Some(row.memory.as_ref()?.page_table_bytes)
        }),
        unsigned("virtual_bytes", "Addresses", |row| {
            Some(row.memory.as_ref()?.virtual_bytes)
        }),
        unsigned("locked_bytes", "By mlock", |row| {
            Some(row.memory.as_ref()?.locked_bytes)
        }),
        unsigned("pinned_bytes", "For devices", |row| {
            Some(row.memory.as_ref()?.pinned_bytes)
        }),
        unsigned("peak_rss_bytes", "The most in RAM", |row| {
            Some(row.memory.as_ref()?.peak_rss_bytes)
        }),
        flag(
            "shares_memory",
            "A process before it has the same memory",
            |row| Some(row.shares_memory),
        ),
        text("address", "Of its task_struct", |row| made(row.address)),
    ],
};

/// Those of `files`, all that are in memory.
pub static FILES: Table<FileFacts> = Table {
    name: "files",
    about: "A file of which pages are in memory",
    columns: &[
        text("path", "null if nothing in memory names it", |row| {
            maybe(&row.path)
        }),
        text("kind", "tmpfs, ext4 …", |row| some(&row.kind)),
        unsigned("inode", "Its number", |row| Some(row.inode)),
        text("address", "Of its struct inode", |row| made(row.address)),
        unsigned("cached_bytes", "In RAM", |row| Some(row.cached_bytes)),
        unsigned("swapped_bytes", "Of tmpfs and shared memory", |row| {
            Some(row.swapped_bytes)
        }),
        unsigned("size_bytes", "Its length", |row| Some(row.size)),
        flag("deleted", "No directory has it any more", |row| {
            Some(row.deleted)
        }),
        flag(
            "shmem",
            "Its pages are no copy of what is on a disk",
            |row| Some(row.shmem),
        ),
        text(
            "openers",
            "Who has it open: name, pid and descriptor, by commas",
            |row| made(openers(&row.openers)),
        ),
    ],
};

/// As `name:pid:descriptor`.
pub(super) fn openers(all: &[crate::subsys::fs::Opener]) -> String {
    let named = all
        .iter()
        .map(|one| format!("{}:{}:{}", one.comm, one.pid, one.fd));
    named.collect::<Vec<_>>().join(",")
}

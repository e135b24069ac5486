//! From a namespace to its tables, and what their entries point to.

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use super::XTable;
use super::blob::Blob;
use crate::addr::VirtAddr;
use crate::bytes::{c_string, u64_at};
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, layout};
use crate::kernel::modules::{self, Modules};
use crate::kernel::{Kernel, KernelError, Known, namespaces, walk};

layout! {
    /// include/net/netns/x_tables.h, up to 5.12.
    struct XtNetLayout = "net" in "net/core/net_namespace.c" {
        maybe tables = "xt.tables",
    }
}

layout! {
    /// net/netfilter/x_tables.c, 5.13 and later.
    struct XtPernetLayout = "xt_pernet" in "net/netfilter/x_tables.c" {
        need tables = "tables",
    }
}

layout! {
    /// include/linux/netfilter/x_tables.h
    struct TableLayout = "xt_table" in "net/netfilter/x_tables.c" {
        need list = "list",
        need valid_hooks = "valid_hooks",
        need private = "private",
        need family = "af",
        need name = "name",
    }
}

layout! {
    /// include/linux/netfilter/x_tables.h
    pub(super) struct InfoLayout = "xt_table_info" in "net/netfilter/x_tables.c" {
        need size = "size",
        need number = "number",
        need hook_entry = "hook_entry",
        need underflow = "underflow",
        need entries = "entries",
    }
}

layout! {
    /// include/linux/netfilter/x_tables.h
    struct MatchLayout = "xt_match" in "net/netfilter/x_tables.c" {
        need name = "name",
        need revision = "revision",
    }
}

layout! {
    /// include/linux/netfilter/x_tables.h
    struct TargetLayout = "xt_target" in "net/netfilter/x_tables.c" {
        need name = "name",
        need revision = "revision",
    }
}

/// NFPROTO_IPV4, NFPROTO_ARP, NFPROTO_IPV6, in the order in which they are shown.
const FAMILIES: [u8; 3] = [2, 10, 3];
/// More tables than a family has.
const MAX_TABLES: u64 = 1024;
/// XT_MAX_TABLE_SIZE.
const MAX_BLOB: u64 = 512 << 20;

/// Reads what x_tables has.
#[derive(Debug)]
pub(in super::super) struct Reader<'k> {
    pub(super) kernel: &'k Kernel,
    pub(super) cpus: Option<Cpus>,
    /// Whether counters are per CPU; `None` if that can't be read.
    pub(super) many_cpus: Option<bool>,
    pub(super) info: InfoLayout,
    net: XtNetLayout,
    pernet: Option<(XtPernetLayout, VirtAddr)>,
    table: TableLayout,
    matching: MatchLayout,
    target: TargetLayout,
    known: RefCell<FxHashMap<VirtAddr, Option<(String, u8)>>>,
}

impl<'k> Reader<'k> {
    /// `None` if the kernel has no x_tables.
    ///
    /// # Errors
    /// If its types don't describe them.
    pub(in super::super) fn new(
        kernel: &'k Kernel,
        modules: &Modules,
        cpus: Option<Cpus>,
    ) -> Result<Option<Self>, KernelError> {
        if modules::resolve(kernel, modules, "xt_register_table").is_none() {
            return Ok(None);
        }
        let net: XtNetLayout = kernel.layout()?;
        let id = modules::resolve(kernel, modules, "xt_pernet_id");
        if net.tables.is_none() && id.is_none() {
            return Ok(None);
        }
        let pernet = match id {
            Some(id) => Some((kernel.layout()?, id)),
            None => None,
        };
        Ok(Some(Self {
            many_cpus: match kernel.u32_of("nr_cpu_ids") {
                Known::Value(cpus) => Some(cpus > 1),
                Known::Absent => Some(false),
                Known::Missing(_) => cpus.as_ref().map(|cpus| cpus.len() > 1),
            },
            info: kernel.layout()?,
            matching: kernel.layout()?,
            target: kernel.layout()?,
            known: RefCell::default(),
            kernel,
            cpus,
            net,
            pernet,
            table: kernel.layout()?,
        }))
    }

    /// The head of a family's list in `struct net`, where the kernel keeps them there.
    pub(in super::super) fn listed_in_namespace(
        &self,
        net: VirtAddr,
        family: u8,
    ) -> Option<VirtAddr> {
        let tables = self.net.tables?;
        let at = u64::from(family) * 16;
        (at < u64::from(tables.size)).then(|| net.plus(u64::from(tables.offset) + at))
    }

    /// The tables of the namespace at `net`, but those of bridges.
    pub(in super::super) fn tables(&self, net: VirtAddr) -> Vec<XTable> {
        let (heads, size) = match (&self.pernet, self.net.tables) {
            (Some((layout, id)), _) => {
                let Some(own) = namespaces::generic(self.kernel, net, *id) else {
                    return Vec::new();
                };
                (
                    own.plus(u64::from(layout.tables.offset)),
                    layout.tables.size,
                )
            }
            (None, Some(tables)) => (net.plus(u64::from(tables.offset)), tables.size),
            (None, None) => return Vec::new(),
        };
        let families = FAMILIES
            .iter()
            .filter(|family| u32::from(**family) * 16 < size);
        let of = |family: &u8| self.listed(heads.plus(u64::from(*family) * 16));
        families.flat_map(of).collect()
    }

    fn listed(&self, head: VirtAddr) -> Vec<XTable> {
        let found = walk::list(&self.kernel.space, head, MAX_TABLES);
        if !found.end.is_complete() {
            self.kernel.diag.warn(
                "rules-list",
                format!("the list of tables of x_tables at {head} {} after {}: those behind it are missing", found.end.describe(), found.seen),
            );
        }
        let of = |link: VirtAddr| self.one(link.minus(u64::from(self.table.list.offset)));
        found.value.into_iter().filter_map(of).collect()
    }

    fn one(&self, at: VirtAddr) -> Option<XTable> {
        let layout = &self.table;
        let end = (layout.name.offset + layout.name.size) as usize;
        let record = self.kernel.space.read_bytes(at, layout.len.max(end)).ok()?;
        let name = record.get(layout.name.offset as usize..end)?;
        let info = VirtAddr(layout.private.get(&record));
        let head = self
            .kernel
            .space
            .read_bytes(info, self.info.len.max(64))
            .ok()?;
        let size = self.info.size.get(&head);
        if size > MAX_BLOB {
            self.kernel.diag.warn(
                "xt-size",
                format!("the table {} at {at} says that it has {size} bytes, which none has: it is damaged", c_string(name)),
            );
            return None;
        }
        let entries = info.plus(u64::from(self.info.entries.offset));
        // With a copy for each CPU (up to 4.1) this is an array of pointers to them.
        let mut bytes = vec![0; size as usize];
        let holes = self.kernel.space.read_there(entries, &mut bytes);
        let blob = Blob {
            reader: self,
            bytes: &bytes,
            head: &head,
            family: layout.family.get(&record) as u8,
            valid_hooks: layout.valid_hooks.get(&record) as u32,
        };
        let mut table = blob.table(c_string(name));
        let rules = table.chains.iter().flat_map(|chain| &chain.rules);
        if rules.clone().any(|rule| rule.packets.is_none()) {
            self.kernel.diag.warn(
                "xt-counters",
                format!("counters of the table {} of {} are not known: memory of the CPUs' parts is not in the dump", table.name, table.family.name()),
            );
        }
        if !table.complete || !holes.is_empty() {
            table.complete = false;
            self.kernel.diag.warn(
                "xt-cut",
                format!("rules of the table {} of {} are missing: memory of it is damaged or not in the dump", table.name, table.family.name()),
            );
        }
        Some(table)
    }

    /// Name and revision of a match or target; in the kernel the name has given way to a pointer.
    pub(in super::super) fn extension(&self, at: VirtAddr, is_match: bool) -> Option<(String, u8)> {
        if let Some(known) = self.known.borrow().get(&at) {
            return known.clone();
        }
        let (name, revision) = match is_match {
            true => (self.matching.name, self.matching.revision),
            false => (self.target.name, self.target.revision),
        };
        let found = self.named(at, name, revision);
        self.known.borrow_mut().insert(at, found.clone());
        found
    }

    fn named(&self, at: VirtAddr, name: Field, revision: Field) -> Option<(String, u8)> {
        let end = (name.offset + name.size) as usize;
        let record = self
            .kernel
            .space
            .read_bytes(at, end.max(revision.end()))
            .ok()?;
        let text = c_string(record.get(name.offset as usize..end)?);
        Some((text, revision.get(&record) as u8))
    }

    /// Packets and bytes of `struct xt_counters`, at both words of which there is what is given.
    /// `None` if not all CPUs' parts can be read.
    pub(super) fn counters(&self, packets: u64, bytes: u64) -> Option<(u64, u64)> {
        if !self.many_cpus? {
            return Some((packets, bytes));
        }
        let mut sum = (0u64, 0u64);
        for (_, at) in self.cpus.as_ref()?.instances(VirtAddr(packets)) {
            let both = self.kernel.space.read_bytes(at, 16).ok()?;
            sum.0 = sum.0.wrapping_add(u64_at(&both, 0)?);
            sum.1 = sum.1.wrapping_add(u64_at(&both, 8)?);
        }
        Some(sum)
    }
}

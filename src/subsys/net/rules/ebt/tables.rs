//! From a namespace to its tables, and the counters of their rules.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::xt::{self, XFamily, XTable};
use super::blob::{Blob, HOOKS};
use crate::addr::VirtAddr;
use crate::bytes::{c_string, u64_at};
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::modules::{self, Modules};
use crate::kernel::{Kernel, KernelError, namespaces, walk};

layout! {
    /// net/bridge/netfilter/ebtables.c, 5.13 and later.
    struct EbtPernetLayout = "ebt_pernet" in "net/bridge/netfilter/ebtables.c" {
        need tables = "tables",
    }
}

layout! {
    /// include/linux/netfilter_bridge/ebtables.h
    struct EbtTableLayout = "ebt_table" in "net/bridge/netfilter/ebtables.c" {
        need list = "list",
        need name = "name",
        need valid_hooks = "valid_hooks",
        need private = "private",
    }
}

layout! {
    /// include/linux/netfilter_bridge/ebtables.h
    struct EbtInfoLayout = "ebt_table_info" in "net/bridge/netfilter/ebtables.c" {
        need entries_size = "entries_size",
        need nentries = "nentries",
        need hook_entry = "hook_entry",
        need entries = "entries",
        need counters = "counters",
    }
}

/// NFPROTO_BRIDGE.
pub(in super::super) const BRIDGE: u8 = 7;
/// More tables than there are.
const MAX_TABLES: u64 = 1024;
/// As many bytes as other tables of x_tables may have (XT_MAX_TABLE_SIZE).
const MAX_BLOB: u64 = 512 << 20;
/// `struct ebt_counter`.
const COUNTER: usize = 16;

/// Reads what ebtables has.
#[derive(Debug)]
pub(in super::super) struct Reader<'r, 'k> {
    kernel: &'k Kernel,
    /// Of the matches and targets, which are of x_tables.
    extensions: &'r xt::Reader<'k>,
    cpus: Option<Cpus>,
    pernet: Option<(EbtPernetLayout, VirtAddr)>,
    table: EbtTableLayout,
    info: EbtInfoLayout,
    /// Names of tables in the order of their modules, the last loaded first.
    order: Vec<String>,
}

impl<'r, 'k> Reader<'r, 'k> {
    /// `None` if the kernel has no ebtables.
    ///
    /// # Errors
    /// If its types don't describe them.
    pub(in super::super) fn new(
        kernel: &'k Kernel,
        modules: &Modules,
        cpus: Option<Cpus>,
        extensions: &'r xt::Reader<'k>,
    ) -> Result<Option<Self>, KernelError> {
        if modules::resolve(kernel, modules, "ebt_register_table").is_none() {
            return Ok(None);
        }
        let pernet = match modules::resolve(kernel, modules, "ebt_pernet_id") {
            Some(id) => Some((kernel.layout()?, id)),
            None => None,
        };
        let of_module = |name: &str| name.strip_prefix("ebtable_").map(str::to_owned);
        Ok(Some(Self {
            table: kernel.layout()?,
            info: kernel.layout()?,
            order: modules.iter().filter_map(|m| of_module(&m.name)).collect(),
            kernel,
            extensions,
            cpus,
            pernet,
        }))
    }

    /// The tables of the namespace at `net`, in the order of /proc/modules, which is that of
    /// `ebtables-save`.
    pub(in super::super) fn tables(&self, net: VirtAddr) -> Vec<XTable> {
        let head = match &self.pernet {
            Some((layout, id)) => namespaces::generic(self.kernel, net, *id)
                .map(|own| own.plus(u64::from(layout.tables.offset))),
            None => self.extensions.listed_in_namespace(net, BRIDGE),
        };
        let Some(head) = head else { return Vec::new() };
        let found = walk::list(&self.kernel.space, head, MAX_TABLES);
        if !found.end.is_complete() {
            self.kernel.diag.warn(
                "rules-list",
                format!("the list of tables of ebtables at {head} {} after {}: those behind it are missing", found.end.describe(), found.seen),
            );
        }
        let of = |link: VirtAddr| self.one(link.minus(u64::from(self.table.list.offset)));
        let mut tables: Vec<XTable> = found.value.into_iter().filter_map(of).collect();
        let place = |table: &XTable| self.order.iter().position(|name| *name == table.name);
        tables.sort_by_key(|table| place(table).unwrap_or(usize::MAX));
        tables
    }

    fn one(&self, at: VirtAddr) -> Option<XTable> {
        let space = &self.kernel.space;
        let (layout, info) = (&self.table, &self.info);
        let end = (layout.name.offset + layout.name.size) as usize;
        let record = space.read_bytes(at, layout.len.max(end)).ok()?;
        let name = c_string(record.get(layout.name.offset as usize..end)?);
        let private = VirtAddr(layout.private.get(&record));
        let hooks_end = info.hook_entry.offset as usize + HOOKS.len() * 8;
        let head = space.read_bytes(private, info.len.max(hooks_end)).ok()?;
        let size = info.entries_size.get(&head);
        // Each rule is longer than its counter.
        let rules = info.nentries.get(&head);
        if size > MAX_BLOB || rules * COUNTER as u64 > size {
            self.kernel.diag.warn(
                "xt-size",
                format!("the table {name} of bridges at {at} says that it has {size} bytes and {rules} rules, which none has: it is damaged"),
            );
            return None;
        }
        let entries = VirtAddr(info.entries.get(&head));
        let mut bytes = vec![0; size as usize];
        let holes = space.read_there(entries, &mut bytes);
        let valid = layout.valid_hooks.get(&record);
        let of_hook = |hook: usize| {
            let at = u64_at(&head, info.hook_entry.offset as usize + hook * 8)?;
            let within = VirtAddr(at).offset_from(entries)?;
            (valid >> hook & 1 == 1).then_some((usize::try_from(within).ok()?, hook as u32))
        };
        let begins: BTreeMap<usize, u32> = (0..HOOKS.len()).filter_map(of_hook).collect();
        let counters = self.counters(private, rules as usize);
        let blob = Blob {
            bytes: &bytes,
            begins: &begins,
            counters: &counters,
            names: &|at, is_match| self.extensions.extension(at, is_match),
        };
        let (chains, complete) = blob.chains();
        let counted: usize = chains.iter().map(|chain| chain.rules.len()).sum();
        let table = XTable {
            family: XFamily(BRIDGE),
            name,
            chains,
            complete: complete && counted == rules as usize && holes.is_empty(),
        };
        self.say(&table, &counters);
        Some(table)
    }

    /// What is missing.
    fn say(&self, table: &XTable, counters: &[Option<(u64, u64)>]) {
        if counters.iter().any(Option::is_none) {
            self.kernel.diag.warn(
                "xt-counters",
                format!("counters of the table {} of {} are not known: memory of them is not in the dump", table.name, table.family.name()),
            );
        }
        if !table.complete {
            self.kernel.diag.warn(
                "xt-cut",
                format!("rules of the table {} of {} are missing: memory of it is damaged or not in the dump", table.name, table.family.name()),
            );
        }
    }

    /// Packets and bytes of each rule, summed up over the CPUs; `None` where a part of one is not
    /// there. Each CPU's begin at a line of the cache.
    fn counters(&self, private: VirtAddr, rules: usize) -> Vec<Option<(u64, u64)>> {
        let Some(cpus) = &self.cpus else {
            return vec![None; rules];
        };
        let base = private.plus(u64::from(self.info.counters.offset));
        let step = (rules * COUNTER).next_multiple_of(self.line());
        let mut sums = vec![Some((0u64, 0u64)); rules];
        let mut bytes = vec![0; rules * COUNTER];
        for cpu in cpus.numbers() {
            let own = base.plus(u64::from(cpu) * step as u64);
            let holes = self.kernel.space.read_there(own, &mut bytes);
            add(&mut sums, &bytes, &holes);
        }
        sums
    }

    /// SMP_CACHE_BYTES, to which the structure's counters are aligned: the least that leads from
    /// what is before them to where they are. Where 64 and 128 both do, kernels have 64.
    fn line(&self) -> usize {
        line(self.info.entries.end(), self.info.counters.offset as usize)
    }
}

/// The least power of two that aligns `end` to `offset`.
fn line(end: usize, offset: usize) -> usize {
    let mut line = COUNTER;
    while line < offset && end.next_multiple_of(line) != offset {
        line *= 2;
    }
    line
}

/// Adds one CPU's counters, which are missing in `holes`.
fn add(sums: &mut [Option<(u64, u64)>], bytes: &[u8], holes: &[Range<usize>]) {
    for (number, sum) in sums.iter_mut().enumerate() {
        let at = number * COUNTER;
        let lost = |hole: &Range<usize>| hole.start < at + COUNTER && at < hole.end;
        let both = u64_at(bytes, at).zip(u64_at(bytes, at + 8));
        *sum = match (*sum, both) {
            (Some(sum), Some((packets, size))) if !holes.iter().any(lost) => {
                Some((sum.0.wrapping_add(packets), sum.1.wrapping_add(size)))
            }
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_caches() {
        assert_eq!(line(72, 128), 64);
        assert_eq!(line(72, 96), 32);
        assert_eq!(line(72, 256), 256);
        assert_eq!(line(128, 128), 16);
    }

    #[test]
    fn a_hole_costs_the_rules_in_it() {
        let mut sums = vec![Some((1, 1)); 3];
        let mut bytes = vec![0; 48];
        bytes[0] = 2;
        bytes[24] = 9;
        add(&mut sums, &bytes, std::slice::from_ref(&(32..48)));
        assert_eq!(sums, [Some((3, 1)), Some((1, 10)), None]);
    }
}

//! Connection tracking at the crash: every connection, expectation and counter.
//!
//! Layer: subsystem. Input: a [`Kernel`] and the symbols of nf_conntrack, which is a
//! module on most distributions. Output: [`Conntrack`], whose table is walked with
//! [`Table::walk`]. Invariants: an entry is given once; a broken chain costs that chain,
//! and is counted.

pub mod entry;
pub mod expect;
mod ext;
pub mod gc;
mod id;
mod layouts;
mod links;
mod lists;
mod named;
pub mod netns;
mod ordered;
pub mod state;
pub mod stats;
pub mod table;
pub mod tuple;

use serde::Serialize;

pub use ext::{Counter, Extensions};
pub use id::IdHasher;

use self::entry::{Entry, EntryReader};
use self::expect::Expectation;
use self::stats::CpuStats;
use self::table::{Part, Table};
use crate::addr::VirtAddr;
use crate::kernel::modules::{self, Modules};
use crate::kernel::{Kernel, KernelError, Known};
use crate::subsys::clock::Clock;
use crate::subsys::mm::slab::{NoProgress, SlabHeap};

/// Where the symbols of nf_conntrack are: in the kernel, or in its module.
pub trait Symbols: Sync {
    /// Run-time address of a symbol.
    fn address(&self, name: &str) -> Option<VirtAddr>;

    /// Whether the module that has the symbol `of` has a literal that is `text`; `None` if that
    /// can't be told, as of what is built in.
    fn has_literal(&self, of: &str, text: &str) -> Option<bool> {
        let _ = (of, text);
        None
    }
}

/// The kernel's symbols and those of its modules.
impl Symbols for (&Kernel, &Modules) {
    fn address(&self, name: &str) -> Option<VirtAddr> {
        modules::resolve(self.0, self.1, name)
    }

    fn has_literal(&self, of: &str, text: &str) -> Option<bool> {
        let (kernel, modules) = self;
        let (module, _) = modules.symbol_in(of)?;
        let literal = [&[0], text.as_bytes(), &[0]].concat();
        let mut whole = true;
        for region in &module.regions {
            let len = region.size.min(MAX_MODULE) as usize;
            match kernel.space.quiet().read_bytes(region.base, len) {
                Ok(data) if memchr::memmem::find(&data, &literal).is_some() => return Some(true),
                Ok(_) => {}
                Err(_) => whole = false,
            }
        }
        whole.then_some(false)
    }
}

/// More than any module has.
const MAX_MODULE: u64 = 1 << 24;

/// The table's bounds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Limits {
    /// Connections, by the kernel's counters over all namespaces.
    pub count: Option<u64>,
    /// `nf_conntrack_max`.
    pub max: Option<u64>,
    /// `nf_conntrack_htable_size`.
    pub buckets: u64,
    /// Expectations, by the kernel's counters.
    pub expect_count: Option<u64>,
}

/// Allocated connections against those found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Reconciliation {
    /// Allocated objects of the slab cache; `None` if they can't be listed.
    pub allocated: Option<u64>,
    /// In the hash table.
    pub in_hash: u64,
    /// On lists of unconfirmed connections.
    pub unconfirmed: u64,
    /// On lists of dying connections.
    pub dying: u64,
    /// Allocated, but found nowhere; `None` if that can't be known.
    pub unlinked: Option<u64>,
    /// By the kernel's counters.
    pub counted: Option<u64>,
    /// Lists of unconfirmed and dying connections that are broken: what is behind the break
    /// counts as unlinked.
    pub lists_broken: u64,
}

/// Connection tracking of one dump.
#[derive(Debug)]
pub struct Conntrack<'k> {
    /// The hash table.
    pub table: Table<'k>,
    /// How full it may be.
    pub limits: Limits,
    /// All expectations.
    pub expectations: Vec<Expectation>,
    /// Per CPU and namespace.
    pub stats: Vec<CpuStats>,
    /// The garbage collector's last round.
    pub gc: gc::GcFacts,
    ids: Option<IdHasher>,
}

/// The arrays of buckets with their lengths: of each namespace up to 4.6, of all together since.
fn arrays(
    kernel: &Kernel,
    symbols: &dyn Symbols,
    namespaces: &[netns::Namespace],
) -> Result<Vec<(VirtAddr, u64)>, KernelError> {
    let own: Vec<_> = namespaces.iter().filter_map(|ns| ns.own_table).collect();
    // A kernel that has conntrack as a module has their places without it.
    let loaded = symbols.address("nf_conntrack_max").is_some();
    let arrays: Vec<_> = match own.is_empty() || !loaded {
        false => own.iter().map(|one| (one.hash, one.buckets)).collect(),
        true => vec![one_array(kernel, symbols)?],
    };
    for (hash, buckets) in &arrays {
        if *buckets == 0 || hash.is_null() {
            kernel.diag.warn(
                "conntrack-no-table",
                format!("the connection table is at {hash} and has {buckets} buckets, which no table has: its variables are damaged, or it was being set up or taken down; no connection can be found by it"),
            );
        }
    }
    Ok(arrays)
}

/// `nf_conntrack_hash` and its length.
fn one_array(kernel: &Kernel, symbols: &dyn Symbols) -> Result<(VirtAddr, u64), KernelError> {
    let hash_at = symbols.address("nf_conntrack_hash").ok_or_else(|| {
        KernelError::Unsupported(
            "connection tracking was not loaded: no symbol nf_conntrack_hash in the kernel or its modules".into(),
        )
    })?;
    let hash = kernel.space.read_ptr(hash_at);
    let hash = hash.map_err(|fault| KernelError::Memory {
        what: "the connection table",
        fault,
    })?;
    let name = "nf_conntrack_htable_size";
    let read = |at| kernel.space.read_u32(at).map(u64::from);
    let size = Known::of(symbols.address(name).map(read));
    Ok((hash, size.there(name)?.unwrap_or(0)))
}

impl<'k> Conntrack<'k> {
    /// Finds the table and reads everything about it but its entries.
    ///
    /// # Errors
    /// If the kernel tracks no connections, or its types don't say how.
    pub fn open(kernel: &'k Kernel, symbols: &dyn Symbols) -> Result<Self, KernelError> {
        let Some(clock) = Clock::read(kernel)? else {
            return Err(KernelError::Unsupported(
                "neither tick_nsec nor ntp_data tells this kernel's HZ: timeouts can't be read"
                    .into(),
            ));
        };
        let word = |name: &str| {
            let read = |at| kernel.space.read_u32(at).map(u64::from);
            Known::of(symbols.address(name).map(read))
        };
        let namespaces = netns::read_all(kernel, symbols, clock.hz)?;
        let reader = EntryReader::new(kernel, symbols, clock)?;
        let arrays = arrays(kernel, symbols, &namespaces)?;
        let expectations = expect::read_all(kernel, symbols, &reader, &namespaces)?;
        let sum =
            |counts: &mut dyn Iterator<Item = Option<u64>>| counts.flatten().reduce(|a, b| a + b);
        let limits = Limits {
            count: sum(&mut namespaces.iter().map(|ns| ns.count)),
            max: word("nf_conntrack_max").value(),
            buckets: arrays.iter().fold(0, |sum, one| one.1.saturating_add(sum)),
            expect_count: sum(&mut namespaces.iter().map(|ns| ns.expect_count)),
        };
        let ram = kernel
            .dump()
            .max_pfn()
            .saturating_mul(kernel.dump().page_size() as u64);
        let parts = Part::all(arrays.into_iter(), ram / 8);
        Ok(Self {
            stats: stats::read_all(kernel, &namespaces)?,
            gc: gc::read(kernel, symbols, &clock)?,
            ids: IdHasher::read(kernel, symbols),
            table: Table {
                // No chain is longer than there is room for connections in RAM.
                bound: (ram / reader.conn.struct_size.max(1) as u64).min(1 << 32),
                buckets: usize::try_from(parts.iter().map(|part| part.buckets).sum::<u64>())
                    .unwrap_or(0),
                parts,
                expected: limits.count,
                kernel,
                reader,
                namespaces,
            },
            limits,
            expectations,
        })
    }

    /// All namespaces.
    pub fn namespaces(&self) -> &[netns::Namespace] {
        &self.table.namespaces
    }

    /// The clocks that timeouts are measured by.
    pub fn clock(&self) -> &Clock {
        &self.table.reader.clock
    }

    /// The id of a connection, as `conntrack -o id` shows it.
    pub fn id(&self, entry: &Entry) -> Option<u32> {
        self.ids
            .as_ref()?
            .id(self.table.kernel, &self.table.reader, entry)
    }

    /// Entries on the unconfirmed and dying lists, and how many of these lists are broken.
    ///
    /// # Errors
    /// If the kernel's types don't describe them.
    pub fn listed(&self) -> Result<(Vec<Entry>, u64), KernelError> {
        lists::listed(&self.table)
    }

    /// Allocated connections, by address; `None` if the kernel has no cache of its own for them.
    /// Where the slab allocator can't be read, says why in a warning.
    pub fn allocated(kernel: &Kernel) -> Option<Vec<VirtAddr>> {
        match SlabHeap::read(kernel, &NoProgress) {
            Ok(heap) => Self::allocated_in(&heap),
            Err(why) => {
                kernel.diag.warn(
                    "unlinked-unknown",
                    format!("connections on no list can't be looked for: {why}"),
                );
                None
            }
        }
    }

    /// The same, of a heap that was read.
    pub fn allocated_in(heap: &SlabHeap<'_>) -> Option<Vec<VirtAddr>> {
        lists::allocated(heap)
    }

    /// Those of `allocated` that are not `known` to be on a list; both are sorted by address.
    pub fn unlinked(&self, allocated: &[VirtAddr], known: &[VirtAddr]) -> Vec<Entry> {
        lists::unlinked(&self.table, allocated, known)
    }
}

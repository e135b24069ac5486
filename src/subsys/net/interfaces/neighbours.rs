//! Neighbours: who has which address on the link (net/core/neighbour.c).

use std::net::{Ipv4Addr, Ipv6Addr};

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::addr::VirtAddr;
use crate::bytes::slice;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, walk};
use crate::partial::{End, Partial};

layout! {
    /// include/net/neighbour.h
    struct NeighbourTableLayout = "neigh_table" in "net/core/neighbour.c" {
        need key_len = "key_len",
        need gc_thresh1 = "gc_thresh1",
        need gc_thresh2 = "gc_thresh2",
        need gc_thresh3 = "gc_thresh3",
        need entries = "entries.counter",
        /// 5.0 and later (commit 58956317c8de): those that are not there for good.
        maybe gc_entries = "gc_entries.counter",
        need hash = "nht",
    }
}

layout! {
    /// include/net/neighbour.h
    struct NeighbourHashLayout = "neigh_hash_table" in "net/core/neighbour.c" {
        /// 6.13 and later (commit f7f52738637f): `hlist`s.
        maybe heads = "hash_heads",
        maybe buckets = "hash_buckets",
        need shift = "hash_shift",
    }
}

layout! {
    /// include/net/neighbour.h
    struct NeighbourEntryLayout = "neighbour" in "net/core/neighbour.c" {
        maybe link = "hash",
        maybe next = "next",
        need device = "dev",
        need state = "nud_state",
        need address = "ha",
        need queue_len = "arp_queue_len_bytes",
        need key = "primary_key",
    }
}

/// 1 << 31 would be all of memory.
const MAX_SHIFT: u64 = 24;
const MAX_CHAIN: u64 = 1 << 20;
/// All states but NUD_NONE and NUD_NOARP alone are shown.
const NOARP: u64 = 0x40;

/// One neighbour.
#[derive(Clone, Debug, Serialize)]
pub struct NeighbourFacts {
    /// Its `struct neighbour`.
    pub entry: VirtAddr,
    /// Its address.
    pub address: String,
    /// Its hardware address, as long as any can be.
    pub mac: String,
    /// The device behind which it is.
    pub device: String,
    /// The namespace of that; `None` if the device is on no list.
    pub netns: Option<u32>,
    /// `reachable`, `stale`, ….
    pub state: &'static str,
    /// NUD_….
    #[serde(skip)]
    pub state_number: u64,
    /// Packets that wait for its hardware address, in bytes.
    pub waiting_bytes: u64,
}

/// One table, which all namespaces share.
#[derive(Clone, Debug, Serialize)]
pub struct NeighbourTable {
    /// `ipv4` or `ipv6`.
    pub family: &'static str,
    /// As many as the kernel counts.
    pub entries: u64,
    /// Of these, those that count against the thresholds.
    pub gc_entries: Option<u64>,
    /// Up to so many nothing is collected.
    pub gc_thresh1: u64,
    /// From so many on those of the last seconds are collected too.
    pub gc_thresh2: u64,
    /// There are no more.
    pub gc_thresh3: u64,
    /// In the order of the table.
    pub neighbours: Vec<NeighbourFacts>,
}

/// Both tables, and whether all of them could be read; `names` has the devices with their
/// namespaces.
pub(super) fn read(
    kernel: &Kernel,
    names: &FxHashMap<VirtAddr, (String, u32)>,
) -> Result<(Vec<NeighbourTable>, bool), KernelError> {
    let reader = Reader {
        kernel,
        names,
        table: kernel.layout()?,
        hash: kernel.layout()?,
        entry: kernel.layout()?,
    };
    let mut found = Vec::new();
    let mut complete = true;
    let tables = [
        ("ipv4", kernel.symbol("arp_tbl")),
        ("ipv6", kernel.symbol("nd_tbl")),
    ];
    for (family, at) in tables {
        let Some(at) = at else { continue };
        match reader.one(family, at) {
            Some((table, end)) => {
                found.push(table);
                complete &= end.is_complete();
            }
            None => complete = false,
        }
    }
    Ok((found, complete))
}

struct Reader<'k> {
    kernel: &'k Kernel,
    names: &'k FxHashMap<VirtAddr, (String, u32)>,
    table: NeighbourTableLayout,
    hash: NeighbourHashLayout,
    entry: NeighbourEntryLayout,
}

impl Reader<'_> {
    fn one(&self, family: &'static str, at: VirtAddr) -> Option<(NeighbourTable, End)> {
        let space = &self.kernel.space;
        let layout = &self.table;
        let record = space.read_bytes(at, layout.len).ok()?;
        let hash = VirtAddr(layout.hash.get(&record));
        let hash = space.read_bytes(hash, self.hash.len).ok()?;
        let shift = self.hash.shift.get(&hash).min(MAX_SHIFT);
        let key_len = layout.key_len.get(&record) as usize;
        let mut neighbours = Vec::new();
        let mut end = End::Complete;
        for bucket in 0..1u64 << shift {
            let nodes = self.bucket(&hash, bucket);
            if !nodes.end.is_complete() {
                end = nodes.end;
            }
            for at in nodes.value {
                match self.entry(at, key_len) {
                    Some(neighbour) => neighbours.push(neighbour),
                    None => end = End::Fault,
                }
            }
        }
        let table = NeighbourTable {
            family,
            entries: layout.entries.get(&record),
            gc_entries: layout.gc_entries.map(|field| field.get(&record)),
            gc_thresh1: layout.gc_thresh1.get(&record),
            gc_thresh2: layout.gc_thresh2.get(&record),
            gc_thresh3: layout.gc_thresh3.get(&record),
            neighbours,
        };
        Some((table, end))
    }

    /// The entries of one bucket.
    fn bucket(&self, hash: &[u8], bucket: u64) -> Partial<Vec<VirtAddr>> {
        let space = &self.kernel.space;
        match (
            self.hash.heads,
            self.entry.link,
            self.hash.buckets,
            self.entry.next,
        ) {
            (Some(heads), Some(link), ..) => {
                let head = VirtAddr(heads.get(hash)).plus(bucket * 8);
                let mut nodes = walk::hlist(space, head, MAX_CHAIN);
                for node in &mut nodes.value {
                    *node = node.minus(u64::from(link.offset));
                }
                nodes
            }
            (.., Some(buckets), Some(next)) => {
                match space.read_ptr(VirtAddr(buckets.get(hash)).plus(bucket * 8)) {
                    Ok(first) => walk::chain(space, first, u64::from(next.offset), MAX_CHAIN),
                    Err(_) => Partial::new(Vec::new(), End::Fault, 0),
                }
            }
            _ => Partial::new(Vec::new(), End::BrokenLink, 0),
        }
    }

    fn entry(&self, at: VirtAddr, key_len: usize) -> Option<NeighbourFacts> {
        let layout = &self.entry;
        let key = layout.key.offset as usize;
        let len = layout.len.max(key + key_len.min(16));
        let record = self.kernel.space.read_bytes(at, len).ok()?;
        let address = match key_len {
            4 => {
                let octets: [u8; 4] = slice(&record, key, 4)?.try_into().ok()?;
                Ipv4Addr::from(octets).to_string()
            }
            16 => {
                let octets: [u8; 16] = slice(&record, key, 16)?.try_into().ok()?;
                Ipv6Addr::from(octets).to_string()
            }
            _ => return None,
        };
        let device = VirtAddr(layout.device.get(&record));
        let named = self.names.get(&device);
        // Ethernet's length; of other hardware, the first bytes.
        let mac = slice(&record, layout.address.offset as usize, 6)?;
        let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let number = layout.state.get(&record);
        Some(NeighbourFacts {
            entry: at,
            address,
            mac: mac.join(":"),
            device: named.map_or_else(|| device.to_string(), |(name, _)| name.clone()),
            netns: named.map(|(_, inum)| *inum),
            state: state(number),
            state_number: number,
            waiting_bytes: layout.queue_len.get(&record),
        })
    }
}

impl NeighbourFacts {
    /// Whether /proc/net/arp has it.
    pub fn is_shown(&self) -> bool {
        self.state_number & !NOARP != 0
    }
}

/// NUD_… of include/uapi/linux/neighbour.h, one of which is set.
fn state(number: u64) -> &'static str {
    match number {
        0 => "none",
        0x01 => "incomplete",
        0x02 => "reachable",
        0x04 => "stale",
        0x08 => "delay",
        0x10 => "probe",
        0x20 => "failed",
        0x40 => "noarp",
        0x80 => "permanent",
        _ => "unknown",
    }
}

//! Where socket buffers are: each that is in use by the allocator's count is on a queue, or on
//! none.
//!
//! Layer: subsys. Input: the objects of the two caches of `sk_buff`, and every queue that may hold
//! one. Output: [`SkbsFacts`]. Invariants: a buffer is counted at the first place where it is
//! found; of a pair made for cloning (`sk_buff_fclones`) one half may have been freed, which only
//! the place where the other lies tells, so a pair of which one half is found is found. Which
//! queues are looked through is listed: a driver's own rings are not, so that what is nowhere is a
//! candidate, not a finding.

mod places;
mod queues;

use rustc_hash::FxHashMap;
use serde::Serialize;

use self::places::Places;
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::slab::SlabHeap;
use crate::subsys::mm::slab::objects::{self, ObjectState};

layout! {
    /// include/linux/skbuff.h
    struct BufferLayout = "sk_buff" in "net/core/skbuff.c" {
        need bytes = "len",
        need truesize = "truesize",
        need users = "users.refs.counter" | "users.counter",
        need protocol = "protocol",
        need fclone = "fclone",
        need head = "head",
        need data = "data",
        need destructor = "destructor",
        need interface = "skb_iif",
    }
}

layout! {
    /// include/linux/skbuff.h
    struct PairLayout = "sk_buff_fclones" in "net/core/skbuff.c" {
        need second = "skb2",
        need references = "fclone_ref.refs.counter" | "fclone_ref.counter",
    }
}

layout! {
    /// include/net/hotdata.h, 6.9 and later (commit aa70d2d16f28).
    struct HotDataLayout = "net_hotdata" in "net/core/hotdata.c" {
        maybe buffers = "skbuff_cache",
        maybe pairs = "skbuff_fclone_cache",
    }
}

/// SKB_FCLONE_ORIG and SKB_FCLONE_CLONE.
const ORIGINAL: u64 = 1;
const CLONE: u64 = 2;
/// Of those that are nowhere, so many are kept.
const KEPT: usize = 1000;

/// What lies in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SkbPlace {
    /// `tcp receive`, `qdisc netem`, `neighbour`, ….
    pub place: String,
    /// How many.
    pub skbs: u64,
    /// Their data.
    pub bytes: u64,
    /// What they are charged for, or would be.
    pub truesize_bytes: u64,
}

/// One that is in no place that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LostSkb {
    /// Where it lies.
    pub address: VirtAddr,
    /// Its data, in bytes.
    pub bytes: u64,
    /// What it is charged for.
    pub truesize_bytes: u64,
    /// ETH_P_….
    pub protocol: String,
    /// Number of the device that it came in by.
    pub ifindex: u64,
    /// References to it; one that was freed by the last of them keeps one.
    pub users: u64,
    /// Who is to be told when it is freed.
    pub destructor: Option<String>,
    /// It is one of a pair.
    pub pair: bool,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SkbsFacts {
    /// Objects of both caches that are in use; a pair is one. `None` if a cache was not found.
    pub objects: Option<u64>,
    /// Where they are, the most first.
    pub places: Vec<SkbPlace>,
    /// Objects on none.
    pub nowhere_objects: u64,
    /// The first of them.
    pub nowhere: Vec<LostSkb>,
    /// Objects of a cache that buffers share with others, and that are none.
    pub others: u64,
    /// Whether caches and queues could be read as a whole.
    #[serde(skip)]
    pub complete: bool,
}

/// Finds each buffer. `on_sockets` are those on queues of sockets, with the place's name;
/// `functions` names one.
///
/// # Errors
/// If the kernel's types lack what buffers are made of.
pub fn collect(
    heap: &SlabHeap<'_>,
    on_sockets: &[(VirtAddr, &'static str)],
    functions: &dyn Fn(u64) -> String,
) -> Result<SkbsFacts, KernelError> {
    let kernel = heap.kernel();
    let mut places = Places::new(kernel)?;
    for (at, place) in on_sockets {
        places.add(*at, &format!("sockets, {place}"));
    }
    queues::add_all(kernel, &mut places)?;
    places.add_fragments_of_all();
    let mut finder = Finder {
        kernel,
        functions,
        buffer: kernel.layout()?,
        pair: kernel.layout()?,
        places,
        sums: FxHashMap::default(),
        facts: SkbsFacts {
            objects: Some(0),
            places: Vec::new(),
            nowhere_objects: 0,
            nowhere: Vec::new(),
            others: 0,
            complete: true,
        },
    };
    let hot = hot_data(kernel);
    let caches = [
        (kernel.u64_of("skbuff_head_cache"), hot.0, false),
        (kernel.u64_of("skbuff_fclone_cache"), hot.1, true),
    ];
    for (variable, hot, pairs) in caches {
        let at = variable.value().map(VirtAddr).or(hot);
        finder.cache(heap, at, pairs);
    }
    Ok(finder.finish())
}

/// The caches where they are not variables of their own.
fn hot_data(kernel: &Kernel) -> (Option<VirtAddr>, Option<VirtAddr>) {
    let Some((at, layout)) = kernel
        .symbol("net_hotdata")
        .zip(kernel.layout::<HotDataLayout>().ok())
    else {
        return (None, None);
    };
    let read = |field: Option<crate::kernel::layout::Field>| {
        let at = at.plus(u64::from(field?.offset));
        kernel.space.read_ptr(at).ok()
    };
    (read(layout.buffers), read(layout.pairs))
}

/// More references than a buffer has, and more bytes than one is charged for: 64 KiB with what its
/// fragments waste are far below.
const MOST_USERS: u64 = 1 << 16;
const MOST_BYTES: u64 = 16 << 20;

impl BufferLayout {
    /// Whether an object of a cache that others share can be a buffer in use: somebody has it, its
    /// data begin in its head, and it is charged for them and for itself.
    fn may_be_one(&self, record: &[u8]) -> bool {
        let (bytes, truesize) = (self.bytes.get(record), self.truesize.get(record));
        let (head, data) = (self.head.get(record), self.data.get(record));
        (1..MOST_USERS).contains(&self.users.get(record))
            && head >> 47 != 0
            && data.wrapping_sub(head) < MOST_BYTES
            && bytes <= truesize
            && (self.struct_size as u64..MOST_BYTES).contains(&truesize)
    }
}

struct Finder<'k> {
    kernel: &'k Kernel,
    functions: &'k dyn Fn(u64) -> String,
    buffer: BufferLayout,
    pair: PairLayout,
    places: Places<'k>,
    sums: FxHashMap<String, SkbPlace>,
    facts: SkbsFacts,
}

impl Finder<'_> {
    /// The objects of the cache at an address.
    fn cache(&mut self, heap: &SlabHeap<'_>, at: Option<VirtAddr>, pairs: bool) {
        let found = at.and_then(|at| heap.caches().iter().position(|cache| cache.address == at));
        let Some(index) = found else {
            self.facts.complete = false;
            self.facts.objects = None;
            self.kernel.diag.warn(
                "skb-cache",
                "a cache of socket buffers is not among the slab caches: its buffers are missing",
            );
            return;
        };
        let mut unknown = 0u64;
        let mut all = Vec::new();
        let whole = objects::each(heap, index, |object| match object.state {
            ObjectState::Allocated => all.push(object.address),
            ObjectState::Unknown => unknown += 1,
            _ => {}
        });
        self.facts.complete &= whole && unknown == 0;
        // Up to 4.15 caches of buffers were merged with others of their size.
        let shared = heap
            .caches()
            .get(index)
            .is_some_and(|cache| cache.refcount > 1);
        for at in all {
            let seen = if pairs {
                self.pair(at)
            } else {
                self.one(at, shared)
            };
            if seen.is_none() {
                self.facts.complete = false;
            }
        }
    }

    fn one(&mut self, at: VirtAddr, shared: bool) -> Option<()> {
        let record = self.kernel.space.read_bytes(at, self.buffer.len).ok()?;
        let place = self.places.of(at).map(str::to_owned);
        if place.is_none() && shared && !self.buffer.may_be_one(&record) {
            self.facts.others += 1;
            return Some(());
        }
        self.facts.objects = self.facts.objects.map(|count| count + 1);
        match place {
            Some(place) => self.count(place, &record),
            None => self.nowhere(at, &record, false),
        }
        Some(())
    }

    fn pair(&mut self, at: VirtAddr) -> Option<()> {
        let space = &self.kernel.space;
        let second = at.plus(u64::from(self.pair.second.offset));
        let record = space.read_bytes(at, self.buffer.len).ok()?;
        let other = space.read_bytes(second, self.buffer.len).ok()?;
        let references = at.plus(u64::from(self.pair.references.offset));
        let references = space.read_u32(references).ok()?;
        // The cache may be merged with another, whose objects are none.
        let fclone = |record: &[u8]| self.buffer.fclone.get(record);
        let is_pair = fclone(&record) == ORIGINAL
            && matches!(fclone(&other), 0 | CLONE)
            && references <= 2
            && self.buffer.head.get(&record) >> 47 != 0;
        if !is_pair {
            self.facts.others += 1;
            return Some(());
        }
        self.facts.objects = self.facts.objects.map(|count| count + 1);
        let first_place = self.places.of(at).map(str::to_owned);
        let second_place = self.places.of(second).map(str::to_owned);
        match (first_place, second_place) {
            (Some(first), Some(second)) => {
                self.count(first, &record);
                self.count(second, &other);
            }
            (Some(place), None) => self.count(place, &record),
            (None, Some(place)) => self.count(place, &other),
            // Neither half is in use: it is kept for the next one.
            (None, None) if references == 0 => {
                self.count("kept for the next packet".into(), &record)
            }
            (None, None) => self.nowhere(at, &record, true),
        }
        Some(())
    }

    fn count(&mut self, place: String, record: &[u8]) {
        let sum = self.sums.entry(place.clone()).or_default();
        sum.place = place;
        sum.skbs += 1;
        // What is kept for the next packet is empty, whatever it holds still.
        if !sum.place.starts_with("kept") {
            sum.bytes += self.buffer.bytes.get(record);
            sum.truesize_bytes += self.buffer.truesize.get(record);
        }
    }

    fn nowhere(&mut self, at: VirtAddr, record: &[u8], pair: bool) {
        self.facts.nowhere_objects += 1;
        if self.facts.nowhere.len() >= KEPT {
            return;
        }
        let layout = &self.buffer;
        let destructor = VirtAddr(layout.destructor.get(record));
        let protocol = (layout.protocol.get(record) as u16).swap_bytes();
        self.facts.nowhere.push(LostSkb {
            address: at,
            bytes: layout.bytes.get(record),
            truesize_bytes: layout.truesize.get(record),
            protocol: format!("{protocol:#06x}"),
            ifindex: layout.interface.get(record),
            users: layout.users.get(record),
            destructor: (!destructor.is_null()).then(|| (self.functions)(destructor.0)),
            pair,
        });
    }

    fn finish(mut self) -> SkbsFacts {
        self.facts.complete &= self.places.complete;
        self.facts.places = self.sums.into_values().collect();
        self.facts
            .places
            .sort_by(|a, b| (b.skbs, &a.place).cmp(&(a.skbs, &b.place)));
        if !self.facts.complete {
            self.kernel.diag.warn(
                "skbs-incomplete",
                "not all queues or all objects could be read: buffers that are on no queue may be on one that is missing",
            );
        }
        self.facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::layout::Field;

    /// Of 3.10.0-1160, where leaky_session of a module shares the cache with buffers.
    #[test]
    fn what_shares_the_cache_is_no_buffer() {
        let field = |offset, size| Field {
            offset,
            size,
            bits: None,
        };
        let layout = BufferLayout {
            struct_size: 232,
            len: 232,
            bytes: field(104, 4),
            truesize: field(224, 4),
            users: field(228, 4),
            protocol: field(126, 2),
            fclone: field(124, 1),
            head: field(208, 8),
            data: field(216, 8),
            destructor: field(128, 8),
            interface: field(140, 4),
        };
        let with_data = |bytes: u32, truesize: u32, users: u32, head: u64, data: u64| {
            let mut record = [0u8; 232];
            record[104..108].copy_from_slice(&bytes.to_le_bytes());
            record[208..216].copy_from_slice(&head.to_le_bytes());
            record[216..224].copy_from_slice(&data.to_le_bytes());
            record[224..228].copy_from_slice(&truesize.to_le_bytes());
            record[228..232].copy_from_slice(&users.to_le_bytes());
            layout.may_be_one(&record)
        };
        let buffer = |bytes, truesize, users, head: u64| {
            with_data(bytes, truesize, users, head, head.wrapping_add(64))
        };
        const HEAD: u64 = 0xffff_9a5d_4160_2200;
        assert!(buffer(1448, 2304, 1, HEAD));
        assert!(
            !buffer(0, 0x4000_0000, 4_294_941_277, HEAD),
            "the session's words"
        );
        assert!(!buffer(0, 2304, 1, 0) && !buffer(0, 0, 1, HEAD));
        assert!(!buffer(4096, 2304, 1, HEAD));
        assert!(!buffer(0, 231, 1, HEAD), "not even for itself");
        assert!(!with_data(0, 768, 1, HEAD, HEAD - 8));
    }
}

//! Who polls a device's queues (NAPI), and the packets that wait there to become larger ones.

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::kernel::layout::{Field, layout};
use crate::kernel::{Kernel, KernelError, walk};

layout! {
    /// include/linux/netdevice.h
    struct NapiLayout = "napi_struct" in "net/core/dev.c" {
        need link = "dev_list",
        need state = "state",
        need weight = "weight",
        need poll = "poll",
        maybe id = "napi_id",
        /// 6.9 and later (commit 26793bfb5d60).
        maybe irq = "irq",
        /// Lists by hash since 4.19 (commit 07d78363dcff), in a structure since commit
        /// 291515c76407 (6.15 or 6.16).
        maybe hash = "gro.hash" | "gro_hash",
        /// One chain, and how many are on it, before.
        maybe chain = "gro_list",
        maybe chain_count = "gro_count",
        /// 5.4 and later (commit 323ebb61e32b).
        maybe passed = "gro.rx_list" | "rx_list",
        maybe passed_count = "gro.rx_count" | "rx_count",
        /// What the driver fills with fragments.
        need filled = "skb",
    }
}

layout! {
    /// include/net/gro.h; include/linux/netdevice.h up to 6.15
    struct GroListLayout = "gro_list" in "net/core/dev.c" {
        need list = "list",
        need count = "count",
    }
}

/// Queues of one device.
const MAX_NAPIS: u64 = 1 << 16;
/// Bits of enum NAPI_STATE_…, which has no name, since 4.12 (commit 39e6c8208d7b).
const STATES: [&str; 12] = [
    "sched",
    "missed",
    "disable",
    "npsvc",
    "listed",
    "no_busy_poll",
    "in_busy_poll",
    "prefer_busy_poll",
    "threaded",
    "sched_threaded",
    "has_notifier",
    "threaded_busy_poll",
];

/// One `struct napi_struct`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NapiFacts {
    /// Where it lies.
    pub address: VirtAddr,
    /// Its number; `None` before it was given one.
    pub id: Option<u64>,
    /// The driver's function.
    pub poll: VirtAddr,
    /// The function's name, once somebody has looked it up.
    pub poll_function: Option<String>,
    /// All bits of its state.
    pub state: u64,
    /// Their names, as far as they are known.
    pub states: Vec<&'static str>,
    /// Packets in one poll.
    pub weight: u64,
    /// The interrupt, where the driver said it: 6.9 and later.
    pub irq: Option<u64>,
    /// Packets that wait for more of their flow, by hash; the one number of all up to 4.18.
    pub gro: Vec<u64>,
    /// Packets that are given to the stack together with the next ones, 5.4 and later.
    pub rx_packets: Option<u64>,
    /// Where the packets hang.
    #[serde(skip)]
    pub held: HeldPackets,
}

/// Heads of lists with packets of a NAPI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldPackets {
    /// Lists of packets that wait for more.
    pub lists: Vec<VirtAddr>,
    /// A word that begins a chain of them.
    pub chain: Option<VirtAddr>,
    /// The list of those that go to the stack next.
    pub passed: Option<VirtAddr>,
    /// The one that is being filled.
    pub filled: VirtAddr,
}

/// Reads them.
pub(in crate::subsys::net) struct NapiReader<'k> {
    kernel: &'k Kernel,
    napi: NapiLayout,
    list: Option<GroListLayout>,
}

impl<'k> NapiReader<'k> {
    pub(in crate::subsys::net) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            napi: kernel.layout()?,
            list: kernel.layout().ok(),
            kernel,
        })
    }

    /// Those on the list whose head is at `head`, in the order in which they were added, and
    /// whether they are all.
    pub(super) fn of_device(&self, head: VirtAddr) -> (Vec<NapiFacts>, bool) {
        let list = walk::list(&self.kernel.space, head, MAX_NAPIS);
        let link = u64::from(self.napi.link.offset);
        let mut found: Vec<NapiFacts> = list
            .value
            .iter()
            .filter_map(|at| self.one(at.minus(link)))
            .collect();
        let whole = list.end.is_complete() && found.len() == list.value.len();
        // Each is put before the others, in kernels before 6.14 or so.
        found.sort_by_key(|napi| napi.id);
        (found, whole)
    }

    /// The one at an address; `None` if it is missing.
    pub(in crate::subsys::net) fn one(&self, at: VirtAddr) -> Option<NapiFacts> {
        let layout = &self.napi;
        let size = layout.struct_size.min(1 << 16);
        let record = self.kernel.space.read_bytes(at, size).ok()?;
        let get = |field: Option<Field>| field.map(|field| field.get(&record));
        let place = |field: Option<Field>| field.map(|field| at.plus(u64::from(field.offset)));
        let state = layout.state.get(&record);
        let (lists, counts) = match layout.hash.zip(self.list.as_ref()) {
            Some((hash, list)) => self.lists(at, &record, hash, list),
            None => (Vec::new(), get(layout.chain_count).into_iter().collect()),
        };
        let id = get(layout.id).filter(|id| *id != 0);
        // -1 where the driver does not say.
        let irq = get(layout.irq).map(|irq| (irq as u32).cast_signed());
        Some(NapiFacts {
            address: at,
            id,
            poll: VirtAddr(layout.poll.get(&record)),
            poll_function: None,
            state,
            states: states(state, layout.hash.is_some()),
            weight: layout.weight.get(&record),
            irq: irq.and_then(|irq| u64::try_from(irq).ok().filter(|irq| *irq > 0)),
            gro: counts,
            rx_packets: get(layout.passed_count),
            held: HeldPackets {
                lists,
                chain: place(layout.chain),
                passed: place(layout.passed),
                filled: VirtAddr(layout.filled.get(&record)),
            },
        })
    }

    fn lists(
        &self,
        at: VirtAddr,
        record: &[u8],
        hash: Field,
        list: &GroListLayout,
    ) -> (Vec<VirtAddr>, Vec<u64>) {
        let one = list.struct_size;
        let starts = (0..hash.size as usize / one.max(1)).map(|n| hash.offset as usize + n * one);
        let of = |start: usize| {
            let count = list.count.get(record.get(start..)?);
            let head = at.plus(start as u64 + u64::from(list.list.offset));
            Some((head, count))
        };
        starts.filter_map(of).unzip()
    }
}

/// Before 4.12 the bits behind the first meant something else; kernels with one chain may be as old.
fn states(state: u64, by_hash: bool) -> Vec<&'static str> {
    let known = if by_hash { STATES.len() } else { 1 };
    let set = |(bit, name): (u64, &'static str)| (state >> bit & 1 == 1).then_some(name);
    (0..).zip(STATES).take(known).filter_map(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_bits_that_changed_are_not_guessed() {
        assert_eq!(states(0x10, true), ["listed"]);
        assert_eq!(states(0x103, true), ["sched", "missed", "threaded"]);
        assert_eq!(states(0x3, false), ["sched"]);
    }
}

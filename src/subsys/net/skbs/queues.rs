//! Queues that are not of sockets: CPUs', interfaces', neighbours', and those for fragments.

use super::super::fragments::Fragments;
use super::places::Places;
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, namespaces, walk};
use crate::subsys::net::interfaces::{self, HeldPackets, NapiReader};

layout! {
    /// include/linux/netdevice.h
    struct SoftnetLayout = "softnet_data" in "net/core/dev.c" {
        need input = "input_pkt_queue",
        need process = "process_queue",
        need completion = "completion_queue",
        /// 5.19 to 6.18 (commit 68822bdf76f1).
        maybe deferred = "defer_list",
        need backlog = "backlog",
    }
}

layout! {
    /// net/core/skbuff.c
    struct KeptLayout = "napi_alloc_cache" in "net/core/skbuff.c" {
        need count = "skb_count",
        need slots = "skb_cache",
    }
}

layout! {
    /// include/net/sch_generic.h
    struct QueueLayout = "Qdisc" in "net/sched/sch_generic.c" {
        need first = "q.head",
        /// A list since 4.16 (commit a53851e2c321), before that one buffer.
        need segmented = "gso_skb",
        maybe bad = "skb_bad_txq",
        /// Later kernels have a member where what is of the kind begins.
        maybe private = "privdata",
    }
}

layout! {
    /// net/sched/sch_netem.c
    struct NetemLayout = "netem_sched_data" in "net/sched/sch_netem.c" {
        need tree = "t_root",
        /// 5.0 and later (commit d66280b12bd7).
        maybe first = "t_head",
    }
}

layout! {
    /// net/sched/sch_fq_codel.c
    struct FairLayout = "fq_codel_sched_data" in "net/sched/sch_fq_codel.c" {
        need flows = "flows",
        need count = "flows_cnt",
    }
}

layout! {
    /// net/sched/sch_fq_codel.c
    struct FlowLayout = "fq_codel_flow" in "net/sched/sch_fq_codel.c" {
        need first = "head",
    }
}

layout! {
    /// net/sched/sch_generic.c: up to 4.15 with chains for its bands, and a bit for each.
    struct BandsLayout = "pfifo_fast_priv" in "net/sched/sch_generic.c" {
        need bands = "q",
        maybe with_packets = "bitmap",
    }
}

layout! {
    /// include/linux/ptr_ring.h: an array of pointers, null where it is empty.
    struct RingLayout = "ptr_ring" in "net/sched/sch_generic.c" {
        need size = "size",
        need queue = "queue",
    }
}

layout! {
    /// include/net/neighbour.h
    struct WaitingLayout = "neighbour" in "net/core/neighbour.c" {
        need queue = "arp_queue",
    }
}

layout! {
    /// include/net/inet_frag.h
    struct FragmentsLayout = "inet_frag_queue" in "net/ipv4/inet_fragment.c" {
        need node = "node",
        need tree = "rb_fragments",
    }
}

impl QueueLayout {
    /// `qdisc_priv()`: behind the common part, which before had no member for it.
    fn private_offset(&self) -> u64 {
        let behind = (self.struct_size as u64).next_multiple_of(QDISC_ALIGNTO);
        let member = self.private.as_ref();
        member.map_or(behind, |member| u64::from(member.offset))
    }
}

/// include/net/pkt_sched.h
const QDISC_ALIGNTO: u64 = 64;
/// Of pfifo_fast (PFIFO_FAST_BANDS).
const BANDS: u64 = 3;
const MAX_RING: u64 = 1 << 20;
const MAX_FLOWS: u64 = 1 << 16;
/// Packets of which parts are missing: far more than `ipfrag_high_thresh` allows.
const MAX_FRAGMENTED: usize = 1 << 24;

/// Adds what lies on all of them.
pub(super) fn add_all(kernel: &Kernel, places: &mut Places<'_>) -> Result<(), KernelError> {
    let cpus = Cpus::read(kernel)?;
    of_cpus(kernel, &cpus, places)?;
    for (symbol, name) in [
        (kernel.symbol("audit_queue"), "audit"),
        (
            kernel.symbol("audit_retry_queue"),
            "audit, to be tried again",
        ),
        (kernel.symbol("audit_hold_queue"), "audit, without a daemon"),
    ] {
        if let Some(at) = symbol {
            places.add_list(at, name);
        }
    }
    let net = interfaces::collect(kernel)?;
    places.complete &= net.complete;
    let queue: QueueLayout = kernel.layout()?;
    for qdisc in net
        .namespaces
        .iter()
        .flat_map(|net| &net.devices)
        .flat_map(|device| &device.qdiscs)
    {
        of_qdisc(kernel, &queue, qdisc.address, &qdisc.kind, places);
    }
    let devices = net.namespaces.iter().flat_map(|net| &net.devices);
    for napi in devices.flat_map(|device| &device.napi) {
        polled(&napi.held, places);
    }
    let waiting: WaitingLayout = kernel.layout()?;
    let neighbours = net.neighbours.iter().flat_map(|table| &table.neighbours);
    for neighbour in neighbours.filter(|one| one.waiting_bytes > 0) {
        let at = neighbour.entry.plus(u64::from(waiting.queue.offset));
        places.add_list(at, "neighbour");
    }
    fragments(kernel, places)
}

fn of_cpus(kernel: &Kernel, cpus: &Cpus, places: &mut Places<'_>) -> Result<(), KernelError> {
    let layout: SoftnetLayout = kernel.layout()?;
    let napi = NapiReader::new(kernel)?;
    if let Some(softnet) = kernel.symbol("softnet_data") {
        for (_, at) in cpus.instances(softnet) {
            places.add_list(at.plus(u64::from(layout.input.offset)), "softnet input");
            places.add_list(at.plus(u64::from(layout.process.offset)), "softnet process");
            let done = at.plus(u64::from(layout.completion.offset));
            places.add_chain(done, "softnet completion");
            match napi.one(at.plus(u64::from(layout.backlog.offset))) {
                Some(backlog) => polled(&backlog.held, places),
                None => places.complete = false,
            }
            if let Some(field) = layout.deferred {
                let at = at.plus(u64::from(field.offset));
                places.add_chain(at, "softnet, to be freed");
            }
        }
    }
    let kept: Option<KeptLayout> = kernel.layout().ok();
    if let Some((percpu, kept)) = kernel.symbol("napi_alloc_cache").zip(kept) {
        for (_, at) in cpus.instances(percpu) {
            let Ok(record) = kernel.space.read_bytes(at, kept.struct_size.min(1 << 16)) else {
                places.complete = false;
                continue;
            };
            let slots = u64::from(kept.slots.size) / 8;
            for slot in 0..kept.count.get(&record).min(slots) {
                let at = kept.slots.offset as usize + slot as usize * 8;
                let at = u64_at(&record, at).unwrap_or(0);
                places.add(VirtAddr(at), "kept for the next packet");
            }
        }
    }
    Ok(())
}

/// What a NAPI holds until it has polled.
fn polled(held: &HeldPackets, places: &mut Places<'_>) {
    for head in &held.lists {
        places.add_list(*head, "napi, for more of the flow");
    }
    if let Some(chain) = held.chain {
        places.add_chain(chain, "napi, for more of the flow");
    }
    if let Some(head) = held.passed {
        places.add_list(head, "napi, to the stack");
    }
    if !held.filled.is_null() {
        places.add(held.filled, "napi, being filled");
    }
}

fn of_qdisc(
    kernel: &Kernel,
    layout: &QueueLayout,
    at: VirtAddr,
    kind: &str,
    places: &mut Places<'_>,
) {
    let place = format!("qdisc {kind}");
    places.add_chain(at.plus(u64::from(layout.first.offset)), &place);
    for field in [Some(&layout.segmented), layout.bad.as_ref()]
        .into_iter()
        .flatten()
    {
        let aside = at.plus(u64::from(field.offset));
        match field.size {
            8 => places.add_chain(aside, &place),
            _ => places.add_list(aside, &place),
        }
    }
    let private = at.plus(layout.private_offset());
    match kind {
        "netem" => {
            let Ok(netem) = kernel.layout::<NetemLayout>() else {
                places.unknown(kind);
                return;
            };
            places.add_tree(private.plus(u64::from(netem.tree.offset)), &place);
            if let Some(first) = netem.first {
                places.add_chain(private.plus(u64::from(first.offset)), &place);
            }
        }
        "fq_codel" => fair(kernel, private, &place, places),
        "pfifo_fast" => bands(kernel, private, &place, places),
        // Those that have what the common part has, or only queues below them.
        "noqueue" | "pfifo" | "bfifo" | "tbf" | "mq" | "prio" | "htb" | "ingress" | "clsact"
        | "pfifo_head_drop" => {}
        _ => places.unknown(kind),
    }
}

fn fair(kernel: &Kernel, private: VirtAddr, place: &str, places: &mut Places<'_>) {
    let layouts = kernel.layout::<FairLayout>().ok();
    let Some((fair, flow)) = layouts.zip(kernel.layout::<FlowLayout>().ok()) else {
        places.unknown("fq_codel");
        return;
    };
    let Ok(record) = kernel.space.read_bytes(private, fair.len) else {
        places.complete = false;
        return;
    };
    let flows = VirtAddr(fair.flows.get(&record));
    for index in 0..fair.count.get(&record).min(MAX_FLOWS) {
        let at = flows.plus(index * flow.struct_size as u64);
        places.add_chain(at.plus(u64::from(flow.first.offset)), place);
    }
}

fn bands(kernel: &Kernel, private: VirtAddr, place: &str, places: &mut Places<'_>) {
    match kernel.layout::<BandsLayout>() {
        Ok(layout) if layout.with_packets.is_some() => {
            for band in 0..BANDS {
                let offset =
                    u64::from(layout.bands.offset) + band * layout.bands.size as u64 / BANDS;
                places.add_chain(private.plus(offset), place);
            }
        }
        _ => rings(kernel, private, place, places),
    }
}

fn rings(kernel: &Kernel, private: VirtAddr, place: &str, places: &mut Places<'_>) {
    let Ok(ring) = kernel.layout::<RingLayout>() else {
        places.unknown("pfifo_fast");
        return;
    };
    for band in 0..BANDS {
        let at = private.plus(band * ring.struct_size as u64);
        let slots = kernel.space.read_bytes(at, ring.len).and_then(|record| {
            let size = ring.size.get(&record).min(MAX_RING) as usize;
            let queue = VirtAddr(ring.queue.get(&record));
            kernel.space.read_bytes(queue, size * 8)
        });
        let Ok(slots) = slots else {
            places.complete = false;
            continue;
        };
        let (words, _) = slots.as_chunks::<8>();
        for word in words.iter().map(|word| u64::from_le_bytes(*word)) {
            if word != 0 {
                places.add(VirtAddr(word), place);
            }
        }
    }
}

/// Packets of which parts are missing: each part hangs in the tree of its packet.
fn fragments(kernel: &Kernel, places: &mut Places<'_>) -> Result<(), KernelError> {
    let known = Fragments::read(kernel).zip(kernel.layout::<FragmentsLayout>().ok());
    let Some((directories, queue)) = known else {
        return Ok(());
    };
    for namespace in namespaces::of_networks(kernel)?.all {
        let both = directories.of(kernel, namespace.address);
        for (at, place) in both.into_iter().zip(["ipv4 fragments", "ipv6 fragments"]) {
            let Some(at) = at else { continue };
            let nodes = walk::rhashtable(kernel, directories.table(at), MAX_FRAGMENTED)?;
            places.complete &= nodes.end.is_complete();
            for node in nodes.value {
                let at = node.minus(u64::from(queue.node.offset));
                places.add_tree(at.plus(u64::from(queue.tree.offset)), place);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use super::*;
    use crate::kernel::synthetic;

    const TYPES: &str = "struct sk_buff 64 {
    0 struct sk_buff * next
    16 unsigned int data_len
    20 unsigned int end
    24 unsigned char * head
}
struct skb_shared_info 16 {
    8 struct sk_buff * frag_list
}
struct qdisc_skb_head 24 {
    0 struct sk_buff * head
}
struct pfifo_fast_priv 80 {
    0 unsigned int bitmap
    8 struct qdisc_skb_head [3] q
}
struct rb_root 8 {
    0 struct rb_node * rb_node
}
struct netem_sched_data 16 {
    0 struct rb_root t_root
}
struct Qdisc 136 {
    0 struct sk_buff * gso_skb
    8 struct qdisc_skb_head q
}";

    /// Where no member says where it begins, what is of the kind follows the common part, aligned.
    #[test]
    fn queues_of_a_kind_without_a_member_for_them() {
        for (kind, offset) in [("netem", 192), ("pfifo_fast", 192 + 8 + 24)] {
            let mut m = Machine::build(Era::V4_18, PagingLevels::Four, &Scenario::standard());
            m.kernel.types.parse(TYPES);
            m.kernel.vmlinux_types.parse(TYPES);
            let [qdisc, queued, aside] = [512, 64, 64].map(|size| m.kernel.alloc(size, 64));
            m.kernel.write_u64(qdisc, aside);
            m.kernel.write_u64(qdisc + offset, queued);
            m.kernel
                .write_u64(qdisc + 192, queued * u64::from(kind == "netem"));
            let kernel = synthetic::kernel(&m);
            let layout = kernel.layout().expect("a layout");
            let mut places = Places::new(&kernel).expect("layouts");
            of_qdisc(&kernel, &layout, VirtAddr(qdisc), kind, &mut places);
            let place = format!("qdisc {kind}");
            for at in [queued, aside] {
                assert_eq!(places.of(VirtAddr(at)), Some(place.as_str()), "{kind}");
            }
            assert!(places.complete, "{kind}");
        }
    }
}

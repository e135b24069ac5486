//! The connection table against itself: the hash walked through page tables and
//! compared with the truth, counts, lists and damage.

use std::collections::{BTreeMap, BTreeSet};

use vmleak_synth::conntrack::standard::LONG_BUCKET;
use vmleak_synth::conntrack::truth::List;
use vmleak_synth::{Era, Machine, Options, PagingLevels, Scenario, damage};

fn machine(era: Era, module: bool) -> Machine {
    let options = Options {
        conntrack_module: module,
        ..Options::new(era, PagingLevels::Four)
    };
    Machine::with(options, &Scenario::conntrack())
}

fn machines() -> Vec<Machine> {
    let both = |era| [machine(era, false), machine(era, true)];
    Era::ALL.into_iter().flat_map(both).collect()
}

/// Nodes of a list that ends with a marker, and the marker.
fn chain(machine: &Machine, head: u64) -> (Vec<u64>, u64) {
    let mut nodes = Vec::new();
    let (mut slot, mut at) = (head, machine.kernel.read_u64(head));
    while at & 1 == 0 {
        assert_eq!(machine.kernel.read_u64(at + 8), slot, "pprev");
        nodes.push(at);
        slot = at;
        at = machine.kernel.read_u64(at);
    }
    (nodes, at >> 1)
}

/// Addresses of entries in the hash, by how often they were met.
fn hashed(machine: &Machine) -> BTreeMap<u64, u64> {
    let kernel = &machine.kernel;
    let hash = kernel.read_u64(kernel.symbol("nf_conntrack_hash"));
    let size = kernel.types.sizeof("nf_conntrack_tuple_hash");
    let first = kernel.types.offset("nf_conn", "tuplehash");
    let dir = kernel
        .types
        .offset("nf_conntrack_tuple_hash", "tuple.dst.dir");
    let mut found = BTreeMap::new();
    for bucket in 0..machine.conntrack_truth().buckets {
        let (nodes, marker) = chain(machine, hash + bucket * 8);
        assert_eq!(marker, bucket);
        for node in nodes {
            let dir = kernel.read_u64(node + dir) & 0xff;
            *found.entry(node - first - dir * size).or_default() += 1;
        }
    }
    found
}

#[test]
fn the_hash_holds_both_directions_of_what_it_should() {
    for machine in machines() {
        let truth = machine.conntrack_truth();
        let here = truth.entries.iter().filter(|each| each.list == List::Hash);
        let expected: BTreeMap<u64, u64> = here.map(|each| (each.address, 2)).collect();
        assert_eq!(hashed(&machine), expected);
        assert_eq!(truth.in_hash, expected.len() as u64);
        let hash = machine.conntrack.as_ref().unwrap().hash;
        let (long, _) = chain(&machine, hash + LONG_BUCKET * 8);
        assert!(long.len() >= 20);
        assert_eq!(long.len() as u64, truth.longest_chain);
    }
}

#[test]
fn every_object_of_the_cache_is_an_entry() {
    for machine in machines() {
        let truth = machine.conntrack_truth();
        let caches = &machine.truth().caches;
        for (name, expected) in [
            (
                "nf_conntrack",
                truth.entries.iter().map(|each| each.address).collect(),
            ),
            (
                "nf_conntrack_expect",
                truth.expectations.iter().map(|each| each.address).collect(),
            ),
        ] {
            let expected: BTreeSet<u64> = expected;
            let mut matching = caches.iter().filter(|cache| cache.name == name);
            let found = matching.next().unwrap();
            assert_eq!(found.allocated, expected.into_iter().collect::<Vec<_>>());
            assert!(matching.next().is_none());
        }
        let objects: u64 = truth.netns.iter().map(|netns| netns.count).sum();
        assert_eq!(objects, truth.objects);
    }
}

#[test]
fn lists_beside_the_hash_follow_the_era() {
    for machine in machines() {
        let kernel = &machine.kernel;
        let era = machine.options.era;
        let mut found = BTreeMap::new();
        let mut walk = |list: List, head: u64| {
            let (nodes, marker) = chain(&machine, head);
            let dying = u64::from(list == List::Dying);
            assert_eq!(marker, (1 << 30) + dying);
            let first = kernel.types.offset("nf_conn", "tuplehash");
            found.extend(nodes.into_iter().map(|node| (node - first, list)));
        };
        for netns in &machine.conntrack_truth().netns {
            if era == Era::V5_10 {
                let lists = kernel.get(netns.address, "net", "ct.pcpu_lists");
                for cpu in 0..4 {
                    let offset = kernel.read_u64(kernel.symbol("__per_cpu_offset") + cpu * 8);
                    let at = offset.wrapping_add(lists);
                    let member = |name| at + kernel.types.offset("ct_pcpu", name);
                    walk(List::Unconfirmed, member("unconfirmed"));
                    walk(List::Dying, member("dying"));
                }
                assert_eq!(kernel.get(netns.address, "net", "ct.count"), netns.count);
            } else {
                let id = kernel.read_u64(kernel.symbol("nf_conntrack_net_id")) & 0xffff_ffff;
                let generic = kernel.get(netns.address, "net", "gen");
                let own = kernel.read_u64(generic + id * 8);
                let list = kernel.types.offset("nf_conntrack_net", "ecache.dying_list");
                walk(List::Dying, own + list);
                assert_eq!(kernel.get(own, "nf_conntrack_net", "count"), netns.count);
            }
        }
        let entries = machine.conntrack_truth().entries.iter();
        let apart = entries.filter(|each| matches!(each.list, List::Unconfirmed | List::Dying));
        let expected: BTreeMap<_, _> = apart.map(|each| (each.address, each.list)).collect();
        assert_eq!(found, expected);
        let unconfirmed = expected.values().filter(|list| **list == List::Unconfirmed);
        assert_eq!(unconfirmed.count(), if era == Era::V5_10 { 3 } else { 0 });
    }
}

#[test]
fn lines_are_those_of_the_kernel() {
    let line = |era, wanted: &str| {
        let machine = machine(era, false);
        let lines = machine.conntrack_truth().proc_lines(4_026_531_840);
        let found: Vec<_> = lines.iter().filter(|line| line.contains(wanted)).collect();
        assert_eq!(found.len(), 1, "{wanted}: {found:?}");
        found[0].to_string()
    };
    assert_eq!(
        line(Era::V6_1, "sport=40003"),
        "ipv4     2 tcp      6 431999 ESTABLISHED src=192.168.1.10 dst=203.0.113.9 sport=40003 \
         dport=443 packets=100 bytes=5201 src=203.0.113.9 dst=192.168.1.10 sport=443 dport=40003 \
         packets=101 bytes=140000 [ASSURED] mark=0 zone=0 use=2"
    );
    assert_eq!(
        line(Era::V5_10, "id=48879"),
        "ipv6     10 icmpv6   58 28 src=fd00:0001:0000:0000:0000:0000:0000:0010 \
         dst=2001:0db8:0000:0000:0000:0000:0000:0009 type=128 code=0 id=48879 packets=4 bytes=209 \
         src=2001:0db8:0000:0000:0000:0000:0000:0009 dst=fd00:0001:0000:0000:0000:0000:0000:0010 \
         type=129 code=0 id=48879 packets=5 bytes=5600 mark=0 zone=0 use=2"
    );
    assert!(
        line(Era::V6_12, "sport=6000 ").starts_with("ipv4     2 dccp     33 240 PARTOPEN src=")
    );
    assert!(line(Era::V6_12, "sport=43101 ").starts_with("ipv4     2 tcp      6 src="));
    assert!(line(Era::V6_12, "sport=43102 ").contains(" [HW_OFFLOAD] mark=0 "));
    assert!(line(Era::V6_12, "sport=43003 ").contains(" dport=500 zone-orig=6 packets="));
    assert!(line(Era::V6_12, "sport=43005 ").contains(" zone=0 delta-time=45 use=2"));
    assert_eq!(
        line(Era::V7_2, "unknown  136 "),
        "ipv4     2 unknown  136 28 src=192.168.1.10 dst=203.0.113.9 packets=3 bytes=157 \
         src=203.0.113.9 dst=192.168.1.10 packets=4 bytes=4200 mark=0 zone=0 use=2"
    );
    assert!(line(Era::V7_2, "gre      47 179 ").contains(
        "timeout=30, stream_timeout=180 src=192.168.1.10 dst=203.0.113.9 srckey=0x1234 dstkey=0xabc "
    ));
}

#[test]
fn expired_entries_are_not_printed_unless_dying() {
    let machine = machine(Era::V6_1, true);
    let truth = machine.conntrack_truth();
    let find = |port: u16| {
        let wanted = format!("Ports {{ src: {port},");
        let mut entries = truth.entries.iter();
        let is_it = |each: &&_| format!("{each:?}").contains(&wanted);
        entries.find(is_it).expect("an entry")
    };
    for port in [45000, 45001, 45002] {
        assert!(find(port).expired && find(port).proc_line.is_none());
    }
    // Before the 32-bit counter's overflow, and after it.
    assert!(find(45001).timeout_raw > 0xfff0_0000 && find(45000).timeout_raw < 1 << 20);
    assert!(
        find(45003)
            .proc_line
            .as_ref()
            .unwrap()
            .contains(" 0 CLOSE ")
    );
    assert_eq!(find(45006).list, List::Unlinked);
    assert_eq!(
        (find(45007).timeout_raw, find(45007).seconds),
        (30_100, 120)
    );
}

#[test]
fn modules_have_symbols_of_their_own() {
    for era in Era::ALL {
        let (inside, outside) = (machine(era, false), machine(era, true));
        assert!(inside.kernel.image.has("nf_conntrack_hash"));
        assert!(!outside.kernel.image.has("nf_conntrack_hash"));
        assert!(outside.kernel.symbol("nf_conntrack_hash") > 0xffff_ffff_c000_0000);
        assert!(
            !outside
                .kernel
                .vmlinux_types
                .aggregates
                .contains_key("nf_conn")
        );
        let virt = outside.kernel.symbol("nf_conntrack_hash");
        let walked = outside.kernel.tables.walk(&outside.kernel.memory, virt);
        assert_eq!(walked, Some(outside.kernel.space.phys(virt)));
        assert_eq!(outside.kernel.modules.len(), 2);
    }
}

#[test]
fn a_cycle_never_ends_and_loses_nothing() {
    let mut machine = machine(Era::V6_1, false);
    let broken = damage::conntrack::chain_cycle(&mut machine, LONG_BUCKET);
    assert!(broken.lost.is_empty());
    let mut at = machine
        .kernel
        .read_u64(machine.conntrack.as_ref().unwrap().hash + LONG_BUCKET * 8);
    for _ in 0..1000 {
        assert_eq!(at & 1, 0);
        at = machine.kernel.read_u64(at);
    }
}

#[test]
fn what_a_broken_chain_loses_is_told() {
    let mut machine = machine(Era::V5_10, false);
    let bucket = damage::conntrack::bucket_with(&machine, 3, 0);
    let before = machine.conntrack.clone().unwrap();
    let nodes = &before.chains[bucket as usize];
    let broken = damage::conntrack::wild_node(&mut machine, bucket, damage::conntrack::WILD);
    assert_eq!(machine.kernel.read_u64(nodes[0]), damage::conntrack::WILD);
    let dir_zero = |node: &&u64| before.entries.contains(&(**node - before.nodes[0]));
    assert_eq!(
        broken.lost.len(),
        nodes[1..].iter().filter(dir_zero).count()
    );
    let gone = damage::conntrack::exclude_buckets(&mut machine, 0);
    assert!(gone.lost.len() > gone.lost_entirely.len());
    assert!(!gone.lost_entirely.is_empty());
}

#[test]
fn many_entries_are_all_different() {
    let machine = Machine::build(
        Era::V6_12,
        PagingLevels::Four,
        &Scenario::conntrack_many(70_000, 16_384),
    );
    let truth = machine.conntrack_truth();
    assert_eq!((truth.objects, truth.in_hash), (70_000, 70_000));
    let found = hashed(&machine);
    assert!(found.len() == 70_000 && found.values().all(|times| *times == 2));
    let entries = &machine.conntrack.as_ref().unwrap().entries;
    let tuples: BTreeSet<Vec<u8>> = entries
        .iter()
        .map(|entry| {
            let at = entry + machine.kernel.types.offset("nf_conn", "tuplehash");
            let words = (2..7).chain(9..14);
            words
                .flat_map(|word| machine.kernel.read_u64(at + word * 8).to_le_bytes())
                .collect()
        })
        .collect();
    assert_eq!(tuples.len(), 70_000);
}

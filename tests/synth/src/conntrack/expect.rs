//! Helpers, expectations and timeout policies.

use std::collections::BTreeMap;

use super::entry::HZ;
use super::fields::Fields;
use super::lists::link_hlist;
use super::netns::LaidNetns;
use super::object;
use super::rooms::Room;
use super::scenario::{Conntrack, Expectation, HELPERS};
use super::tuple::{L4, Tuple};
use crate::machine::Kernel;
use crate::machine::identity::JIFFIES;

/// `nf_ct_expect_hsize`.
const BUCKETS: u64 = 512;
/// `nf_ct_helper_hsize`.
const HELPER_BUCKETS: u64 = 512;

/// Lays every helper. Returns addresses by name.
pub(super) fn lay_helpers(kernel: &mut Kernel, fields: &mut Fields) -> BTreeMap<&'static str, u64> {
    let heads = kernel.alloc(HELPER_BUCKETS * 8, 4096);
    kernel.set_variable("nf_ct_helper_hash", heads);
    kernel.set_variable("nf_ct_helper_hsize", HELPER_BUCKETS);
    let mut found = BTreeMap::new();
    let tag = "nf_conntrack_helper";
    for (number, (name, port, classes)) in HELPERS.iter().enumerate() {
        let helper = kernel.alloc_struct(tag);
        kernel.write(helper + kernel.types.offset(tag, "name"), name.as_bytes());
        let size = kernel.types.sizeof("nf_conntrack_expect_policy");
        let policies = if kernel.types.field(tag, "expect_policy").bits > 64 {
            helper + kernel.types.offset(tag, "expect_policy")
        } else {
            let policies = kernel.alloc(size * classes.len() as u64, 8);
            kernel.set(helper, tag, "expect_policy", policies);
            policies
        };
        for (class, name) in classes.iter().enumerate() {
            let at = policies + class as u64 * size;
            let start = kernel.types.offset("nf_conntrack_expect_policy", "name");
            kernel.set(at, "nf_conntrack_expect_policy", "max_expected", 8);
            kernel.set(at, "nf_conntrack_expect_policy", "timeout", 300);
            kernel.write(at + start, name.as_bytes());
        }
        let last_class = classes.len() as u64 - 1;
        kernel.set(helper, tag, "expect_class_max", last_class);
        let mut bytes = vec![0; fields.sizeof("nf_conntrack_tuple")];
        let l4 = L4::Ports { src: *port, dst: 0 };
        let tuple = Tuple::new("0.0.0.0", "0.0.0.0", 17, l4);
        object::tuple(fields, &mut bytes, &tuple, 0);
        kernel.write(helper + kernel.types.offset(tag, "tuple"), &bytes);
        let head = heads + (number as u64 * 37 + 5) * 8;
        link_hlist(kernel, head, &[helper + kernel.types.offset(tag, "hnode")]);
        found.insert(*name, helper);
    }
    found
}

/// Lays a timeout policy: a `nf_ct_timeout` for TCP over IPv4.
pub(super) fn lay_policy(kernel: &mut Kernel) -> u64 {
    let header = kernel.types.sizeof("nf_ct_timeout");
    let policy = kernel.alloc(header + 14 * 4, 8);
    kernel.set(policy, "nf_ct_timeout", "l3num", 2);
    for state in 0..14u32 {
        let ticks = (600 + state) * HZ as u32;
        kernel.write(policy + header + u64::from(state) * 4, &ticks.to_le_bytes());
    }
    policy
}

/// Where the masters of expectations lie.
pub(super) struct Masters<'a> {
    /// Addresses of the entries.
    pub(super) entries: &'a [u64],
    /// Addresses of their extensions.
    pub(super) exts: &'a [u64],
    /// Helpers by name.
    pub(super) helpers: &'a BTreeMap<&'static str, u64>,
    /// Namespaces.
    pub(super) netns: &'a [LaidNetns],
}

/// Lays every expectation. Returns their addresses.
pub(super) fn lay(
    kernel: &mut Kernel,
    fields: &mut Fields,
    room: &mut Room,
    conntrack: &Conntrack,
    masters: &Masters<'_>,
) -> Vec<u64> {
    let heads = kernel.alloc(BUCKETS * 8 * conntrack.netns.len() as u64, 4096);
    let own = kernel.types.has("netns_ct", "expect_hash");
    if own {
        for (index, netns) in masters.netns.iter().enumerate() {
            let table = heads + index as u64 * BUCKETS * 8;
            kernel.set(netns.address, "net", "ct.expect_hash", table);
        }
    } else {
        kernel.set_variable("nf_ct_expect_hash", heads);
    }
    kernel.set_variable("nf_ct_expect_hsize", BUCKETS);
    kernel.set_variable("nf_ct_expect_max", BUCKETS * 4);
    let mut laid = Vec::new();
    let mut by_bucket: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut by_master: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let hnode = fields.offset("nf_conntrack_expect", "hnode") as u64;
    let lnode = fields.offset("nf_conntrack_expect", "lnode") as u64;
    for (number, expected) in conntrack.expectations.iter().enumerate() {
        let address = room.take();
        let bytes = bytes(fields, conntrack, expected, masters);
        kernel.write(address, &bytes);
        laid.push(address);
        // Two share a bucket.
        let bucket = (number as u64 / 2 * 101 + 3) % BUCKETS;
        let netns = conntrack.entries.get(expected.master as u64).netns;
        let first = if own { netns as u64 * BUCKETS } else { 0 };
        let bucket = first + bucket;
        by_bucket.entry(bucket).or_default().push(address + hnode);
        let nodes = by_master.entry(expected.master).or_default();
        nodes.push(address + lnode);
    }
    for (bucket, nodes) in by_bucket {
        link_hlist(kernel, heads + bucket * 8, &nodes);
    }
    let help = fields.constant("NF_CT_EXT_HELPER").expect("an id") as u64;
    let list = fields.offset("nf_conn_help", "expectations") as u64;
    for (master, nodes) in by_master {
        let ext = masters.exts[master];
        let offset = match super::ext::is_wide(fields) {
            true => {
                let at = fields.offset("nf_ct_ext", "offset") as u64;
                kernel.read_u64(ext + at + 2 * help) & 0xffff
            }
            false => kernel.read_u64(ext + help) & 0xff,
        };
        link_hlist(kernel, ext + offset + list, &nodes);
    }
    laid
}

fn bytes(
    fields: &mut Fields,
    conntrack: &Conntrack,
    expected: &Expectation,
    masters: &Masters<'_>,
) -> Vec<u8> {
    const TAG: &str = "nf_conntrack_expect";
    let mut bytes = vec![0; fields.sizeof(TAG)];
    let master = conntrack.entries.get(expected.master as u64);
    let helper = master.helper.expect("masters of expectations have helpers");
    for (path, value) in [
        ("helper", masters.helpers[helper]),
        ("master", masters.entries[expected.master]),
        ("use", 1),
        ("flags", u64::from(expected.flags)),
        ("class", u64::from(expected.class)),
    ] {
        fields.put(&mut bytes, TAG, path, value);
    }
    if fields.has(TAG, "net") {
        let net = masters.netns[master.netns].address;
        fields.put(&mut bytes, TAG, "net", net);
    }
    if fields.has(TAG, "timeout.expires") {
        let expires = JIFFIES.wrapping_add_signed(i64::from(expected.left));
        fields.put(&mut bytes, TAG, "timeout.expires", expires);
        fields.put(&mut bytes, TAG, "timeout.function", masters.helpers[helper]);
        let link = match fields.has(TAG, "timeout.entry.pprev") {
            true => "timeout.entry.pprev",
            false => "timeout.entry.next",
        };
        fields.put(&mut bytes, TAG, link, masters.helpers[helper]);
    } else {
        let raw = (JIFFIES as u32).wrapping_add_signed(expected.left);
        fields.put(&mut bytes, TAG, "timeout", u64::from(raw));
    }
    let size = fields.sizeof("nf_conntrack_tuple");
    let at = fields.offset(TAG, "tuple");
    object::tuple(fields, &mut bytes[at..at + size], &expected.tuple, 0);
    if fields.has(TAG, "master_tuple") {
        let at = fields.offset(TAG, "master_tuple");
        object::tuple(fields, &mut bytes[at..at + size], &master.original, 0);
    }
    // Addresses must match, the source port may be any.
    fields.copy(&mut bytes, TAG, "mask.src.u3", &[0xff; 16]);
    bytes
}

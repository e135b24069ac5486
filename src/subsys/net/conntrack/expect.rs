//! Expectations: connections that a helper has announced.

use super::Symbols;
use super::entry::EntryReader;
use super::layouts::{ExpectLayout, HelperLayout, PolicyLayout};
use super::netns::Namespace;
use super::tuple::Tuple;
use crate::addr::VirtAddr;
use crate::bytes::{c_string, slice};
use crate::kernel::{Kernel, KernelError, walk};
use crate::space::MemFault;

/// One expectation.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Of `struct nf_conntrack_expect`.
    pub address: VirtAddr,
    /// Its namespace, by its master: index into the table's.
    pub netns: Option<usize>,
    /// What is expected.
    pub tuple: Tuple,
    /// Seconds left.
    pub seconds_left: i64,
    /// `NF_CT_EXPECT_*` bits.
    pub flags: u64,
    /// The helper that announced it.
    pub helper: Option<String>,
    /// The helper's name for this class of expectations, if it has one.
    pub policy: Option<String>,
    /// The connection that it belongs to.
    pub master: VirtAddr,
}

/// `NF_CT_EXPECT_PERMANENT`.
pub const PERMANENT: u64 = 1;
/// `NF_CT_EXPECT_INACTIVE`.
pub const INACTIVE: u64 = 2;
/// `NF_CT_EXPECT_USERSPACE`.
pub const USERSPACE: u64 = 4;

/// More expectations than a kernel lets exist at once (`nf_ct_expect_max`).
const MAX_CHAIN: u64 = 1 << 16;

/// All expectations, bucket by bucket. Buckets that are lost or have a broken chain are warned of.
pub(crate) fn read_all(
    kernel: &Kernel,
    symbols: &dyn Symbols,
    reader: &EntryReader,
    namespaces: &[Namespace],
) -> Result<Vec<Expectation>, KernelError> {
    let address = |name: &str| symbols.address(name);
    let own: Vec<_> = namespaces
        .iter()
        .filter_map(|ns| ns.own_table?.expect_hash)
        .collect();
    let Some(size) = address("nf_ct_expect_hsize") else {
        return Ok(Vec::new());
    };
    let tables = match (own.is_empty(), address("nf_ct_expect_hash")) {
        (false, _) => own.into_iter().map(Ok).collect(),
        (true, Some(hash)) => vec![kernel.space.read_ptr(hash)],
        (true, None) => return Ok(Vec::new()),
    };
    let tables: Result<Vec<_>, _> = tables.into_iter().collect();
    let (Ok(tables), Ok(size)) = (tables, kernel.space.read_u32(size)) else {
        warn_of(kernel, 1);
        return Ok(Vec::new());
    };
    let layout: ExpectLayout = kernel.layout()?;
    let mut found = Vec::new();
    let mut lost = 0u64;
    let size = u64::from(size.min(1 << 24));
    let heads = tables
        .iter()
        .flat_map(|hash| (0..size).map(|bucket| hash.plus(bucket * 8)));
    for head in heads {
        let chain = walk::hlist(&kernel.space, head, MAX_CHAIN);
        lost += u64::from(!chain.end.is_complete());
        for node in chain.value {
            let address = node.minus(u64::from(layout.hnode.offset));
            match one(kernel, &layout, reader, namespaces, address) {
                Ok(expectation) => found.push(expectation),
                Err(_) => lost += 1,
            }
        }
    }
    if lost > 0 {
        warn_of(kernel, lost);
    }
    Ok(found)
}

fn warn_of(kernel: &Kernel, lost: u64) {
    kernel.diag.warn_many(
        "expectations-lost",
        "chains of expectations are broken or not in the dump: what is behind the break is not seen",
        lost,
    );
}

fn one(
    kernel: &Kernel,
    layout: &ExpectLayout,
    reader: &EntryReader,
    namespaces: &[Namespace],
    address: VirtAddr,
) -> Result<Expectation, MemFault> {
    let record = kernel.space.read_bytes(address, layout.struct_size)?;
    let at = layout.tuple.offset as usize;
    let tuple = slice(&record, at, reader.tuple.struct_size).unwrap_or_default();
    let master = VirtAddr(layout.master.get(&record));
    let clock = &reader.clock;
    let jiffies = match layout.timeout.size {
        4 => clock.until(layout.timeout.get(&record) as u32),
        _ => layout
            .timeout
            .get(&record)
            .wrapping_sub(clock.jiffies)
            .cast_signed(),
    };
    // A master that is gone leaves an expectation without namespace and helper.
    let conn = kernel
        .space
        .read_bytes(master, reader.conn.struct_size)
        .ok();
    let word = |field: &crate::kernel::layout::Field| {
        conn.as_deref().map(|bytes| VirtAddr(field.get(bytes)))
    };
    let net = word(&reader.conn.net);
    let helper = word(&reader.conn.ext)
        .and_then(|ext| reader.ext.helper_of(kernel, ext).ok().flatten())
        .filter(|helper| !helper.is_null());
    let class = layout.class.get(&record);
    Ok(Expectation {
        address,
        netns: namespaces.iter().position(|ns| Some(ns.address) == net),
        tuple: Tuple::read(&reader.tuple, tuple),
        seconds_left: jiffies / clock.hz.cast_signed(),
        flags: layout.flags.get(&record),
        helper: helper.and_then(|at| reader.ext.name_of(kernel, at).ok().flatten()),
        policy: helper.and_then(|at| policy(kernel, at, class)),
        master,
    })
}

/// `helper->expect_policy[class].name`, unless it is empty.
fn policy(kernel: &Kernel, helper: VirtAddr, class: u64) -> Option<String> {
    let layout: HelperLayout = kernel.layout().ok()?;
    let policy: PolicyLayout = kernel.layout().ok()?;
    let table = helper.plus(u64::from(layout.expect_policy.offset));
    // A pointer to the policies up to 7.1, since then an array of them in its place.
    let table = match layout.expect_policy.size {
        8 => kernel.space.read_ptr(table).ok()?,
        _ => table,
    };
    let at = table.plus(class * policy.struct_size as u64 + u64::from(policy.name.offset));
    let name = kernel
        .space
        .read_bytes(at, policy.name.size.min(64) as usize)
        .ok()?;
    Some(c_string(&name)).filter(|name| !name.is_empty())
}

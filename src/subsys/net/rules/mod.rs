//! The packet filters of every network namespace: nf_tables, x_tables and ipset.
//!
//! Layer: subsystem. Input: a kernel with the types of the filters' modules. Output: [`RuleFacts`].
//! Invariants: what a kernel lacks is no error; what can't be read costs itself and is said.

mod hex;
pub mod nft;

use std::collections::BTreeMap;

use serde::Serialize;

pub use hex::Hex;

use super::devices;
use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::modules::Modules;
use crate::kernel::namespaces::{self, NetNamespace};
use crate::kernel::{Kernel, KernelError};
use crate::subsys::clock::Clock;

/// What one namespace filters by.
#[derive(Clone, Debug, Serialize)]
pub struct NetnsRules {
    /// The number of /proc/PID/ns/net.
    pub netns: u32,
    /// Whether it is the initial one.
    pub initial: bool,
    /// Its `struct net`.
    pub address: VirtAddr,
    /// Its devices by index.
    pub devices: BTreeMap<u32, String>,
    /// Tables of nf_tables.
    pub nf_tables: Vec<nft::Table>,
}

/// All that packets are filtered and translated by.
#[derive(Clone, Debug, Serialize)]
pub struct RuleFacts {
    /// Which filters this kernel has.
    pub filters: Vec<&'static str>,
    /// By namespace, in the order of `net_namespace_list`.
    pub namespaces: Vec<NetnsRules>,
}

/// Reads the rules of all namespaces.
///
/// # Errors
/// If the kernel's types describe no namespace, or not what its filters have.
pub fn collect(kernel: &Kernel, modules: &Modules) -> Result<RuleFacts, KernelError> {
    let clock = Clock::read(kernel)?;
    let cpus = Cpus::read(kernel).ok();
    let nft = nft::Reader::new(kernel, modules, clock, cpus.clone())?;
    let mut filters = Vec::new();
    if nft.is_some() {
        filters.push("nf_tables");
    }
    let one = |network: NetNamespace| NetnsRules {
        netns: network.inum,
        initial: network.initial,
        address: network.address,
        devices: devices::names(kernel, network.address),
        nf_tables: nft.as_ref().map(|nft| nft.tables(network.address)).unwrap_or_default(),
    };
    let all = namespaces::of_networks(kernel)?.all;
    Ok(RuleFacts {
        namespaces: all.into_iter().map(one).collect(),
        filters,
    })
}

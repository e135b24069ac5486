//! The packet filters of every network namespace: nf_tables, x_tables with ebtables, and ipset.
//!
//! Layer: subsystem. Input: a kernel with the types of the filters' modules. Output: [`RuleFacts`].
//! Invariants: what a kernel lacks is no error; what can't be read costs itself and is said.

mod ebt;
mod hex;
pub mod ipset;
pub mod nft;
pub mod xt;

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
    /// Tables of x_tables, by family; those of bridges (ebtables) last.
    pub x_tables: Vec<xt::XTable>,
    /// Sets of ipset, by number.
    pub ipsets: Vec<ipset::IpSet>,
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
/// If the kernel's types describe no namespace.
pub fn collect(kernel: &Kernel, modules: &Modules) -> Result<RuleFacts, KernelError> {
    let clock = Clock::read(kernel)?;
    let cpus = Cpus::read(kernel).ok();
    let nft = said(
        kernel,
        "nf_tables",
        nft::Reader::new(kernel, modules, clock, cpus.clone()),
    );
    let xt = said(
        kernel,
        "x_tables",
        xt::Reader::new(kernel, modules, cpus.clone()),
    );
    // Nothing more is to be said where x_tables can't be read, of which they are.
    let ebt = xt.as_ref().and_then(|xt| {
        let found = ebt::Reader::new(kernel, modules, cpus, xt);
        said(kernel, "ebtables", found)
    });
    let ipset = said(kernel, "ipset", ipset::Reader::new(kernel, modules, clock));
    let known = [
        ("nf_tables", nft.is_some()),
        ("x_tables", xt.is_some()),
        ("ebtables", ebt.is_some()),
        ("ipset", ipset.is_some()),
    ];
    let filters = known
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| name);
    let one = |network: NetNamespace| NetnsRules {
        netns: network.inum,
        initial: network.initial,
        address: network.address,
        devices: devices::names(kernel, network.address),
        x_tables: {
            let mut all = xt
                .as_ref()
                .map(|xt| xt.tables(network.address))
                .unwrap_or_default();
            all.extend(ebt.iter().flat_map(|ebt| ebt.tables(network.address)));
            all
        },
        ipsets: ipset
            .as_ref()
            .map(|ipset| ipset.sets(network.address))
            .unwrap_or_default(),
        nf_tables: nft
            .as_ref()
            .map(|nft| nft.tables(network.address))
            .unwrap_or_default(),
    };
    let all = namespaces::of_networks(kernel)?.all;
    Ok(RuleFacts {
        namespaces: all.into_iter().map(one).collect(),
        filters: filters.collect(),
    })
}

/// The warning of a filter whose types are not known.
pub const NO_TYPES: &str = "rules-types";

/// What has no types costs its own rules.
fn said<T>(kernel: &Kernel, what: &str, found: Result<Option<T>, KernelError>) -> Option<T> {
    found.unwrap_or_else(|error| {
        kernel.diag.warn(
            NO_TYPES,
            format!("the rules of {what} are missing: {error}"),
        );
        None
    })
}

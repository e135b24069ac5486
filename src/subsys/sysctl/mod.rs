//! The sysctls: every name below /proc/sys with the value that reading it would have given.
//!
//! Layer: subsys. Input: the trees of `struct ctl_table` of the default set and of the
//! initial namespaces, and of the network namespaces asked for. Output: [`SysctlFacts`], in
//! the order of `sysctl -a`. Invariants: a value is what the table's handler would print, or
//! it is marked: raw bytes where the handler is not known, a reason where there is none.

mod decode;
mod handlers;
mod layouts;
mod special;
mod tree;
pub mod usage;

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::kernel::modules::Modules;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::clock::Clock;

use self::decode::{Unread, ValueReader};
use self::handlers::Handlers;
use self::tree::Leaf;
pub use self::tree::Network;

/// One file below /proc/sys.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// As `sysctl` writes it: parts with dots between them, a dot within a part as a slash.
    pub name: String,
    /// What reading it gives, without the last line's end; the bytes in hexadecimal if it is raw;
    /// `None` if there is none to be had.
    pub value: Option<String>,
    /// Whether the bytes are shown as they lie there, for want of a way to decode them.
    pub raw: bool,
    /// Why there is no value, or only a raw one.
    pub note: Option<String>,
    /// Whether `sysctl -a` shows it: files that can't be read, or give nothing, it leaves out.
    pub listed: bool,
    /// The function that prints it; `None` if it has no known name.
    pub handler: Option<String>,
    /// Address of that function.
    pub handler_address: VirtAddr,
    /// Address of its `struct ctl_table`.
    pub table: VirtAddr,
    /// Permissions in octal, as `ls` has them.
    pub mode: String,
    /// Number of the network namespace, if it belongs to one.
    pub netns: Option<u32>,
}

/// All that were asked for.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SysctlFacts {
    /// In the order of `sysctl -a`; further network namespaces one after the other behind it.
    pub entries: Vec<Entry>,
    /// Whether no directory and no value was missing or damaged.
    pub complete: bool,
}

/// Which of them are wanted.
#[allow(missing_debug_implementations)]
pub struct Wanted<'a> {
    /// By the namespace.
    pub network: &'a dyn Fn(&Network) -> bool,
    /// By the name.
    pub name: &'a dyn Fn(&str) -> bool,
}

/// Walks the trees and decodes what is wanted.
///
/// # Errors
/// If the kernel's types don't describe the trees, or it has none.
pub fn collect(
    kernel: &Kernel,
    modules: &Modules,
    wanted: &Wanted<'_>,
) -> Result<SysctlFacts, KernelError> {
    let mut forest = tree::read(kernel, wanted.network)?;
    forest.leaves.retain(|leaf| (wanted.name)(&leaf.name));
    let handlers = Handlers::resolve(kernel, modules);
    let hz = Clock::read(kernel)?.map(|clock| clock.hz);
    let reader = ValueReader::new(kernel, modules, hz);
    let entries: Vec<Entry> = forest
        .leaves
        .iter()
        .map(|leaf| entry(&reader, &handlers, leaf))
        .collect();
    let lost = reader.lost();
    if lost > 0 {
        kernel.diag.warn_many(
            "sysctl-value",
            "values lie in memory that is not in the dump or makes no sense; take the dump with kernel pages included, and to its end",
            lost,
        );
    }
    Ok(SysctlFacts {
        entries,
        complete: forest.complete && lost == 0,
    })
}

fn entry(reader: &ValueReader<'_>, handlers: &Handlers, leaf: &Leaf) -> Entry {
    let known = handlers.find(leaf.handler);
    let answer = reader.answer(leaf, known.map(|(_, decoder)| decoder));
    let mut entry = Entry {
        name: leaf.name.clone(),
        value: None,
        raw: false,
        note: None,
        listed: true,
        handler: known
            .map(|(name, _)| name.to_owned())
            .or_else(|| reader.function(leaf.handler)),
        handler_address: leaf.handler,
        table: leaf.table,
        mode: format!("{:04o}", leaf.mode & 0o7777),
        netns: leaf.net.map(|net| net.inum),
    };
    match answer {
        Ok(value) => entry.value = Some(value),
        Err(Unread::Nothing) => {
            entry.listed = false;
            entry.note = Some("reading it gives nothing".to_owned());
        }
        Err(Unread::Refused(why)) => {
            entry.listed = false;
            entry.note = Some(why.to_owned());
        }
        Err(Unread::Raw(why)) => {
            entry.raw = true;
            entry.value = reader.bytes(leaf);
            entry.note = Some(why);
        }
        Err(Unread::Missing(why)) => entry.note = Some(why),
    }
    entry
}

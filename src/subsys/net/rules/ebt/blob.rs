//! The entries of a table: heads of chains and rules one after another, each rule with matches,
//! watchers and a target (include/uapi/linux/netfilter_bridge/ebtables.h).

use std::collections::BTreeMap;

use super::super::hex::Hex;
use super::super::xt::{Extension, XChain, XRule, XTarget, XVerdict};
use crate::addr::VirtAddr;
use crate::bytes::{c_string, u32_at, u64_at};

/// `struct ebt_entries`.
const HEAD: usize = 48;
const HEAD_NAME: usize = 4;
const HEAD_NAME_LEN: usize = 32;
const HEAD_POLICY: usize = 40;
const HEAD_RULES: usize = 44;
/// `struct ebt_entry`: where addresses and so on end, where it says that watchers, target and the
/// next entry begin, and where matches do.
const ENTRY_HEADER: usize = 98;
const ENTRY_WATCHERS: usize = 100;
const ENTRY_TARGET: usize = 104;
const ENTRY_NEXT: usize = 108;
const ENTRY: usize = 112;
/// `struct ebt_entry_match`, `ebt_entry_watcher` and `ebt_entry_target` before their data.
const EXTENSION: usize = 40;
const EXTENSION_SIZE: usize = 32;
/// What its bits of what is asked say in a rule; the head of a chain has none.
const IS_RULE: u32 = 1;
/// NF_BR_NUMHOOKS.
pub(super) const HOOKS: [&str; 6] = [
    "PREROUTING",
    "INPUT",
    "FORWARD",
    "OUTPUT",
    "POSTROUTING",
    "BROUTING",
];

/// What entries are read with.
pub(super) struct Blob<'b> {
    pub(super) bytes: &'b [u8],
    /// Where the chains of hooks begin: the place in `bytes` and the hook.
    pub(super) begins: &'b BTreeMap<usize, u32>,
    /// Packets and bytes of each rule, in order; `None` of what is not known.
    pub(super) counters: &'b [Option<(u64, u64)>],
    /// Name and revision of the match (`true`) or target at an address.
    pub(super) names: &'b dyn Fn(VirtAddr, bool) -> Option<(String, u8)>,
}

/// One entry with the place behind it.
struct Read {
    rule: XRule,
    /// A jump whose chain's name is not known yet.
    jump: Option<usize>,
    next: usize,
}

impl Blob<'_> {
    /// The chains, those of hooks first by their hooks, and whether all of it could be read.
    pub(super) fn chains(&self) -> (Vec<XChain>, bool) {
        let mut chains: Vec<(XChain, u32)> = Vec::new();
        let mut names = BTreeMap::new();
        let mut jumps = Vec::new();
        let mut at = 0;
        let mut rules = 0;
        while at < self.bytes.len() {
            match u32_at(self.bytes, at) {
                Some(bits) if bits & IS_RULE != 0 => {
                    let Some(read) = self.rule(at, rules) else {
                        break;
                    };
                    let Some((chain, _)) = chains.last_mut() else {
                        break;
                    };
                    if let Some(to) = read.jump {
                        jumps.push((rules, to));
                    }
                    chain.rules.push(read.rule);
                    rules += 1;
                    at = read.next;
                }
                _ => {
                    let Some((chain, wanted)) = self.head(at) else {
                        break;
                    };
                    names.insert(at, chain.name.clone());
                    chains.push((chain, wanted));
                    at += HEAD;
                }
            }
        }
        let whole = |(chain, wanted): &(XChain, u32)| chain.rules.len() == *wanted as usize;
        let mut complete = at == self.bytes.len() && chains.iter().all(whole);
        let mut chains: Vec<XChain> = chains.into_iter().map(|(chain, _)| chain).collect();
        let mut all = chains.iter_mut().flat_map(|chain| &mut chain.rules);
        let mut passed = 0;
        for (number, to) in jumps {
            if let Some(rule) = all.nth(number - passed) {
                complete &= names.contains_key(&to);
                let name = names.get(&to).cloned().unwrap_or_else(|| format!("?{to}"));
                rule.target = XTarget::Verdict(XVerdict::Jump(name));
            }
            passed = number + 1;
        }
        // Own chains stay in their order.
        chains.sort_by_key(|chain| chain.hook.unwrap_or(u32::MAX));
        (chains, complete)
    }

    /// The chain that begins at `at`, and how many rules it says it has.
    fn head(&self, at: usize) -> Option<(XChain, u32)> {
        let bytes = self.bytes.get(at..at + HEAD)?;
        if u32_at(bytes, 0)? != 0 {
            return None;
        }
        let hook = self.begins.get(&at).copied();
        let mut name = c_string(bytes.get(HEAD_NAME..HEAD_NAME + HEAD_NAME_LEN)?);
        if let Some(of_hook) = hook.and_then(|hook| HOOKS.get(hook as usize)) {
            // The name is what the program that made the table wrote there, or nothing.
            if name.is_empty() {
                name = (*of_hook).to_owned();
            }
        }
        let chain = XChain {
            name,
            hook,
            policy: Some(verdict(u32_at(bytes, HEAD_POLICY)?.cast_signed())),
            packets: None,
            bytes: None,
            rules: Vec::new(),
        };
        Some((chain, u32_at(bytes, HEAD_RULES)?))
    }

    /// The rule at `at`, which is the `number`th.
    fn rule(&self, at: usize, number: usize) -> Option<Read> {
        let bytes = self.bytes.get(at..)?;
        let place = |member: usize| u32_at(bytes, member).map(|at| at as usize);
        let (watchers, target, next) = (
            place(ENTRY_WATCHERS)?,
            place(ENTRY_TARGET)?,
            place(ENTRY_NEXT)?,
        );
        let in_order = ENTRY <= watchers && watchers <= target && target + EXTENSION <= next;
        if !in_order || !next.is_multiple_of(8) {
            return None;
        }
        let bytes = bytes.get(..next)?;
        let end = bytes.get(target..)?;
        let data = end.get(EXTENSION..)?;
        let (name, revision) = (self.names)(VirtAddr(u64_at(end, 0)?), false)?;
        let mut jump = None;
        let does = if name == "standard" {
            let code = u32_at(data, 0)?.cast_signed();
            jump = usize::try_from(code).ok();
            XTarget::Verdict(verdict(code))
        } else {
            let size = u32_at(end, EXTENSION_SIZE)? as usize;
            XTarget::Extension(Extension {
                name,
                revision,
                info: Hex(data.get(..size)?.to_vec()),
            })
        };
        let counters = self.counters.get(number).copied().flatten();
        Some(Read {
            rule: XRule {
                packets: counters.map(|(packets, _)| packets),
                bytes: counters.map(|(_, bytes)| bytes),
                header: Hex(bytes.get(..ENTRY_HEADER)?.to_vec()),
                matches: self.extensions(bytes.get(ENTRY..watchers)?, true)?,
                // Registered as targets, in a place of their own.
                watchers: self.extensions(bytes.get(watchers..target)?, false)?,
                target: does,
            },
            jump,
            next: at + next,
        })
    }

    fn extensions(&self, mut bytes: &[u8], are_matches: bool) -> Option<Vec<Extension>> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let size = u32_at(bytes, EXTENSION_SIZE)? as usize;
            let info = bytes.get(EXTENSION..)?.get(..size)?;
            let (name, revision) = (self.names)(VirtAddr(u64_at(bytes, 0)?), are_matches)?;
            all.push(Extension {
                name,
                revision,
                info: Hex(info.to_vec()),
            });
            bytes = bytes.get(EXTENSION + size..)?;
        }
        Some(all)
    }
}

fn verdict(code: i32) -> XVerdict {
    match code {
        -1 => XVerdict::Accept,
        -2 => XVerdict::Drop,
        -3 => XVerdict::Continue,
        -4 => XVerdict::Return,
        // To a chain that gets its name later.
        at if at >= 0 => XVerdict::None,
        other => XVerdict::Other(other),
    }
}

#[cfg(test)]
mod tests;

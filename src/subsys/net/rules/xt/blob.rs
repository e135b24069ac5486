//! The blob of a table: entries one after another, each with matches and a target
//! (include/uapi/linux/netfilter/x_tables.h, ip_tables.h, ip6_tables.h, arp_tables.h).

use std::collections::BTreeMap;

use super::super::hex::Hex;
use super::tables::Reader;
use super::{Extension, XChain, XFamily, XRule, XTable, XTarget, XVerdict};
use crate::addr::VirtAddr;
use crate::bytes::{c_string, u16_at, u32_at, u64_at};

/// `struct xt_entry_match` and `xt_entry_target` before their data.
const EXTENSION_HEAD: usize = 32;
/// NF_INET_NUMHOOKS.
const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
/// NF_ARP_NUMHOOKS.
const ARP_HOOKS: [&str; 3] = ["INPUT", "OUTPUT", "FORWARD"];

/// Where members of an entry lie; uapi.
struct Shape {
    /// Bytes of the header that says addresses and so on.
    header: usize,
    target_offset: usize,
    /// Both counters.
    counters: usize,
    /// Where matches begin.
    size: usize,
}

fn shape(family: u8) -> Shape {
    let (header, target_offset, counters, size) = match family {
        10 => (136, 140, 152, 168),
        3 => (164, 164, 176, 192),
        _ => (84, 88, 96, 112),
    };
    Shape {
        header,
        target_offset,
        counters,
        size,
    }
}

/// One entry.
struct Entry {
    at: usize,
    next: usize,
    rule: XRule,
    /// A jump whose chain's name is not known yet, and whether it does not come back.
    jump: Option<(usize, bool)>,
    /// The head of a chain, or the end of the table.
    error: Option<String>,
}

pub(super) struct Blob<'b, 'k> {
    pub(super) reader: &'b Reader<'k>,
    pub(super) bytes: &'b [u8],
    /// The `struct xt_table_info` before its entries.
    pub(super) head: &'b [u8],
    pub(super) family: u8,
    pub(super) valid_hooks: u32,
}

impl Blob<'_, '_> {
    pub(super) fn table(&self, name: String) -> XTable {
        let shape = shape(self.family);
        let mut entries = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            let Some(entry) = self.entry(at, &shape) else {
                break;
            };
            at = entry.next;
            entries.push(entry);
        }
        let ended = entries.last().and_then(|last| last.error.as_deref()) == Some("ERROR");
        let complete = at == self.bytes.len() && ended;
        XTable {
            family: XFamily(self.family),
            name,
            chains: self.chains(entries),
            complete,
        }
    }

    fn entry(&self, at: usize, shape: &Shape) -> Option<Entry> {
        let bytes = self.bytes.get(at..)?;
        let target = usize::from(u16_at(bytes, shape.target_offset)?);
        let next = usize::from(u16_at(bytes, shape.target_offset + 2)?);
        if target < shape.size || next < target + EXTENSION_HEAD || !next.is_multiple_of(8) {
            return None;
        }
        let bytes = bytes.get(..next)?;
        let counters = self.reader.counters(
            u64_at(bytes, shape.counters)?,
            u64_at(bytes, shape.counters + 8)?,
        );
        let header = Hex(bytes.get(..shape.header)?.to_vec());
        let mut jump = None;
        let mut error = None;
        let data = bytes.get(target + EXTENSION_HEAD..)?;
        let (name, revision) = self
            .reader
            .extension(VirtAddr(u64_at(bytes, target + 8)?), false)?;
        let target = match name.as_str() {
            "" => {
                let verdict = u32_at(data, 0)?.cast_signed();
                if verdict >= 0 && verdict as usize != at + next {
                    jump = Some((verdict as usize, self.is_goto(&header)));
                }
                XTarget::Verdict(standard(verdict))
            }
            "ERROR" => {
                error = Some(c_string(data.get(..30).unwrap_or(data)));
                XTarget::Verdict(XVerdict::None)
            }
            _ => XTarget::Extension(Extension {
                name,
                revision,
                info: Hex(data.to_vec()),
            }),
        };
        let target_at = usize::from(u16_at(bytes, shape.target_offset)?);
        Some(Entry {
            at,
            next: at + next,
            rule: XRule {
                packets: counters.map(|(packets, _)| packets),
                bytes: counters.map(|(_, bytes)| bytes),
                header,
                matches: self.matches(bytes.get(shape.size..target_at)?)?,
                watchers: Vec::new(),
                target,
            },
            jump,
            error,
        })
    }

    /// IPT_F_GOTO, IP6T_F_GOTO, ARPT_F_GOTO.
    fn is_goto(&self, header: &Hex) -> bool {
        let (at, bit) = match self.family {
            10 => (131, 4),
            3 => (158, 1),
            _ => (82, 2),
        };
        header.0.get(at).is_some_and(|flags| flags & bit != 0)
    }

    fn matches(&self, mut bytes: &[u8]) -> Option<Vec<Extension>> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let size = usize::from(u16_at(bytes, 0)?);
            if size < EXTENSION_HEAD {
                return None;
            }
            let one = bytes.get(..size)?;
            let (name, revision) = self.reader.extension(VirtAddr(u64_at(one, 8)?), true)?;
            all.push(Extension {
                name,
                revision,
                info: Hex(one.get(EXTENSION_HEAD..)?.to_vec()),
            });
            bytes = bytes.get(size..)?;
        }
        Some(all)
    }

    /// Base chains begin where the table says, the others behind an entry with their name.
    fn chains(&self, entries: Vec<Entry>) -> Vec<XChain> {
        let hooks: &[&str] = if self.family == 3 { &ARP_HOOKS } else { &HOOKS };
        let hook_at = |offset: u32, hook: usize| u32_at(self.head, offset as usize + hook * 4);
        let layout = &self.reader.info;
        let mut begins = BTreeMap::new();
        let mut policies = BTreeMap::new();
        for (hook, name) in hooks.iter().enumerate() {
            if self.valid_hooks >> hook & 1 == 1 {
                if let Some(at) = hook_at(layout.hook_entry.offset, hook) {
                    begins.insert(at as usize, (hook, *name));
                }
                if let Some(at) = hook_at(layout.underflow.offset, hook) {
                    policies.insert(at as usize, hook);
                }
            }
        }
        let names: BTreeMap<usize, String> = entries
            .iter()
            .filter_map(|entry| Some((entry.next, entry.error.clone()?)))
            .collect();
        let mut chains: Vec<XChain> = Vec::new();
        for mut entry in entries {
            if let Some((hook, name)) = begins.get(&entry.at) {
                chains.push(empty((*name).to_owned(), Some(*hook as u32)));
            }
            if let Some(name) = entry.error {
                end_of_own(chains.last_mut());
                if name != "ERROR" {
                    chains.push(empty(name, None));
                }
                continue;
            }
            if let Some((to, goes)) = entry.jump {
                let name = names.get(&to).cloned().unwrap_or_else(|| format!("?{to}"));
                entry.rule.target = XTarget::Verdict(match goes {
                    true => XVerdict::Goto(name),
                    false => XVerdict::Jump(name),
                });
            }
            let Some(chain) = chains.last_mut() else {
                continue;
            };
            match (policies.get(&entry.at), entry.rule.target) {
                (Some(_), XTarget::Verdict(policy)) if chain.hook.is_some() => {
                    chain.policy = Some(policy);
                    (chain.packets, chain.bytes) = (entry.rule.packets, entry.rule.bytes);
                }
                (_, target) => chain.rules.push(XRule {
                    target,
                    ..entry.rule
                }),
            }
        }
        chains
    }
}

fn empty(name: String, hook: Option<u32>) -> XChain {
    XChain {
        name,
        hook,
        policy: None,
        packets: None,
        bytes: None,
        rules: Vec::new(),
    }
}

/// A chain without a hook ends with a return that nobody wrote.
fn end_of_own(chain: Option<&mut XChain>) {
    if let Some(chain) = chain.filter(|chain| chain.hook.is_none()) {
        chain.rules.pop();
    }
}

fn standard(verdict: i32) -> XVerdict {
    match verdict {
        -1 => XVerdict::Drop,
        -2 => XVerdict::Accept,
        -4 => XVerdict::Queue,
        -5 => XVerdict::Return,
        // To the next entry, or one that gets its name later.
        at if at >= 0 => XVerdict::None,
        other => XVerdict::Other(other),
    }
}

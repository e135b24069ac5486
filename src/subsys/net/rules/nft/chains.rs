//! Chains and their rules.

use super::super::hex::Hex;
use super::tables::{Reader, Record, is_active};
use super::{BaseChain, Chain, Family, Rule, Verdict, udata};
use crate::addr::VirtAddr;
use crate::kernel::layout::Field;

/// NFT_CHAIN_BASE.
const BASE: u64 = 1;

/// Where a member lies.
fn address_of(record: &Record, field: Field) -> VirtAddr {
    record.address.plus(u64::from(field.offset))
}

impl Reader<'_> {
    pub(super) fn chains(&self, head: VirtAddr, family: Family, current: u64) -> Vec<Chain> {
        let layout = &self.names().chains;
        let records = self.listed(head, layout.list, layout.len, "chains");
        let active = |record: &&Record| is_active(layout.genmask, record, current);
        let chains = records.iter().filter(active);
        chains
            .map(|record| self.chain(record, family, current))
            .collect()
    }

    fn chain(&self, record: &Record, family: Family, current: u64) -> Chain {
        let layout = &self.names().chains;
        let get = |field: Field| field.get(&record.bytes);
        let flags = get(layout.flags);
        Chain {
            name: self.names().named(record.address, layout.name),
            handle: get(layout.handle),
            uses: get(layout.uses) as u32,
            flags: flags as u32,
            comment: self.comment(record, layout.udlen, layout.udata),
            base: (flags & BASE != 0)
                .then(|| self.base_chain(record.address, family))
                .flatten(),
            rules: self.rules(record.address.plus(u64::from(layout.rules.offset)), current),
        }
    }

    /// The `struct nft_base_chain` around a chain.
    fn base_chain(&self, chain: VirtAddr, family: Family) -> Option<BaseChain> {
        let layout = &self.base;
        let address = chain.minus(u64::from(layout.chain.offset));
        let bytes = self.kernel.space.read_bytes(address, layout.len).ok()?;
        let record = Record { address, bytes };
        let get = |field: Field| field.get(&record.bytes);
        let kind = VirtAddr(get(layout.kind)).plus(u64::from(self.chain_type_name.offset));
        let kind = self.kernel.space.read_u64(kind).ok()?;
        let first = address_of(&record, layout.ops);
        let ops = self
            .kernel
            .space
            .read_bytes(first, self.base_hook.len)
            .ok()?;
        let hook = self.base_hook.hooknum.get(&ops) as u32;
        let stats = VirtAddr(get(layout.stats));
        let counted = match stats.is_null() {
            true => None,
            false => self.names().stats(stats),
        };
        Some(BaseChain {
            kind: self.text(kind),
            hook_number: hook,
            hook: family.hook(hook),
            priority: (self.base_hook.priority.get(&ops) as u32).cast_signed(),
            policy: match get(layout.policy) {
                0 => Verdict::Drop,
                _ => Verdict::Accept,
            },
            devices: self.base_devices(&record, family, hook),
            packets: counted.map(|(packets, _)| packets),
            bytes: counted.map(|(_, bytes)| bytes),
        })
    }

    /// Chains of netdev, and of inet at ingress, hang on devices.
    fn base_devices(&self, record: &Record, family: Family, hook: u32) -> Vec<String> {
        let layout = &self.base;
        if !matches!((family.0, hook), (5, _) | (1, 5)) {
            return Vec::new();
        }
        if let Some(hooks) = layout.hooks {
            return self.devices(record.address.plus(u64::from(hooks.offset)));
        }
        let name = layout.device_name.and_then(|field| {
            let at = record.address.plus(u64::from(field.offset));
            self.kernel
                .space
                .read_c_string(at, field.size as usize)
                .ok()
        });
        name.into_iter().collect()
    }

    fn rules(&self, head: VirtAddr, current: u64) -> Vec<Rule> {
        let layout = &self.rule;
        let records = self.listed(head, layout.list, layout.len, "rules");
        let active = |record: &&Record| layout.genmask.get(&record.bytes) & current == 0;
        records
            .iter()
            .filter(active)
            .map(|record| self.one_rule(record))
            .collect()
    }

    fn one_rule(&self, record: &Record) -> Rule {
        let layout = &self.rule;
        let get = |field: Field| field.get(&record.bytes);
        let len = get(layout.dlen) as usize;
        let data = record.address.plus(u64::from(layout.data.offset));
        let handle = get(layout.handle);
        let (exprs, whole) = match self.kernel.space.read_bytes(data, len) {
            Ok(bytes) => self.decoder.all(&bytes),
            Err(_) => (Vec::new(), false),
        };
        if !whole {
            self.kernel.diag.warn(
                "rule-cut",
                format!("the rule with handle {handle} at {} can't be read to its end: it is damaged, or a page of it is not in the dump", record.address),
            );
        }
        let userdata = match get(layout.udata) {
            0 => None,
            _ => self.user_data(data.plus(len as u64)),
        };
        Rule {
            handle,
            exprs,
            comment: userdata.as_deref().and_then(udata::comment),
            userdata: userdata.map(Hex),
            cut: !whole,
        }
    }

    /// `struct nft_userdata`: the length less one, and the data.
    pub(super) fn user_data(&self, at: VirtAddr) -> Option<Vec<u8>> {
        let space = &self.kernel.space;
        let len = usize::from(*space.read_bytes(at, 1).ok()?.first()?) + 1;
        space.read_bytes(at.plus(1), len).ok()
    }
}

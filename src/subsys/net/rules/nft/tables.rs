//! From a namespace to its tables.

use super::expr::Decoder;
use super::layouts::{
    BaseChainLayout, BaseHookLayout, ChainTypeLayout, FamilyLayout, HookDeviceLayout, HookLayout,
    HookOpsLayout, NftNetLayout, NftPernetLayout, OldChainTypeLayout, RuleLayout, TableLayout,
};
use super::names::Names;
use super::sets::SetReader;
use super::{Family, Table, udata};
use crate::addr::VirtAddr;
use crate::bytes::c_string;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::Field;
use crate::kernel::modules::{self, Modules};
use crate::kernel::namespaces;
use crate::kernel::{Kernel, KernelError, walk};
use crate::subsys::clock::Clock;

/// More tables, chains or rules than any machine has.
const MAX_LISTED: u64 = 1 << 24;
/// `udlen` has 16 bits.
const MAX_UDATA: u64 = u16::MAX as u64;

/// Reads what nf_tables has.
#[derive(Debug)]
pub(in super::super) struct Reader<'k> {
    pub(super) kernel: &'k Kernel,
    pub(super) decoder: Decoder<'k>,
    pub(super) sets: SetReader,
    pub(super) base: BaseChainLayout,
    pub(super) base_hook: BaseHookLayout,
    /// Of a chain's type.
    pub(super) chain_type_name: Field,
    /// 5.5 and later.
    pub(super) hook: Option<HookLayout>,
    /// What stood in its place before.
    ops: Option<HookOpsLayout>,
    pub(super) device: HookDeviceLayout,
    pub(super) rule: RuleLayout,
    net: NftNetLayout,
    /// Where the tables are in net_generic.
    pernet: Option<(NftPernetLayout, VirtAddr)>,
    /// Up to 4.16.
    family: Option<FamilyLayout>,
    table: TableLayout,
}

/// NFT_FLOWTABLE_DEVICE_MAX and more.
const MAX_DEVICES: u64 = 256;

/// Whether something is there already and still; up to 4.7 transactions mark only rules and
/// elements.
pub(super) fn is_active(genmask: Option<Field>, record: &Record, current: u64) -> bool {
    genmask.is_none_or(|field| field.get(&record.bytes) & current == 0)
}

/// One structure with what is read of it.
pub(super) struct Record {
    pub(super) address: VirtAddr,
    pub(super) bytes: Vec<u8>,
}

impl<'k> Reader<'k> {
    /// `None` if the kernel has no nf_tables.
    ///
    /// # Errors
    /// If its types don't describe them.
    pub(in super::super) fn new(
        kernel: &'k Kernel,
        modules: &'k Modules,
        clock: Option<Clock>,
        cpus: Option<Cpus>,
    ) -> Result<Option<Self>, KernelError> {
        if modules::resolve(kernel, modules, "nft_register_expr").is_none() {
            return Ok(None);
        }
        let net: NftNetLayout = kernel.layout()?;
        let id = modules::resolve(kernel, modules, "nf_tables_net_id");
        let anywhere = net.tables.is_some() || net.families.is_some() || id.is_some();
        if net.gencursor.is_none() || !anywhere {
            return Ok(None);
        }
        let old: Result<OldChainTypeLayout, _> = kernel.layout();
        let chain_type_name = match (kernel.layout::<ChainTypeLayout>(), old) {
            (Ok(layout), _) => layout.name,
            (Err(_), Ok(layout)) => layout.name,
            (Err(error), Err(_)) => return Err(error.into()),
        };
        let pernet = match id {
            Some(id) => Some((kernel.layout()?, id)),
            None => None,
        };
        Ok(Some(Self {
            decoder: Decoder::new(Names::new(kernel, modules, clock, cpus)?)?,
            sets: SetReader::new(kernel)?,
            base: kernel.layout()?,
            base_hook: kernel.layout()?,
            chain_type_name,
            family: match net.families {
                Some(_) => Some(kernel.layout()?),
                None => None,
            },
            hook: kernel.layout().ok(),
            ops: kernel.layout().ok(),
            device: kernel.layout()?,
            rule: kernel.layout()?,
            table: kernel.layout()?,
            net,
            pernet,
            kernel,
        }))
    }

    pub(super) fn names(&self) -> &Names<'k> {
        &self.decoder.names
    }

    /// The tables of the namespace at `net`, in the kernel's order.
    pub(in super::super) fn tables(&self, net: VirtAddr) -> Vec<Table> {
        let Some(cursor) = self.net.gencursor else {
            return Vec::new();
        };
        let Ok(cursor) = self
            .kernel
            .space
            .read_bytes(net.plus(u64::from(cursor.offset)), 1)
        else {
            return Vec::new();
        };
        // What has this bit is not there yet, or not any more.
        let current = 1u64 << (cursor.first().copied().unwrap_or(0) & 1);
        if let Some((layout, families)) = self.family.as_ref().zip(self.net.families) {
            let head = net.plus(u64::from(families.offset));
            let families = self.listed(head, layout.list, layout.len, "families");
            let of = |family: &Record| {
                let head = family.address.plus(u64::from(layout.tables.offset));
                let number = Family(layout.family.get(&family.bytes) as u8);
                self.tables_of(head, Some(number), current)
            };
            return families.iter().flat_map(of).collect();
        }
        let head = match (&self.pernet, self.net.tables) {
            (Some((layout, id)), _) => namespaces::generic(self.kernel, net, *id)
                .map(|own| own.plus(u64::from(layout.tables.offset))),
            (None, Some(tables)) => Some(net.plus(u64::from(tables.offset))),
            (None, None) => None,
        };
        let Some(head) = head else {
            return Vec::new();
        };
        self.tables_of(head, None, current)
    }

    /// Those on a list; where they don't say their family, all are of one.
    fn tables_of(&self, head: VirtAddr, family: Option<Family>, current: u64) -> Vec<Table> {
        let layout = &self.table;
        let records = self.listed(head, layout.list, layout.len, "tables");
        let records = records.iter();
        let records = records.filter(|record| is_active(layout.genmask, record, current));
        records
            .map(|record| self.one(record, family, current))
            .collect()
    }

    fn one(&self, record: &Record, family: Option<Family>, current: u64) -> Table {
        let layout = &self.table;
        let get = |field: Field| field.get(&record.bytes);
        let at = |field: Field| record.address.plus(u64::from(field.offset));
        let name = self.names().named(record.address, layout.name);
        let own = layout.family.map(|field| Family(get(field) as u8));
        let family = own.or(family).unwrap_or(Family(0));
        let flags = get(layout.flags) as u32;
        // NFT_TABLE_F_OWNER.
        let owner = layout
            .owner
            .filter(|_| flags & 2 != 0)
            .map(|field| get(field) as u32);
        Table {
            family,
            handle: layout.handle.map_or(0, get),
            uses: get(layout.uses) as u32,
            flags,
            owner,
            comment: self.comment(record, layout.udlen, layout.udata),
            chains: self.chains(at(layout.chains), family, current),
            sets: self.all_sets(at(layout.sets), current, &name),
            objects: layout
                .objects
                .map_or_else(Vec::new, |field| self.objects(at(field), current)),
            flowtables: layout
                .flowtables
                .map_or_else(Vec::new, |field| self.flowtables(at(field), current)),
            name,
        }
    }

    /// The structures on a list, with `len` bytes of each. What is missing is said.
    pub(super) fn listed(
        &self,
        head: VirtAddr,
        list: Field,
        len: usize,
        what: &'static str,
    ) -> Vec<Record> {
        let found = walk::list(&self.kernel.space, head, MAX_LISTED);
        if !found.end.is_complete() {
            self.kernel.diag.warn(
                "rules-list",
                format!(
                    "the list of {what} of nf_tables at {head} {} after {}: those behind it are missing",
                    found.end.describe(),
                    found.seen
                ),
            );
        }
        let record = |link: VirtAddr| {
            let address = link.minus(u64::from(list.offset));
            let bytes = self.kernel.space.read_bytes(address, len).ok()?;
            Some(Record { address, bytes })
        };
        found.value.into_iter().filter_map(record).collect()
    }

    /// A name that can't be read is said by its address.
    pub(super) fn text(&self, pointer: u64) -> String {
        let pointer = VirtAddr(pointer);
        let text = self.names().text(pointer);
        text.unwrap_or_else(|| format!("?{pointer}"))
    }

    /// What userland keeps with a structure.
    pub(super) fn udata(
        &self,
        record: &Record,
        len: Option<Field>,
        data: Option<Field>,
    ) -> Vec<u8> {
        let get = |field: Field| field.get(&record.bytes);
        let Some((len, at)) = len.map(get).zip(data.map(get)) else {
            return Vec::new();
        };
        match (len.min(MAX_UDATA), at) {
            (0, _) | (_, 0) => Vec::new(),
            (len, at) => {
                let bytes = self.kernel.space.read_bytes(VirtAddr(at), len as usize);
                bytes.unwrap_or_default()
            }
        }
    }

    pub(super) fn comment(
        &self,
        record: &Record,
        len: Option<Field>,
        data: Option<Field>,
    ) -> Option<String> {
        udata::comment(&self.udata(record, len, data))
    }

    /// The devices that a list of `struct nft_hook` names.
    pub(super) fn devices(&self, head: VirtAddr) -> Vec<String> {
        let Some(layout) = &self.hook else {
            return Vec::new();
        };
        let len = layout.name.map_or(layout.len, |name| {
            layout.len.max((name.offset + name.size) as usize)
        });
        let hooks = self.listed(head, layout.list, len, "devices");
        hooks
            .iter()
            .filter_map(|hook| self.device_of(layout, hook))
            .collect()
    }

    /// The devices of `count` hooks that lie one behind the other.
    pub(super) fn devices_of_ops(&self, first: VirtAddr, count: u64) -> Vec<String> {
        let Some(layout) = self.ops.as_ref().filter(|_| !first.is_null()) else {
            return Vec::new();
        };
        let one = |index: u64| {
            let at = first.plus(index * layout.struct_size as u64);
            let device = at.plus(u64::from(layout.device.offset));
            self.device_name(self.kernel.space.read_ptr(device).ok()?)
        };
        (0..count.min(MAX_DEVICES)).filter_map(one).collect()
    }

    fn device_of(&self, layout: &HookLayout, hook: &Record) -> Option<String> {
        if let Some(name) = layout.name {
            let start = name.offset as usize;
            let given = hook.bytes.get(start..start + name.size as usize)?;
            let text = c_string(given);
            let len = layout.name_len.map_or(0, |field| field.get(&hook.bytes));
            // A length without the NUL is that of a pattern.
            let pattern = len > 0 && len as usize == text.len();
            return Some(if pattern { text + "*" } else { text });
        }
        self.device_name(VirtAddr(layout.device?.get(&hook.bytes)))
    }

    fn device_name(&self, device: VirtAddr) -> Option<String> {
        let name = self.device.name;
        let at = device.plus(u64::from(name.offset));
        self.kernel.space.read_c_string(at, name.size as usize).ok()
    }
}

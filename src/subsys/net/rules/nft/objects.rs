//! Objects that rules name, and flowtables.

use super::super::hex::Hex;
use super::layouts::ObjectLayout;
use super::object_layouts::*;
use super::tables::{Reader, Record};
use super::{Flowtable, Object, ObjectBody};
use crate::addr::VirtAddr;
use crate::bytes::u32_at;
use crate::kernel::layout::Field;

/// Private structures are small.
const MAX_SIZE: u64 = 4 << 10;
/// Of TCP; other protocols have fewer.
const MAX_STATES: usize = 14;
/// Of `enum tcp_conntrack`, in the order of the attributes of timeouts
/// (include/uapi/linux/netfilter/nfnetlink_cttimeout.h): there is none of TCP_CONNTRACK_NONE, and
/// those of retransmissions and unacknowledged data stand behind TCP_CONNTRACK_IGNORE.
const TCP_STATES: [usize; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13];

impl Reader<'_> {
    pub(super) fn objects(&self, head: VirtAddr, current: u64) -> Vec<Object> {
        let Some(layout) = &self.names().objects else {
            return Vec::new();
        };
        let records = self.listed(head, layout.list, layout.len, "objects");
        let active = |record: &&Record| layout.genmask.get(&record.bytes) & current == 0;
        records
            .iter()
            .filter(active)
            .map(|record| self.object(layout, record))
            .collect()
    }

    fn object(&self, layout: &ObjectLayout, record: &Record) -> Object {
        let get = |field: Field| field.get(&record.bytes);
        let ops = VirtAddr(get(layout.ops));
        let (kind, size) = self.names().object_kind(ops).unwrap_or((0, 0));
        let data = record.address.plus(u64::from(layout.data.offset));
        let data = self
            .kernel
            .space
            .read_bytes(data, size.min(MAX_SIZE) as usize);
        let data = data.unwrap_or_default();
        Object {
            name: self.text(get(layout.name)),
            handle: get(layout.handle),
            uses: get(layout.uses) as u32,
            kind,
            comment: self.comment(record, layout.udlen, layout.udata),
            body: self
                .body(kind, ops, &data)
                .unwrap_or(ObjectBody::Unknown { data: Hex(data) }),
        }
    }

    fn body(&self, kind: u32, ops: VirtAddr, data: &[u8]) -> Option<ObjectBody> {
        let as_expr = |name| {
            let symbol = self.names().symbol(ops).unwrap_or_default();
            let expr = self.decoder.object(name, &symbol, data)?;
            Some(ObjectBody::Expression { expr })
        };
        match kind {
            1 => as_expr("counter"),
            2 => as_expr("quota"),
            3 => self.helper(data),
            4 => as_expr("limit"),
            5 => as_expr("connlimit"),
            7 => self.timeout(data),
            8 => self.secmark(data),
            9 => self.expectation(data),
            10 => as_expr("synproxy"),
            _ => None,
        }
    }

    fn helper(&self, data: &[u8]) -> Option<ObjectBody> {
        let layout: HelperObjectLayout = self.kernel.layout().ok()?;
        let name: HelperNameLayout = self.kernel.layout().ok()?;
        let given = [(layout.helper4, 2), (layout.helper6, 10)];
        let of = |(field, family): &(Field, u16)| match field.get(data) {
            0 => None,
            at => Some((VirtAddr(at), *family)),
        };
        let both = given.iter().filter_map(of).count() == 2;
        let (helper, family) = given.iter().find_map(of)?;
        let at = helper.plus(u64::from(name.name.offset));
        let text = self.kernel.space.read_c_string(at, name.name.size as usize);
        Some(ObjectBody::CtHelper {
            helper: text.ok()?,
            l4proto: layout.l4proto.get(data) as u8,
            // NFPROTO_INET where it serves both.
            l3num: if both { 1 } else { family },
        })
    }

    fn timeout(&self, data: &[u8]) -> Option<ObjectBody> {
        let object: TimeoutObjectLayout = self.kernel.layout().ok()?;
        let layout: TimeoutLayout = self.kernel.layout().ok()?;
        let at = VirtAddr(object.timeout.get(data));
        let head = self.kernel.space.read_bytes(at, layout.len).ok()?;
        let l4proto = object.l4proto.get(data) as u8;
        let states: Vec<usize> = match l4proto {
            6 => TCP_STATES.to_vec(),
            17 | 136 | 47 => vec![0, 1],
            _ => vec![0],
        };
        let values = at.plus(u64::from(layout.data.offset));
        let last = states.last().map_or(0, |last| (last + 1).min(MAX_STATES));
        let values = self.kernel.space.read_bytes(values, last * 4).ok()?;
        let seconds = |state: usize| {
            let jiffies = u32_at(&values, state * 4)?;
            Some((self.names().milliseconds(u64::from(jiffies)) / 1000) as u32)
        };
        Some(ObjectBody::CtTimeout {
            l3num: layout.l3num.get(&head) as u16,
            l4proto,
            seconds: states.into_iter().map(seconds).collect::<Option<_>>()?,
        })
    }

    fn expectation(&self, data: &[u8]) -> Option<ObjectBody> {
        let layout: ExpectObjectLayout = self.kernel.layout().ok()?;
        Some(ObjectBody::CtExpectation {
            l3num: layout.l3num.get(data) as u16,
            l4proto: layout.l4proto.get(data) as u8,
            dport: (layout.dport.get(data) as u16).swap_bytes(),
            timeout_ms: layout.timeout.get(data) as u32,
            size: layout.size.get(data) as u8,
        })
    }

    fn secmark(&self, data: &[u8]) -> Option<ObjectBody> {
        let layout: SecmarkLayout = self.kernel.layout().ok()?;
        let context = VirtAddr(layout.context.get(data));
        Some(ObjectBody::Secmark {
            context: self.kernel.space.read_c_string(context, 256).ok()?,
        })
    }

    pub(super) fn flowtables(&self, head: VirtAddr, current: u64) -> Vec<Flowtable> {
        let Some(layout) = &self.names().flowtables else {
            return Vec::new();
        };
        let records = self.listed(head, layout.list, layout.len, "flowtables");
        let active = |record: &&Record| layout.genmask.get(&record.bytes) & current == 0;
        let one = |record: &Record| {
            let get = |field: Field| field.get(&record.bytes);
            let hooks = layout
                .hooks
                .map(|field| record.address.plus(u64::from(field.offset)));
            Flowtable {
                name: self.text(get(layout.name)),
                handle: get(layout.handle),
                uses: get(layout.uses) as u32,
                hook_number: get(layout.hooknum) as u32,
                priority: (get(layout.priority) as u32).cast_signed(),
                flags: layout.flags.map_or(0, get) as u32,
                devices: match (hooks, layout.ops.zip(layout.ops_len)) {
                    (Some(head), _) => self.devices(head),
                    (None, Some((ops, count))) => {
                        self.devices_of_ops(VirtAddr(get(ops)), get(count))
                    }
                    (None, None) => Vec::new(),
                },
            }
        };
        records.iter().filter(active).map(one).collect()
    }
}

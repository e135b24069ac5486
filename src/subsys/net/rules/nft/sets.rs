//! Sets and maps: what they are, and where each backend keeps its elements.

use super::elements::{Parts, parts};
use super::layouts::*;
use super::tables::{Reader, Record, is_active};
use super::{Element, Set, SetNotes, udata};
use crate::addr::VirtAddr;
use crate::bytes::{c_string, u32_at, u64_at};
use crate::kernel::layout::{Field, Layout};
use crate::kernel::{Kernel, KernelError, walk};
use crate::partial::{End, Partial};

/// NFT_SET_INTERVAL has two elements in a tree for each one that was given, and what a transaction
/// had in hand comes on top.
const SLACK: usize = 1024;
/// A pipapo field has as many rules as its elements, and more for ranges.
const MAX_PIPAPO: u64 = 10_000_000;

/// The layouts of sets; a kernel lacks some backends.
#[derive(Debug)]
pub(super) struct SetReader {
    ops: SetOpsLayout,
    pub(super) ext: SetExtLayout,
    /// Where the parts of an element are told.
    pub(super) parts: Parts,
    catchall: Option<CatchallLayout>,
    rhash: Option<(RhashLayout, RhashElementLayout)>,
    hash: Option<(HashLayout, HashElementLayout)>,
    /// Up to 4.12.
    old_hash: Option<(OldHashLayout, OldHashElementLayout)>,
    bitmap: Option<(BitmapLayout, BitmapElementLayout)>,
    rbtree: Option<(RbtreeLayout, RbtreeElementLayout)>,
    pipapo: Option<Pipapo>,
}

#[derive(Debug)]
struct Pipapo {
    own: PipapoLayout,
    matching: PipapoMatchLayout,
    field: PipapoFieldLayout,
    element: PipapoElementLayout,
}

fn both<A: Layout, B: Layout>(kernel: &Kernel) -> Option<(A, B)> {
    Some((kernel.layout().ok()?, kernel.layout().ok()?))
}

impl SetReader {
    pub(super) fn new(kernel: &Kernel) -> Result<Self, KernelError> {
        let pipapo = both(kernel).zip(both(kernel));
        Ok(Self {
            ops: kernel.layout()?,
            ext: kernel.layout()?,
            parts: parts(kernel)?,
            catchall: kernel.layout().ok(),
            rhash: both(kernel),
            hash: both(kernel),
            old_hash: both(kernel),
            bitmap: both(kernel),
            rbtree: both(kernel),
            pipapo: pipapo.map(|((own, matching), (field, element))| Pipapo {
                own,
                matching,
                field,
                element,
            }),
        })
    }
}

/// Where elements are (`struct nft_set_ext`), and whether those are all.
type Exts = Partial<Vec<VirtAddr>>;

impl Reader<'_> {
    pub(super) fn all_sets(&self, head: VirtAddr, current: u64, table: &str) -> Vec<Set> {
        let layout = &self.names().sets;
        let records = self.listed(head, layout.list, layout.len, "sets");
        let active = |record: &&Record| is_active(layout.genmask, record, current);
        let sets = records.iter().filter(active);
        sets.map(|record| self.one_set(record, current, table))
            .collect()
    }

    fn one_set(&self, record: &Record, current: u64, table: &str) -> Set {
        let layout = &self.names().sets;
        let get = |field: Field| field.get(&record.bytes) as u32;
        let mut set = Set {
            name: self.names().named(record.address, layout.name),
            handle: layout.handle.map_or(0, |field| field.get(&record.bytes)),
            flags: get(layout.flags),
            key_type: get(layout.key_type),
            key_len: get(layout.key_len),
            data_type: get(layout.data_type),
            data_len: get(layout.data_len),
            object_type: layout.object_type.map_or(0, get),
            size: get(layout.size),
            timeout_ms: self.names().milliseconds(layout.timeout.get(&record.bytes)),
            gc_interval_ms: get(layout.gc_interval),
            policy: get(layout.policy),
            backend: "unknown",
            exprs: self.set_exprs(record),
            notes: self.set_notes(record),
            elements: Vec::new(),
            complete: true,
        };
        let ops = VirtAddr(layout.ops.get(&record.bytes));
        let bound = (get(layout.elements) as usize + get(layout.inactive) as usize) * 2 + SLACK;
        let symbol = self.names().symbol(ops).unwrap_or_default();
        let at = record.address.plus(u64::from(layout.data.offset));
        let (backend, found) = self.exts(&symbol, at, bound);
        set.backend = backend;
        let (mut exts, mut complete) = match found {
            Some(found) => (found.value, found.end.is_complete()),
            None => (Vec::new(), false),
        };
        complete &= self.catchall(record, ops, &mut exts);
        for ext in exts {
            match self.element(ext, &set, current) {
                Ok(Some(element)) => set.elements.push(element),
                Ok(None) => {}
                Err(()) => complete = false,
            }
        }
        if !complete {
            self.kernel.diag.warn(
                "set-cut",
                format!("elements of the set {} of table {table} are missing ({} are there): its memory is damaged or not in the dump, or its backend {backend} is not known", set.name, set.elements.len()),
            );
        }
        set.complete = complete;
        set
    }

    fn set_exprs(&self, record: &Record) -> Vec<super::Expr> {
        let layout = &self.names().sets;
        let pointers: Vec<u64> = match (layout.exprs, layout.expr_count, layout.expr) {
            (Some(array), Some(count), _) => (0..count.get(&record.bytes).min(2) as usize)
                .map(|index| array.offset as u64 + index as u64 * 8)
                .filter_map(|at| self.kernel.space.read_u64(record.address.plus(at)).ok())
                .collect(),
            (.., Some(expr)) => vec![expr.get(&record.bytes)],
            _ => Vec::new(),
        };
        let pointers = pointers.into_iter().filter(|at| *at != 0);
        pointers
            .filter_map(|at| self.decoder.at(VirtAddr(at)))
            .collect()
    }

    /// libnftnl, include/libnftnl/udata.h: NFTNL_UDATA_SET_*.
    fn set_notes(&self, record: &Record) -> SetNotes {
        let layout = &self.names().sets;
        let bytes = self.udata(record, Some(layout.udlen), Some(layout.udata));
        let owned = |kind| udata::attribute(&bytes, kind).map(<[u8]>::to_vec);
        SetNotes {
            key_order: udata::number(&bytes, 0).unwrap_or(0),
            data_order: udata::number(&bytes, 1).unwrap_or(0),
            auto_merge: udata::number(&bytes, 2).is_some_and(|on| on != 0),
            key_typeof: owned(3),
            data_typeof: owned(4),
            data_interval: udata::number(&bytes, 6).is_some_and(|on| on != 0),
            comment: udata::attribute(&bytes, 7).map(c_string),
        }
    }

    /// Which backend a set has, by the symbol of its ops, and its elements.
    fn exts(&self, symbol: &str, at: VirtAddr, bound: usize) -> (&'static str, Option<Exts>) {
        let readers = &self.sets;
        match symbol {
            _ if symbol.contains("pipapo") => (
                "pipapo",
                readers.pipapo.as_ref().map(|l| self.pipapo(l, at, bound)),
            ),
            _ if symbol.contains("rbtree") => (
                "rbtree",
                readers.rbtree.as_ref().map(|l| self.rbtree(l, at, bound)),
            ),
            _ if symbol.contains("bitmap") => (
                "bitmap",
                readers.bitmap.as_ref().map(|l| self.bitmap(l, at, bound)),
            ),
            _ if symbol.contains("rhash") => {
                let found = readers.rhash.as_ref();
                ("rhash", found.and_then(|l| self.rhash(l, at, bound)))
            }
            _ if symbol.contains("hash") => {
                let found = match (&readers.hash, &readers.old_hash) {
                    (Some(layouts), _) => Some(self.hash(layouts, at, bound)),
                    (None, Some(layouts)) => self.old_hash(layouts, at, bound),
                    (None, None) => None,
                };
                ("hash", found)
            }
            _ => ("unknown", None),
        }
    }

    fn rhash(
        &self,
        (own, element): &(RhashLayout, RhashElementLayout),
        at: VirtAddr,
        bound: usize,
    ) -> Option<Exts> {
        let table = at.plus(u64::from(own.table.offset));
        let found = walk::rhashtable(self.kernel, table, bound).ok()?;
        Some(to_exts(found, element.node, element.ext))
    }

    fn old_hash(
        &self,
        (own, element): &(OldHashLayout, OldHashElementLayout),
        at: VirtAddr,
        bound: usize,
    ) -> Option<Exts> {
        let table = at.plus(u64::from(own.table.offset));
        let found = walk::rhashtable(self.kernel, table, bound).ok()?;
        Some(to_exts(found, element.node, element.ext))
    }

    fn rbtree(
        &self,
        (own, element): &(RbtreeLayout, RbtreeElementLayout),
        at: VirtAddr,
        bound: usize,
    ) -> Exts {
        let root = at.plus(u64::from(own.root.offset));
        let found = walk::rbtree(&self.kernel.space, root, bound);
        to_exts(found, element.node, element.ext)
    }

    fn bitmap(
        &self,
        (own, element): &(BitmapLayout, BitmapElementLayout),
        at: VirtAddr,
        bound: usize,
    ) -> Exts {
        let head = at.plus(u64::from(own.list.offset));
        let found = walk::list(&self.kernel.space, head, bound as u64);
        to_exts(found, element.head, element.ext)
    }

    fn hash(
        &self,
        (own, element): &(HashLayout, HashElementLayout),
        at: VirtAddr,
        bound: usize,
    ) -> Exts {
        let mut all = Partial::new(Vec::new(), End::Complete, 0);
        let space = &self.kernel.space;
        let Ok(buckets) = space.read_u32(at.plus(u64::from(own.buckets.offset))) else {
            all.end = End::Fault;
            return all;
        };
        let table = at.plus(u64::from(own.table.offset));
        for bucket in 0..u64::from(buckets) {
            let left = bound.saturating_sub(all.value.len()) as u64;
            let chain = walk::hlist(space, table.plus(bucket * 8), left);
            all.value.extend(chain.value);
            if !chain.end.is_complete() {
                all.end = chain.end;
            }
            if matches!(chain.end, End::Limit | End::Fault) {
                break;
            }
        }
        to_exts(all, element.node, element.ext)
    }

    /// The last field's map has the elements; several rules in a row may have one
    /// (net/netfilter/nft_set_pipapo.c).
    fn pipapo(&self, layout: &Pipapo, at: VirtAddr, bound: usize) -> Exts {
        let space = &self.kernel.space;
        let read = || {
            let matching = space
                .read_ptr(at.plus(u64::from(layout.own.matching.offset)))
                .ok()?;
            let head = space.read_bytes(matching, layout.matching.len).ok()?;
            let count = layout.matching.field_count.get(&head);
            let last = (1..=16).contains(&count).then(|| count - 1)?;
            let last =
                u64::from(layout.matching.fields.offset) + last * layout.field.struct_size as u64;
            let field = space
                .read_bytes(matching.plus(last), layout.field.len)
                .ok()?;
            let rules = layout.field.rules.get(&field).min(MAX_PIPAPO) as usize;
            let map = VirtAddr(layout.field.map.get(&field));
            match rules {
                0 => Some(Vec::new()),
                _ => space.read_bytes(map, rules * 8).ok(),
            }
        };
        let Some(map) = read() else {
            return Partial::new(Vec::new(), End::Fault, 0);
        };
        let mut found: Vec<VirtAddr> = Vec::new();
        let mut end = End::Complete;
        for index in 0..map.len() / 8 {
            let element = VirtAddr(u64_at(&map, index * 8).unwrap_or(0));
            if found.last() == Some(&element) {
                continue;
            }
            if found.len() >= bound {
                end = End::Limit;
                break;
            }
            found.push(element);
        }
        let seen = found.len() as u64;
        let ext = u64::from(layout.element.ext.offset);
        let exts = found.iter().map(|element| element.plus(ext)).collect();
        Partial::new(exts, end, seen)
    }

    /// Adds what stands for all other keys.
    fn catchall(&self, record: &Record, ops: VirtAddr, exts: &mut Vec<VirtAddr>) -> bool {
        let layout = &self.names().sets;
        let Some((list, element)) = layout.catchall.zip(self.sets.catchall.as_ref()) else {
            return true;
        };
        let head = record.address.plus(u64::from(list.offset));
        let found = self.listed(head, element.list, element.len, "catch-all elements");
        if found.is_empty() {
            return true;
        }
        let size = self.kernel.space.read_bytes(ops, self.sets.ops.len);
        let Ok(ops) = size else {
            return false;
        };
        let size = self.sets.ops.element_size;
        let size = u32_at(&ops, size.offset as usize).unwrap_or(0);
        for one in found {
            let at = VirtAddr(element.element.get(&one.bytes));
            exts.push(at.plus(u64::from(size)));
        }
        true
    }

    fn element(&self, ext: VirtAddr, set: &Set, current: u64) -> Result<Option<Element>, ()> {
        super::elements::read(self, ext, set, current)
    }
}

/// From where elements are linked to where their parts are told.
fn to_exts(found: Partial<Vec<VirtAddr>>, node: Field, ext: Field) -> Exts {
    let (node, ext) = (u64::from(node.offset), u64::from(ext.offset));
    let move_to = |at: &VirtAddr| at.minus(node).plus(ext);
    let exts = found.value.iter().map(move_to).collect();
    Partial::new(exts, found.end, found.seen)
}

//! Which memory cgroups objects are charged to.
//!
//! Beside each slab of accounted objects there is a vector with one entry for each: a pointer
//! to a `struct obj_cgroup`, or since 6.10 a `struct slabobj_ext` that has one. Up to 5.8 each
//! cgroup has a copy of the cache instead.

use std::sync::OnceLock;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::targets::Targets;
use crate::addr::VirtAddr;
use crate::kernel::layout::{Field, layout};
use crate::kernel::memmap::Memmap;
use crate::kernel::page::allocator_home;
use crate::kernel::{Kernel, KernelError};
use crate::once::get_or_make;
use crate::subsys::mm::memcg::{Group, Groups};
use crate::subsys::mm::slab::SlabHeap;

layout! {
    /// mm/slab.h: where the vector is.
    struct VectorLayout = "slab" in "mm/slub.c" | "mm/slab.c" {
        /// 6.10 and later.
        maybe exts = "obj_exts",
        /// Up to 6.9.
        maybe memcg_data = "memcg_data",
        /// From entry to entry, 7.0 to 7.2; the entries may lie in the objects.
        maybe stride = "stride",
        /// Whether they do, 7.3 and later.
        maybe in_object = "obj_exts_in_object",
        /// Whether entries have an owner, 7.3 and later.
        maybe with_owner = "obj_exts_needs_objcg",
    }
}

layout! {
    /// include/linux/mm_types.h, before 5.17.
    struct PageVectorLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        maybe memcg_data = "memcg_data" | "obj_cgroups",
    }
}

layout! {
    /// mm/slab.h, 6.10 and later.
    struct SlabExtLayout = "slabobj_ext" in "mm/slub.c" {
        /// With CONFIG_MEMCG.
        maybe objcg = "objcg",
    }
}

/// Objects of a cache that are asked at most.
const ASKED: usize = 100_000;
/// Groups named for each cache.
const NAMED: usize = 8;

/// Objects charged to one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Charge {
    /// The group.
    #[serde(flatten)]
    pub group: Group,
    /// How many objects.
    pub objects: u64,
}

/// Where the entry of an object is.
struct Vector {
    /// The word in the page structure.
    word: Field,
    stride: Option<Field>,
    in_object: Option<Field>,
    with_owner: Option<Field>,
    /// Bytes of an entry, and where in it the pointer is.
    entry: u64,
    objcg: u64,
}

/// Who pays for the objects of one slab.
#[derive(Clone, Copy)]
enum Payers {
    Each(Entries),
    All(Payer),
}

/// What an object is charged to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Payer {
    /// A `struct obj_cgroup`.
    Objcg(VirtAddr),
    /// A `struct mem_cgroup`.
    Memcg(VirtAddr),
}

/// Where the entries of one slab's objects are.
#[derive(Clone, Copy)]
struct Entries {
    base: VirtAddr,
    stride: u64,
    /// The pointer's place in an entry.
    objcg: u64,
}

/// Tells who objects are charged to.
pub(super) struct Charges<'s> {
    kernel: &'s Kernel,
    memmap: &'s Memmap,
    heap: &'s SlabHeap<'s>,
    targets: &'s Targets,
    vector: Option<Vector>,
    /// Looked up when the first charged object is met.
    groups: OnceLock<Option<Groups<'s>>>,
}

impl<'s> Charges<'s> {
    pub(super) fn new(
        kernel: &'s Kernel,
        memmap: &'s Memmap,
        heap: &'s SlabHeap<'s>,
        targets: &'s Targets,
    ) -> Result<Self, KernelError> {
        Ok(Self {
            vector: Vector::find(kernel)?,
            kernel,
            memmap,
            heap,
            targets,
            groups: OnceLock::new(),
        })
    }

    /// The group of one object, by number.
    pub(super) fn of(&self, object: u32) -> Option<Group> {
        let (number, index) = self.targets.place(object)?;
        let payer = self.payer(self.payers(number)?, index)?;
        self.group(payer)
    }

    /// The groups of some objects, that with the most first.
    pub(super) fn sum(&self, objects: impl Iterator<Item = u32>) -> Vec<Charge> {
        let mut by_payer: FxHashMap<Payer, u64> = FxHashMap::default();
        // Objects come slab by slab.
        let mut slab = None;
        for object in objects.take(ASKED) {
            let Some((number, index)) = self.targets.place(object) else {
                continue;
            };
            let payers = match slab {
                Some((known, payers)) if known == number => payers,
                _ => self.payers(number),
            };
            slab = Some((number, payers));
            if let Some(payer) = payers.and_then(|payers| self.payer(payers, index)) {
                *by_payer.entry(payer).or_default() += 1;
            }
        }
        let mut by_group: FxHashMap<Group, u64> = FxHashMap::default();
        for (payer, count) in by_payer {
            if let Some(group) = self.group(payer) {
                *by_group.entry(group).or_default() += count;
            }
        }
        let charges = by_group.into_iter();
        let mut charges: Vec<Charge> = charges
            .map(|(group, objects)| Charge { group, objects })
            .collect();
        charges.sort_by(|a, b| (b.objects, &a.group).cmp(&(a.objects, &b.group)));
        charges.truncate(NAMED);
        charges
    }

    fn groups(&self) -> Option<&Groups<'s>> {
        get_or_make(&self.groups, || Groups::new(self.kernel)).as_ref()
    }

    fn group(&self, payer: Payer) -> Option<Group> {
        match payer {
            Payer::Objcg(objcg) => self.groups()?.of(objcg),
            Payer::Memcg(memcg) => self.groups()?.of_memcg(memcg),
        }
    }

    fn payers(&self, number: u32) -> Option<Payers> {
        let slab = self.heap.slabs().get(number as usize)?;
        let cache = self.heap.caches().get(slab.cache as usize)?;
        match cache.memcg {
            Some(memcg) => Some(Payers::All(Payer::Memcg(memcg))),
            None => self.entries(number).map(Payers::Each),
        }
    }

    fn payer(&self, payers: Payers, index: u32) -> Option<Payer> {
        match payers {
            Payers::All(payer) => Some(payer),
            Payers::Each(entries) => self.objcg(entries, index).map(Payer::Objcg),
        }
    }

    /// The entries of a slab, if its objects have some.
    fn entries(&self, number: u32) -> Option<Entries> {
        let vector = self.vector.as_ref()?;
        let slab = self.heap.slabs().get(number as usize)?;
        let page = self.memmap.page_address(slab.pfn)?;
        let record = self
            .kernel
            .space
            .read_bytes(page, self.memmap.struct_page_size())
            .ok()?;
        // The low bits are flags, or all there is.
        let base = VirtAddr(vector.word.get(&record) & !7);
        if base.is_null() {
            return None;
        }
        let is = |field: Option<Field>| field.map(|field| field.get(&record) != 0);
        if is(vector.with_owner) == Some(false) {
            return None;
        }
        let stride = match is(vector.in_object) {
            Some(true) => Some(u64::from(self.heap.caches().get(slab.cache as usize)?.size)),
            _ => vector.stride.map(|field| field.get(&record)),
        };
        let stride = stride.filter(|stride| *stride >= vector.entry);
        Some(Entries {
            base,
            stride: stride.unwrap_or(vector.entry),
            objcg: vector.objcg,
        })
    }

    fn objcg(&self, entries: Entries, index: u32) -> Option<VirtAddr> {
        let offset = u64::from(index).checked_mul(entries.stride)?;
        let at = entries.base.plus(offset).plus(entries.objcg);
        let objcg = self.kernel.space.read_ptr(at).ok()?;
        (!objcg.is_null()).then_some(objcg)
    }
}

impl Vector {
    fn find(kernel: &Kernel) -> Result<Option<Self>, KernelError> {
        let pointers = |word: Field| Self {
            word,
            stride: None,
            in_object: None,
            with_owner: None,
            entry: 8,
            objcg: 0,
        };
        // Commit d122019bf061 ("mm: Split slab into its own type", v5.17).
        let split = kernel
            .types
            .find_struct("slab", allocator_home(&kernel.types), false)?;
        if split.is_none() {
            let page: PageVectorLayout = kernel.layout()?;
            return Ok(page.memcg_data.map(pointers));
        }
        let slab: VectorLayout = kernel.layout()?;
        let Some(word) = slab.exts else {
            return Ok(slab.memcg_data.map(pointers));
        };
        let Ok(ext) = kernel.layout::<SlabExtLayout>() else {
            return Ok(None);
        };
        Ok(ext.objcg.map(|objcg| Self {
            word,
            stride: slab.stride,
            in_object: slab.in_object,
            with_owner: slab.with_owner,
            entry: ext.struct_size as u64,
            objcg: u64::from(objcg.offset),
        }))
    }
}

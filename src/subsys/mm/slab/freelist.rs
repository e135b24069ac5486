//! Chains of free objects within a slab.
//!
//! The head is a plain pointer; the pointer inside each free object is hardened with
//! CONFIG_SLAB_FREELIST_HARDENED: xor-ed with the cache's secret and the address it is
//! stored at, byte-swapped since 5.7 (commit 1ad53d9fa3f6, in many older stable kernels
//! too). No symbol shows the swap, so both are tried on real chains.

use super::cache::Cache;
use super::pages::Slab;
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::bytes::u64_at;
use crate::dump::Page;
use crate::kernel::Kernel;
use crate::partial::{End, Partial};

/// How the pointer inside a free object is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// `random ^ address`.
    Xor,
    /// `random ^ bswap(address)`.
    XorSwapped,
}

impl Encoding {
    fn decode(self, stored: u64, at: VirtAddr, random: Option<u64>) -> VirtAddr {
        let secret = random.unwrap_or(0);
        VirtAddr(match self {
            Encoding::Plain => stored,
            Encoding::Xor => stored ^ secret ^ at.0,
            Encoding::XorSwapped => stored ^ secret ^ at.0.swap_bytes(),
        })
    }

    /// For the report's assumptions.
    pub fn describe(self) -> &'static str {
        match self {
            Encoding::Plain => "plain pointers",
            Encoding::Xor => "hardened: xor",
            Encoding::XorSwapped => "hardened: xor with the byte-swapped address",
        }
    }
}

/// Reads the free chains of slabs.
#[derive(Clone, Copy, Debug)]
pub struct Freelists<'k> {
    kernel: &'k Kernel,
    encoding: Encoding,
}

/// How many chains vote on the encoding.
const VOTERS: usize = 64;

impl<'k> Freelists<'k> {
    /// Finds out how this kernel stores the pointers, by which decoding stays within its slab.
    pub fn probe(kernel: &'k Kernel, caches: &[Cache], slabs: &[Slab]) -> Self {
        let with = |encoding| Freelists { kernel, encoding };
        if caches.iter().all(|cache| cache.random.is_none()) {
            return with(Encoding::Plain);
        }
        let mut votes = [0u32; 2];
        let chains = slabs.iter().filter(|slab| !slab.freelist.is_null());
        let mut voters = 0;
        for slab in chains.take(VOTERS * 8) {
            let Some(cache) = caches.get(slab.cache as usize) else {
                continue;
            };
            let geometry = Geometry::of(kernel, cache, slab);
            let mut page = None;
            let valid = [Encoding::Xor, Encoding::XorSwapped].map(|encoding| {
                let next = with(encoding).next(&geometry, &mut page, slab.freelist);
                next.is_ok_and(|next| next.is_null() || geometry.index_of(next).is_some())
            });
            // A chain on which both decodings fail, or both hold, says nothing.
            if valid[0] != valid[1] {
                votes[0] += u32::from(valid[0]);
                votes[1] += u32::from(valid[1]);
                voters += 1;
            }
            if voters >= VOTERS {
                break;
            }
        }
        let encoding = if votes[0] > votes[1] {
            Encoding::Xor
        } else {
            Encoding::XorSwapped
        };
        kernel.diag.assume(
            "freelist_encoding",
            encoding.describe(),
            format!(
                "decoded {voters} chains both ways: {} stay within their slab with the byte swap, {} without",
                votes[1], votes[0]
            ),
        );
        with(encoding)
    }

    /// The encoding in use.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Follows the chain from `head`, calling `free` with the index of each object on it.
    /// Expects `expected` objects; never visits one twice.
    pub fn walk(
        &self,
        geometry: &Geometry,
        head: VirtAddr,
        seen: &mut ObjectSet,
        mut free: impl FnMut(u32),
    ) -> Partial<()> {
        let mut count = 0;
        let mut page = None;
        let mut object = head;
        let end = loop {
            if object.is_null() {
                break End::Complete;
            }
            let Some(index) = geometry.index_of(object) else {
                break End::BrokenLink;
            };
            if !seen.insert(index) {
                break End::Cycle;
            }
            free(index);
            count += 1;
            match self.next(geometry, &mut page, object) {
                Ok(next) => object = next,
                Err(()) => break End::Fault,
            }
        };
        Partial::new((), end, count)
    }

    /// The object behind `object`; `page` keeps the page last read.
    fn next(
        &self,
        geometry: &Geometry,
        page: &mut Option<(Pfn, Page<'k>)>,
        object: VirtAddr,
    ) -> Result<VirtAddr, ()> {
        let at = object.plus(u64::from(geometry.free_pointer));
        let offset = at.offset_from(geometry.base).ok_or(())?;
        let dump = self.kernel.dump();
        let shift = dump.page_shift();
        let pfn = Pfn(geometry.pfn.0 + (offset >> shift));
        if page.as_ref().is_none_or(|(known, _)| *known != pfn) {
            *page = Some((pfn, dump.page_in_passing(pfn).map_err(|_| ())?));
        }
        let (_, bytes) = page.as_ref().ok_or(())?;
        dump.note_read(pfn, (offset & ((1 << shift) - 1)) as usize, 8);
        let stored = u64_at(bytes, (offset & ((1 << shift) - 1)) as usize).ok_or(())?;
        Ok(self.encoding.decode(stored, at, geometry.random))
    }
}

/// Where the objects of one slab lie (mm/slub.c: calculate_sizes, setup_object;
/// mm/slab.c: alloc_slabmgmt).
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pfn: Pfn,
    base: VirtAddr,
    first: VirtAddr,
    stride: u64,
    objects: u32,
    fits: bool,
    free_pointer: u32,
    random: Option<u64>,
}

impl Geometry {
    /// The geometry of a slab of `cache`.
    pub fn of(kernel: &Kernel, cache: &Cache, slab: &Slab) -> Self {
        let phys: PhysAddr = slab.pfn.start(kernel.dump().page_shift());
        let base = kernel.space.direct_map_address(phys);
        let stride = u64::from(cache.size).max(1);
        let bytes = (kernel.dump().page_size() as u64) << slab.order;
        // What `first` skips of an object, its left red zone, is part of its stride.
        let skipped = match &cache.classic {
            Some(classic) => classic.obj_offset,
            None => cache.red_left_pad,
        };
        let end = u64::from(slab.first) + u64::from(slab.objects) * stride;
        let fits = end <= bytes + u64::from(skipped);
        Self {
            pfn: slab.pfn,
            base,
            first: base.plus(u64::from(if fits { slab.first } else { skipped })),
            stride,
            objects: u32::from(slab.objects),
            fits,
            free_pointer: cache.free_pointer,
            random: cache.random,
        }
    }

    /// Whether the slab has room for its objects; else its descriptor is corrupt.
    pub fn fits(&self) -> bool {
        self.fits
    }

    /// How many objects there are.
    pub fn objects(&self) -> u32 {
        self.objects
    }

    /// Where the slab itself starts.
    pub fn base(&self) -> VirtAddr {
        self.base
    }

    /// Bytes from object to object.
    pub fn stride(&self) -> u32 {
        self.stride as u32
    }

    /// The index of the object that starts at `address`, if one does.
    pub fn index_of(&self, address: VirtAddr) -> Option<u32> {
        let offset = address.offset_from(self.first)?;
        let index = offset / self.stride;
        (offset % self.stride == 0 && index < u64::from(self.objects)).then_some(index as u32)
    }

    /// The index of the object that `address` lies in, if in one.
    pub fn index_around(&self, address: VirtAddr) -> Option<u32> {
        let index = address.offset_from(self.first)? / self.stride;
        (index < u64::from(self.objects)).then_some(index as u32)
    }

    /// Where the object with this index starts.
    pub fn address_of(&self, index: u32) -> VirtAddr {
        self.first.plus(u64::from(index) * self.stride)
    }
}

/// Which objects of one slab have been met: a bitmap, reused from slab to slab.
#[derive(Debug, Default)]
pub struct ObjectSet(Vec<u64>);

impl ObjectSet {
    /// Empties the set, for a slab of `objects` objects.
    pub fn reset(&mut self, objects: u32) {
        self.0.clear();
        self.0.resize(objects.div_ceil(64) as usize, 0);
    }

    /// Adds an object; `false` if it was there.
    pub fn insert(&mut self, index: u32) -> bool {
        let Some(word) = self.0.get_mut((index / 64) as usize) else {
            return false;
        };
        let bit = 1 << (index % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether the object is in the set.
    pub fn contains(&self, index: u32) -> bool {
        self.0
            .get((index / 64) as usize)
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardened_pointers_decode_back() {
        let at = VirtAddr(0xffff_8880_1234_5640);
        let next = 0xffff_8880_1234_5600;
        let random = 0x0123_4567_89ab_cdef;
        let swapped = next ^ random ^ at.0.swap_bytes();
        assert_eq!(
            Encoding::XorSwapped.decode(swapped, at, Some(random)).0,
            next
        );
        assert_eq!(
            Encoding::Xor
                .decode(next ^ random ^ at.0, at, Some(random))
                .0,
            next
        );
        assert_eq!(Encoding::Plain.decode(next, at, None).0, next);
    }

    #[test]
    fn a_set_knows_what_it_has() {
        let mut set = ObjectSet::default();
        set.reset(65);
        assert!(set.insert(64) && !set.insert(64) && set.contains(64));
        assert!(!set.insert(200));
        set.reset(65);
        assert!(!set.contains(64));
    }
}

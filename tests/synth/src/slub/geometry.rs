//! Sizes and offsets of a cache, as `calculate_sizes()` works them out.

use super::flags::SlabFlag;
use super::scenario::Cache;
use crate::ctypes::TypeTable;

/// Where everything lies in and around an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Distance of two objects.
    pub size: u32,
    /// Bytes in use up to the metadata.
    pub inuse: u32,
    /// Of the free pointer, from the object.
    pub offset: u32,
    /// Red zone before an object.
    pub red_left_pad: u32,
    /// Alignment of an object.
    pub align: u32,
    /// Bytes of a page.
    pub page_size: u32,
    /// Of the first `struct track`, from the object, if owners are stored.
    pub track: Option<u32>,
}

impl Geometry {
    /// The geometry of a cache.
    pub fn of(cache: &Cache, types: &TypeTable, page_size: u64) -> Self {
        let has = |flag| cache.flags.contains(&flag);
        let word = 8;
        let align = alignment(cache);
        let mut size = cache.object_size.next_multiple_of(word);
        if has(SlabFlag::RedZone) && size == cache.object_size {
            size += word;
        }
        let inuse = size;
        let outside = has(SlabFlag::TypesafeByRcu)
            || has(SlabFlag::Poison)
            || cache.ctor.is_some()
            || (has(SlabFlag::RedZone) && cache.object_size < word);
        let offset = if outside {
            size += word;
            inuse
        } else {
            // The middle of the object, away from overruns of a neighbour.
            cache.object_size / 2 / word * word
        };
        let mut track = None;
        if has(SlabFlag::StoreUser) {
            track = Some(size);
            size += 2 * types.sizeof("track") as u32;
        }
        let mut red_left_pad = 0;
        if has(SlabFlag::RedZone) {
            size += word;
            // 4.6 and later, and RHEL 7.
            if types.has("kmem_cache", "red_left_pad") {
                red_left_pad = word.next_multiple_of(align);
            }
            size += red_left_pad;
        }
        Self {
            size: size.next_multiple_of(align),
            inuse,
            offset,
            red_left_pad,
            align,
            page_size: page_size as u32,
            track,
        }
    }

    /// Objects that fit into a slab.
    pub fn objects(&self, order: u32) -> u32 {
        (self.page_size << order) / self.size
    }

    /// The smallest order that holds an object.
    pub fn min_order(&self) -> u32 {
        (0..).find(|order| self.objects(*order) > 0).unwrap_or(0)
    }
}

/// `calculate_alignment()`: a cache line, or less for small objects.
fn alignment(cache: &Cache) -> u32 {
    let mut align = cache.align;
    if cache.flags.contains(&SlabFlag::HwcacheAlign) {
        let mut line = 64;
        while cache.object_size <= line / 2 {
            line /= 2;
        }
        align = align.max(line);
    }
    align.max(8).next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::era::Era;

    fn cache(object_size: u32, flags: &[SlabFlag]) -> Cache {
        Cache {
            name: "test".into(),
            aliases: Vec::new(),
            object_size,
            align: 0,
            flags: flags.to_vec(),
            ctor: None,
            usercopy: false,
            order: 0,
            slabs: Vec::new(),
            memcg_of: None,
        }
    }

    #[test]
    fn plain_objects_keep_the_pointer_in_the_middle() {
        let geometry = Geometry::of(&cache(200, &[]), &Era::V6_1.types(), 4096);
        assert_eq!((geometry.size, geometry.offset), (200, 96));
        assert_eq!(geometry.objects(0), 20);
    }

    #[test]
    fn rcu_objects_keep_it_behind() {
        let flags = [SlabFlag::TypesafeByRcu, SlabFlag::HwcacheAlign];
        let geometry = Geometry::of(&cache(248, &flags), &Era::V6_1.types(), 4096);
        assert_eq!((geometry.size, geometry.offset), (256, 248));
    }

    #[test]
    fn debugged_objects_have_red_zones_and_tracks() {
        let flags = [SlabFlag::RedZone, SlabFlag::Poison, SlabFlag::StoreUser];
        let geometry = Geometry::of(&cache(40, &flags), &Era::V6_1.types(), 4096);
        // 40 + zone 8 + pointer 8 + two tracks of 32 + zone 8 + left zone 8.
        assert_eq!(
            (geometry.size, geometry.inuse, geometry.offset),
            (136, 48, 48)
        );
        assert_eq!((geometry.track, geometry.red_left_pad), (Some(56), 8));
    }
}

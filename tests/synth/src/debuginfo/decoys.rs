//! Types of other source files that have the names of the ones that matter.

use crate::ctypes::TypeTable;

/// A driver's own `struct slab` and `struct track`, and an enum whose enumerator
/// has a famous name.
pub(super) fn types() -> TypeTable {
    let mut table = TypeTable::default();
    table.parse(
        "struct slab 24 {
            0 int thickness
            8 struct page * backing
            16 unsigned int objects
        }
        struct track 8 {
            0 unsigned short sector
            4 unsigned int length
        }
        struct kmem_cache_cpu 8 {
            0 void * cookie
        }
        struct zone 16 {
            0 unsigned long start
            8 unsigned int present_pages
        }
        struct vmap_area 24 {
            0 void * list
            8 unsigned int va_start
        }
        enum pagetype 4 {
            PGTY_paper 245
        }
        var scratch struct slab
        var zoned struct zone
        var mapped struct vmap_area
        var tracks struct track [4]
        var cookie struct kmem_cache_cpu",
    );
    table
}

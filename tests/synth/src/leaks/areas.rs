//! Areas of vmalloc: kept and unreachable ones, and records that only look like references.

use super::tasks::Tasks;
use super::web::Web;
use crate::machine::vmap::{self, Records};

/// Where the areas start, and their records.
pub(super) struct Areas {
    /// The first a module's variable points to; an object points into the middle of the second;
    /// to the third only the second does.
    pub(super) kept: [u64; 3],
    /// Nothing points to the first, a lost object to the second, only that one to the third.
    pub(super) lost: [u64; 3],
    /// `vmap_area`s in use.
    records: Vec<u64>,
    /// Of one that was freed.
    lazy: u64,
}

/// Pages and their records; what keeps an area comes later.
pub(super) fn lay(web: &mut Web<'_>) -> Areas {
    let caller = web.kernel.symbol("session_table_grow") + 0x21;
    let mut records = Vec::new();
    let mut area = |web: &mut Web<'_>, pages: u64| {
        let (start, record) = allocate(web, pages, caller);
        records.push(record.area);
        start
    };
    let kept = [1, 3, 2].map(|pages| area(web, pages));
    let lost = [2, 1, 4].map(|pages| area(web, pages));
    records.extend(of_cpus(web));
    for start in lost {
        // Each holds itself, as lists do that begin in it.
        web.point(start, 4, start + 32);
        web.truth.lost_areas.push(start);
    }
    let lazy = web.take("vmap_area");
    let start = kept[0] + (1 << 30);
    vmap::record_freed(web.kernel, lazy, start, start + 2 * web.kernel.page_size());
    if web.kernel.image.has("free_vmap_area_root") {
        // Room for an area ends where the first of the lost begins.
        let room = web.take("vmap_area");
        vmap::record_place(web.kernel, room, lost[0] - (1 << 20), lost[0]);
        web.keep(room + web.kernel.types.offset("vmap_area", "rb_node"));
    }
    Areas {
        kept,
        lost,
        records,
        lazy,
    }
}

/// Puts all records on the kernel's lists, those of stacks among them.
pub(super) fn link(web: &mut Web<'_>, areas: &Areas, tasks: &Tasks) {
    let busy = [&areas.records[..], &tasks.records[..]].concat();
    web.truth.listed_areas = busy.len() as u64;
    web.truth.unpurged = 1;
    vmap::link(web.kernel, &busy, &[areas.lazy]);
}

/// An area with pages of its own, and a guard page behind it.
pub(super) fn allocate(web: &mut Web<'_>, pages: u64, caller: u64) -> (u64, Records) {
    let start = web.kernel.vmalloc(pages * web.kernel.page_size());
    web.kernel.vmalloc_guard();
    let records = Records {
        area: web.take("vmap_area"),
        vm: web.take("kmalloc-96"),
        pages: web.take("kmalloc-64"),
    };
    let size = (pages + 1) * web.kernel.page_size();
    vmap::record(web.kernel, records, start, size, caller);
    web.truth.areas += 1;
    (start, records)
}

/// Those of CPUs, which have no pages by their records: what lies there always counts.
fn of_cpus(web: &mut Web<'_>) -> Vec<u64> {
    let caller = web.kernel.symbol("pcpu_create_chunk") + 0x30;
    let first = web.kernel.per_cpu_symbol("__per_cpu_start");
    let starts = [2, 3].map(|cpu| web.percpu.pointer(first, cpu));
    let size = starts[1] - starts[0];
    let of_one = |start: u64| {
        let records = Records {
            area: web.take("vmap_area"),
            vm: web.take("kmalloc-96"),
            pages: 0,
        };
        vmap::record(web.kernel, records, start, size, caller);
        records.area
    };
    starts.into_iter().map(of_one).collect()
}

//! Which shapes this kernel's structures have, and which releases have each of them upstream.
//!
//! Layer: kernel. Input: types and symbols. Output: [`Shape`]s, for people: nothing is decided by
//! them. Invariant: a shape is told by members and symbols alone, as what reads it does. Where one
//! is newer than another may be, distributors put parts of later kernels into an earlier one
//! (backports).

use serde::Serialize;

use crate::types::{FoundStruct, TypeDb, TypeError};

/// A release upstream: 5 and 17 of 5.17.
pub type Release = (u32, u32);

/// What one part of the kernel looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Shape {
    /// Which part.
    pub part: &'static str,
    /// What tells it from the same part of other releases.
    pub shape: &'static str,
    /// The first release that has it; `None` if it is older than what is read at all.
    pub since: Option<Release>,
    /// The last release that has it; `None` if the newest have it.
    pub until: Option<Release>,
}

/// Which releases have all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Era {
    /// These.
    Upstream {
        /// From this one on.
        since: Option<Release>,
        /// Up to this one.
        until: Option<Release>,
    },
    /// None: some parts are of this release or later, others are gone since.
    Backports {
        /// The newest part came with it.
        newest: Release,
        /// The oldest part's last.
        oldest: Release,
    },
}

impl Era {
    /// What all `shapes` have in common.
    pub fn of(shapes: &[Shape]) -> Self {
        let since = shapes.iter().filter_map(|shape| shape.since).max();
        let until = shapes.iter().filter_map(|shape| shape.until).min();
        match (since, until) {
            (Some(newest), Some(oldest)) if newest > oldest => Self::Backports { newest, oldest },
            _ => Self::Upstream { since, until },
        }
    }
}

/// A row of what is known: whether it is there, what it is called, since and until when.
type Row = (bool, &'static str, Option<Release>, Option<Release>);

/// Finds the shapes of all parts that can be told; a part that the kernel was built without has
/// none.
///
/// # Errors
/// If the types are damaged.
pub fn of(types: &TypeDb, has_symbol: impl Fn(&str) -> bool) -> Result<Vec<Shape>, TypeError> {
    let parts = [
        ("slab pages", slab_pages(types)),
        ("order of large pages", orders(types)),
        ("charged objects", charges(types, &has_symbol)),
        ("counters of memory cgroups", counters(types)),
        ("modules", modules(types)),
        ("state of tasks", tasks(types)),
        ("log", Ok(log(&has_symbol))),
    ];
    let mut shapes = Vec::new();
    for (part, rows) in parts {
        let rows = match rows {
            // A profile that was written for less: the others are told.
            Err(TypeError::NotInProfile { .. }) => continue,
            rows => rows?,
        };
        if let Some((_, shape, since, until)) = rows.into_iter().find(|row| row.0) {
            shapes.push(Shape {
                part,
                shape,
                since,
                until,
            });
        }
    }
    Ok(shapes)
}

/// Which of `members` there are.
fn have<const N: usize>(
    found: Option<&FoundStruct<'_>>,
    members: [&str; N],
) -> Result<[bool; N], TypeError> {
    let mut there = [false; N];
    for (there, member) in there.iter_mut().zip(members) {
        *there = match found {
            Some(found) => found.member(member)?.is_some(),
            None => false,
        };
    }
    Ok(there)
}

fn slab_pages(types: &TypeDb) -> Result<Vec<Row>, TypeError> {
    let slab = types.find_struct("slab", "mm/slub.c", false)?;
    let flag = types.enumerator("pageflags", "mm/slub.c", "PG_slab")?;
    // Classic SLAB had a structure of this name before.
    let [slab] = have(slab.as_ref(), ["slab_cache"])?;
    Ok(vec![
        (
            slab && flag.is_none(),
            "struct slab, marked by the type of page",
            Some((6, 10)),
            None,
        ),
        (
            slab,
            "struct slab, marked by a flag",
            Some((5, 17)),
            Some((6, 9)),
        ),
        (flag.is_some(), "in struct page", None, Some((5, 16))),
    ])
}

fn orders(types: &TypeDb) -> Result<Vec<Row>, TypeError> {
    let folio = types.find_struct("folio", "mm/slub.c", false)?;
    let page = types.find_struct("page", "mm/slub.c", true)?;
    let [order, flags] = have(folio.as_ref(), ["_folio_order", "_flags_1"])?;
    let [compound] = have(page.as_ref(), ["compound_order"])?;
    Ok(vec![
        (order, "folio._folio_order", Some((6, 1)), Some((6, 5))),
        (flags, "folio._flags_1", Some((6, 6)), None),
        (compound, "page.compound_order", None, Some((6, 0))),
    ])
}

fn charges(types: &TypeDb, has_symbol: &impl Fn(&str) -> bool) -> Result<Vec<Row>, TypeError> {
    let slab = types.find_struct("slab", "mm/slub.c", false)?;
    let page = types.find_struct("page", "mm/slub.c", true)?;
    let [exts, of_slab] = have(slab.as_ref(), ["obj_exts", "memcg_data"])?;
    let [of_page, objcgs] = have(page.as_ref(), ["memcg_data", "obj_cgroups"])?;
    let children = has_symbol("slab_root_caches");
    Ok(vec![
        (
            children,
            "a cache for each memory cgroup",
            None,
            Some((5, 8)),
        ),
        (exts, "slab.obj_exts", Some((6, 10)), None),
        (of_slab, "slab.memcg_data", Some((5, 17)), Some((6, 9))),
        (objcgs, "page.obj_cgroups", Some((5, 9)), Some((5, 10))),
        (of_page, "page.memcg_data", Some((5, 11)), Some((5, 16))),
    ])
}

fn counters(types: &TypeDb) -> Result<Vec<Row>, TypeError> {
    let memcg = types.find_struct("mem_cgroup", "mm/memcontrol.c", true)?;
    let size = |member: &str| {
        let found = memcg.as_ref().map(|memcg| memcg.member(member));
        Ok::<_, TypeError>(found.transpose()?.flatten().map(|member| member.ty.size))
    };
    let (all, within, own) = (size("vmstats")?, size("vmstats.state")?, size("stat")?);
    Ok(vec![
        (
            all == Some(8),
            "in a structure of their own",
            Some((6, 1)),
            None,
        ),
        (
            all.is_some() && within.is_some(),
            "in a structure within the cgroup",
            Some((5, 13)),
            Some((6, 0)),
        ),
        (
            all.is_some(),
            "an array, with those of cgroups below",
            Some((5, 2)),
            Some((5, 12)),
        ),
        (own == Some(8), "on each CPU alone", None, Some((4, 15))),
        (
            own.is_some(),
            "an array, of each cgroup by itself",
            Some((4, 16)),
            Some((5, 1)),
        ),
    ])
}

fn modules(types: &TypeDb) -> Result<Vec<Row>, TypeError> {
    let module = types.find_at_homes("module", &["kernel/module/main.c", "kernel/module.c"])?;
    let [memory, layout, core] = have(module.as_ref(), ["mem", "core_layout", "module_core"])?;
    Ok(vec![
        (memory, "module.mem", Some((6, 4)), None),
        (layout, "module.core_layout", Some((4, 5)), Some((6, 3))),
        (core, "module.module_core", None, Some((4, 4))),
    ])
}

fn tasks(types: &TypeDb) -> Result<Vec<Row>, TypeError> {
    let task = types.find_struct("task_struct", "kernel/fork.c", true)?;
    let [new, old] = have(task.as_ref(), ["__state", "state"])?;
    Ok(vec![
        (new, "task_struct.__state", Some((5, 14)), None),
        (old, "task_struct.state", None, Some((5, 13))),
    ])
}

fn log(has_symbol: &impl Fn(&str) -> bool) -> Vec<Row> {
    let (ring, records) = (has_symbol("prb"), has_symbol("log_first_idx"));
    vec![
        (ring, "printk_ringbuffer", Some((5, 10)), None),
        (records, "records in one buffer", Some((3, 5)), Some((5, 9))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(since: Option<Release>, until: Option<Release>) -> Shape {
        Shape {
            part: "",
            shape: "",
            since,
            until,
        }
    }

    #[test]
    fn parts_of_one_release_and_of_several() {
        let (old, new) = (Some((5, 16)), Some((5, 17)));
        let both = [shape(None, new), shape(old, None)];
        assert_eq!(
            Era::of(&both),
            Era::Upstream {
                since: old,
                until: new
            }
        );
        let mixed = [shape(None, old), shape(new, None)];
        assert_eq!(
            Era::of(&mixed),
            Era::Backports {
                newest: (5, 17),
                oldest: (5, 16)
            }
        );
    }
}

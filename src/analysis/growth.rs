//! How slab caches grew between two samples: two dumps, or a dump and a saved /proc/slabinfo.
//!
//! Input: the counts of each cache, twice. Output: one row a cache name. Invariants: rows of one
//! name are summed up, as a kernel may have several caches called alike; a cache that one sample
//! lacks is `None` there, not zero.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::subsys::mm::slab::CacheFacts;

/// What one sample says of a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Objects in use: handed out and not freed of a dump, `active_objs` of /proc/slabinfo.
    pub objects: u64,
    /// Objects that there is room for.
    pub room: u64,
    /// Slabs.
    pub slabs: u64,
    /// Bytes of the slabs' pages.
    pub bytes: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.objects = self.objects.saturating_add(other.objects);
        self.room = self.room.saturating_add(other.room);
        self.slabs = self.slabs.saturating_add(other.slabs);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Which of a dump's two counts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// What was allocated, object by object: of two dumps.
    Exact,
    /// What /proc/slabinfo said or would have said: a saved one knows no other.
    Slabinfo,
}

/// One sample: the counts of caches by name, as often as there are caches of that name.
pub type Sample = Vec<(String, Counts)>;

/// The sample that a dump is.
pub fn sample<'f>(caches: impl Iterator<Item = &'f CacheFacts>, view: View) -> Sample {
    let counts = |cache: &CacheFacts| match view {
        View::Exact => Counts {
            objects: cache.exact.allocated,
            room: cache.exact.objects,
            slabs: cache.exact.slabs,
            bytes: cache.exact.bytes,
        },
        View::Slabinfo => Counts {
            objects: cache.slabinfo.active_objs,
            room: cache.slabinfo.num_objs,
            slabs: cache.slabinfo.num_slabs,
            bytes: cache.exact.bytes,
        },
    };
    caches
        .map(|cache| (cache.name.clone(), counts(cache)))
        .collect()
}

/// One cache in both samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grown {
    /// As in /proc/slabinfo.
    pub name: String,
    /// Other caches of the samples that are counted here: one of the kernels merged them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<String>,
    /// In the older sample; `None` if it has no such cache.
    pub old: Option<Counts>,
    /// In the newer.
    pub new: Option<Counts>,
    /// Objects in use that came, or went if negative.
    pub objects: i64,
    /// Bytes of slabs that came, or went.
    pub bytes: i64,
}

/// All caches, and what they come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// Bytes of all slabs in the older sample.
    pub old_bytes: u64,
    /// In the newer.
    pub new_bytes: u64,
    /// Those that grew most first, by bytes and then by objects.
    pub caches: Vec<Grown>,
}

/// Puts two samples beside each other. `merged` are the names that share one cache in either of
/// them: one kernel may merge what another does not, or call it by another of its names, so all
/// that hangs together is one row.
pub fn compare(old: &Sample, new: &Sample, merged: &[Vec<String>]) -> Growth {
    let groups = Groups::of(&[old, new], merged);
    let mut rows: BTreeMap<&str, (Option<Counts>, Option<Counts>)> = BTreeMap::new();
    for (name, counts) in old {
        let row = rows.entry(groups.name(name)).or_default();
        row.0.get_or_insert_default().add(counts);
    }
    for (name, counts) in new {
        let row = rows.entry(groups.name(name)).or_default();
        row.1.get_or_insert_default().add(counts);
    }
    let grown = |name: &str, old: Option<Counts>, new: Option<Counts>| {
        let of = |counts: &Option<Counts>, what: fn(&Counts) -> u64| {
            let value = counts.as_ref().map_or(0, what);
            i64::try_from(value).unwrap_or(i64::MAX)
        };
        Grown {
            name: name.to_owned(),
            merged: groups.others(name),
            objects: of(&new, |c| c.objects) - of(&old, |c| c.objects),
            bytes: of(&new, |c| c.bytes) - of(&old, |c| c.bytes),
            old,
            new,
        }
    };
    let mut caches: Vec<Grown> = rows
        .into_iter()
        .map(|(name, (old, new))| grown(name, old, new))
        .collect();
    caches.sort_by_key(|cache| std::cmp::Reverse((cache.bytes, cache.objects)));
    let bytes = |sample: &Sample| sample.iter().map(|(_, counts)| counts.bytes).sum();
    Growth {
        old_bytes: bytes(old),
        new_bytes: bytes(new),
        caches,
    }
}

/// Names of caches that are one in any sample.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// By a name, that which stands for all of its group.
    first: BTreeMap<String, String>,
}

impl Groups {
    /// Of the names that have a row in a sample: a cache that only one name ever stood for is
    /// called by it.
    pub(super) fn of(samples: &[&Sample], merged: &[Vec<String>]) -> Self {
        let rows: BTreeSet<&str> = samples
            .iter()
            .copied()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        let mut groups: Vec<BTreeSet<&str>> = Vec::new();
        for names in merged {
            let mut group: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            let (joined, apart): (Vec<_>, Vec<_>) = groups
                .into_iter()
                .partition(|other| !other.is_disjoint(&group));
            group.extend(joined.into_iter().flatten());
            groups = apart;
            groups.push(group);
        }
        let mut first = BTreeMap::new();
        for group in groups {
            let shown: Vec<&str> = group.intersection(&rows).copied().collect();
            if let [one, _, ..] = shown.as_slice() {
                let named = |name: &&str| ((*name).to_owned(), (*one).to_owned());
                first.extend(shown.iter().map(named));
            }
        }
        Self { first }
    }

    pub(super) fn name<'n>(&'n self, name: &'n str) -> &'n str {
        self.first.get(name).map_or(name, String::as_str)
    }

    pub(super) fn others(&self, first: &str) -> Vec<String> {
        let of = self.first.iter();
        let of = of.filter(|(name, of)| *of == first && *name != first);
        of.map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(objects: u64, bytes: u64) -> Counts {
        Counts {
            objects,
            room: objects,
            slabs: bytes / 4096,
            bytes,
        }
    }

    #[test]
    fn what_grew_most_comes_first_and_a_cache_may_be_new_or_gone() {
        let old = vec![
            ("a".to_owned(), counts(10, 4096)),
            ("gone".to_owned(), counts(3, 8192)),
            ("twice".to_owned(), counts(1, 4096)),
            ("twice".to_owned(), counts(2, 4096)),
        ];
        let new = vec![
            ("twice".to_owned(), counts(3, 8192)),
            ("a".to_owned(), counts(30, 12288)),
            ("new".to_owned(), counts(0, 0)),
        ];
        let growth = compare(&old, &new, &[]);
        let rows: Vec<(&str, i64, i64)> = growth
            .caches
            .iter()
            .map(|row| (row.name.as_str(), row.objects, row.bytes))
            .collect();
        assert_eq!(
            rows,
            [
                ("a", 20, 8192),
                ("new", 0, 0),
                ("twice", 0, 0),
                ("gone", -3, -8192)
            ]
        );
        let row = |name: &str| growth.caches.iter().find(|row| row.name == name).unwrap();
        assert!(row("new").old.is_none() && row("gone").new.is_none());
        assert_eq!((growth.old_bytes, growth.new_bytes), (20480, 20480));
    }

    #[test]
    fn what_one_kernel_merges_is_compared_as_one() {
        // The older kernel has one cache for both, called by another name than the newer one's.
        let old = vec![("eventpoll_pwq".to_owned(), counts(30, 8192))];
        let new = vec![
            ("a_cache".to_owned(), counts(10, 4096)),
            ("eventpoll_pwq".to_owned(), counts(20, 4096)),
            ("alone".to_owned(), counts(1, 4096)),
        ];
        let merged = [vec!["eventpoll_pwq".to_owned(), "a_cache".to_owned()]];
        let growth = compare(&old, &new, &merged);
        let rows: Vec<(&str, i64)> = growth
            .caches
            .iter()
            .map(|row| (row.name.as_str(), row.objects))
            .collect();
        assert_eq!(rows, [("alone", 1), ("a_cache", 0)]);
        assert_eq!(growth.caches[1].merged, ["eventpoll_pwq"]);
    }
}

//! All page tables below one root, of the kernel or of a process.

use rustc_hash::FxHashSet;

use super::mmu::{Entry, Level};
use super::{AddressSpace, MemFault};
use crate::addr::{Pfn, PhysAddr};
use crate::bytes::u64_at;

/// Which addresses tables are wanted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Those of the kernel.
    Kernel,
    /// Those of processes.
    User,
}

/// Walks tables, each once however many share it.
#[derive(Debug)]
pub struct Tables<'s> {
    space: &'s AddressSpace,
    seen: FxHashSet<u64>,
    /// Tables that the dump lacks.
    pub missing: u64,
}

impl AddressSpace {
    /// Walks all page tables of several roots.
    pub fn tables(&self) -> Tables<'_> {
        Tables {
            space: self,
            seen: FxHashSet::default(),
            missing: 0,
        }
    }

    /// The root of the kernel's page tables.
    pub fn kernel_root(&self) -> PhysAddr {
        self.root
    }
}

impl Tables<'_> {
    /// Hands each table below `root` that was not met before to `each`, the root itself too. No
    /// more can be met than there are pages, so that damaged tables come to an end.
    pub fn walk(&mut self, root: PhysAddr, half: Half, mut each: impl FnMut(PhysAddr)) {
        let levels = self.space.mmu.levels.clone();
        let Some(first) = levels.first() else {
            return;
        };
        let entries = 1u64 << first.bits;
        // One root for both halves: the lower half of its entries is the process's.
        let entries = match (self.space.mmu.lower_half, half) {
            (true, Half::Kernel) => entries / 2..entries,
            (true, Half::User) => 0..entries / 2,
            (false, _) => 0..entries,
        };
        let mut open = vec![(root, 0usize, entries)];
        while let Some((table, depth, entries)) = open.pop() {
            let Some(level) = levels.get(depth) else {
                continue;
            };
            if !self.seen.insert(table.0) {
                continue;
            }
            if self.seen.len() as u64 > self.space.dump.facts().ram_pages {
                return;
            }
            each(table);
            let last = depth + 1 == levels.len();
            if last {
                continue;
            }
            let below = self.below(table, level, entries);
            let next = levels.get(depth + 1).map_or(0, |level| 1u64 << level.bits);
            open.extend(below.into_iter().map(|at| (at, depth + 1, 0..next)));
        }
    }

    /// The tables that one points to.
    fn below(
        &mut self,
        table: PhysAddr,
        level: &Level,
        entries: std::ops::Range<u64>,
    ) -> Vec<PhysAddr> {
        let space = self.space;
        let shift = space.dump.page_shift();
        let mut found = Vec::new();
        let mut page = None;
        for index in entries {
            let at = table.plus(index * 8);
            let pfn = Pfn::containing(at, shift);
            let known = matches!(&page, Some((of, _)) if *of == pfn);
            if !known {
                match space.dump.page_in_passing(pfn) {
                    Ok(bytes) => {
                        space.dump.note_read(pfn, 0, bytes.len());
                        page = Some((pfn, bytes));
                    }
                    Err(fault) => {
                        let va = space.direct_map_address(at);
                        space.tell(at, MemFault::Page { va, fault });
                        self.missing += 1;
                        return found;
                    }
                }
            }
            let word = page
                .as_ref()
                .and_then(|(_, bytes)| u64_at(bytes, space.within_page(at)));
            let entry = word.unwrap_or(0) & !space.mmu.ignored;
            if let Entry::Table { at, .. } = (space.mmu.decode)(entry, level, false) {
                found.push(at);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine of tests/synth has as many tables as its page allocator gave out for them.
    #[test]
    fn tables_are_met_once_and_mean_what_they_translate() {
        use vmleak_synth::{Era, Machine, PagingLevels, Scenario};
        for levels in [PagingLevels::Four, PagingLevels::Five] {
            let m = Machine::build(Era::V6_1, levels, &Scenario::standard());
            let kernel = crate::kernel::synthetic::kernel(&m);
            let space = &kernel.space;
            let mut met = Vec::new();
            let mut tables = space.tables();
            tables.walk(space.kernel_root(), Half::Kernel, |at| met.push(at));
            assert_eq!(tables.missing, 0);
            assert_eq!(met.first(), Some(&space.kernel_root()));
            // Each was read for some translation: the entry for the kernel's text is below.
            assert!(met.len() >= space.mmu.levels.len() - 1, "{}", met.len());
            let mut again = 0;
            tables.walk(space.kernel_root(), Half::Kernel, |_| again += 1);
            assert_eq!(again, 0, "each is met once");
        }
    }
}

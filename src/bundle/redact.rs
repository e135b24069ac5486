//! Texts that tell whose machine it is: blanked where they lie, with their length kept.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::addr::{Pfn, VirtAddr};
use crate::kernel::Kernel;
use crate::subsys::{log, system};

/// A command line is no longer (COMMAND_LINE_SIZE of all architectures).
const LONGEST: usize = 4 << 10;

/// What is blanked, by page.
#[derive(Debug, Default)]
pub(super) struct Redactions(BTreeMap<Pfn, Vec<Range<usize>>>);

impl Redactions {
    /// The log's texts, the machine's name, the kernel's command line in both its places.
    pub(super) fn of(kernel: &Kernel) -> Self {
        let mut all = Self::default();
        let (records, _) = log::records_if_any(kernel);
        for (at, len) in records.iter().filter_map(|record| record.place) {
            all.add(kernel, at, len);
        }
        if let Some((at, name)) = system::host_at(kernel) {
            all.add(kernel, at, name.len());
        }
        let saved = kernel.u64_of("saved_command_line").value();
        let places = [saved.map(VirtAddr), kernel.symbol("boot_command_line")];
        for at in places.into_iter().flatten() {
            if let Ok(text) = kernel.space.read_c_string(at, LONGEST) {
                all.add(kernel, at, text.len());
            }
        }
        all
    }

    fn add(&mut self, kernel: &Kernel, at: VirtAddr, len: usize) {
        for part in kernel.space.by_page(at, len) {
            let Ok(mapping) = kernel.space.translate(at.plus(part.start as u64)) else {
                continue;
            };
            let shift = kernel.dump().page_shift();
            let start = (mapping.phys.0 & ((1 << shift) - 1)) as usize;
            let pfn = Pfn::containing(mapping.phys, shift);
            self.0
                .entry(pfn)
                .or_default()
                .push(start..start + part.len());
        }
    }

    /// Whether anything in this page is blanked.
    pub(super) fn are_in(&self, pfn: Pfn) -> bool {
        self.0.contains_key(&pfn)
    }

    /// Blanks what lies in this page.
    pub(super) fn apply(&self, pfn: Pfn, page: &mut [u8]) {
        for range in self.0.get(&pfn).into_iter().flatten() {
            for byte in page.get_mut(range.clone()).unwrap_or_default() {
                // Lines stay lines.
                if *byte != b'\n' {
                    *byte = b'x';
                }
            }
        }
    }
}

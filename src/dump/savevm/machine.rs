//! Where QEMU's machines have a guest's memory.
//!
//! Source: hw/i386/pc_q35.c, hw/i386/pc_piix.c, hw/i386/microvm.c, hw/arm/virt.c.

use std::ops::Range;

use goblin::elf::header::EM_X86_64;

use super::super::page_source::MachineName;

/// Up to 4 GiB there are devices; what does not fit below them lies above.
const ABOVE: u64 = 4 << 30;
const GIB: u64 = 1 << 30;

/// The machine that a stream names.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) name: String,
}

/// A part of the guest's memory, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) memory: Range<u64>,
    pub(super) start: u64,
}

/// The parts of the guest's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout(Vec<Placed>);

impl Layout {
    pub(super) fn ranges(&self) -> &[Placed] {
        &self.0
    }

    fn at(start: u64, size: u64) -> Self {
        let memory = 0..size;
        Self(vec![Placed { memory, start }])
    }

    /// From 0 on up to `below`, and the rest above 4 GiB.
    fn of_pc(size: u64, below: u64) -> Self {
        let low = size.min(below);
        let mut parts = vec![Placed {
            memory: 0..low,
            start: 0,
        }];
        if size > low {
            parts.push(Placed {
                memory: low..size,
                start: ABOVE,
            });
        }
        Self(parts)
    }
}

impl Machine {
    pub(super) fn named(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name)
            .trim_end_matches('\0')
            .to_owned();
        Self { name }
    }

    /// Where it has `size` bytes of memory; `None` if that is not known.
    pub(super) fn layout(&self, size: u64) -> Option<Layout> {
        let name = self.name.as_str();
        if name.starts_with("pc-q35") || name == "q35" {
            // Aligned to 1 GiB where it does not fit below 2.75 GiB.
            let below = if size >= 0xb000_0000 { 2 * GIB } else { size };
            Some(Layout::of_pc(size, below))
        } else if name.starts_with("pc-i440fx-0.") || name.starts_with("pc-i440fx-1.") {
            Some(Layout::of_pc(size, 0xe000_0000))
        } else if name.starts_with("pc-") || name == "pc" {
            let below = if size >= 0xe000_0000 { 3 * GIB } else { size };
            Some(Layout::of_pc(size, below))
        } else if name.starts_with("microvm") {
            Some(Layout::of_pc(size, 3 * GIB))
        } else if name.starts_with("virt-") || name == "virt" {
            Some(Layout::at(GIB, size))
        } else {
            None
        }
    }

    /// Where any PC has so little memory.
    pub(super) fn unnamed_layout(size: u64) -> Option<Layout> {
        (size <= 2 * GIB).then(|| Layout::at(0, size))
    }

    /// Of which architecture it is.
    pub(super) fn architecture(&self) -> Option<MachineName> {
        let is_pc = self.name.starts_with("pc") || self.name.starts_with("microvm");
        is_pc.then_some(MachineName::Elf(EM_X86_64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(name: &str, size: u64) -> Option<Vec<(u64, u64)>> {
        let layout = Machine::named(name.as_bytes()).layout(size)?;
        let parts = layout.ranges().iter();
        Some(
            parts
                .map(|part| (part.start, part.memory.end - part.memory.start))
                .collect(),
        )
    }

    /// QEMU's own `info mtree` of these machines.
    #[test]
    fn memory_lies_below_and_above_the_devices() {
        let (low, high) = (0, 4 * GIB);
        assert_eq!(parts("pc-q35-7.2", 2 * GIB), Some(vec![(low, 2 * GIB)]));
        let split = Some(vec![(low, 2 * GIB), (high, 2 * GIB)]);
        assert_eq!(parts("pc-q35-7.2", 4 * GIB), split);
        let split = Some(vec![(low, 3 * GIB), (high, GIB)]);
        assert_eq!(parts("pc-i440fx-7.2", 4 * GIB), split);
        assert_eq!(parts("virt-7.2", 8 * GIB), Some(vec![(GIB, 8 * GIB)]));
        assert_eq!(parts("s390-ccw-virtio-7.2", GIB), None);
    }
}

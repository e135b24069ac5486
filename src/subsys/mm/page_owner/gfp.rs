//! Flags of allocations in words, as the kernel's own table has them (`%pGg`).

use crate::bytes::u64_at;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};

/// Longer than the kernel's table.
const MAX_NAMES: usize = 128;
/// Longer than any name.
const MAX_NAME: usize = 64;

layout! {
    /// include/linux/tracepoint-defs.h
    struct FlagNameLayout = "trace_print_flags" in "mm/debug.c" {
        need mask = "mask",
        need name = "name",
    }
}

/// The names, in the order in which the kernel tries them: sums of flags come first.
#[derive(Debug, Default)]
pub(super) struct GfpNames(Vec<(u64, String)>);

impl GfpNames {
    /// Reads `gfpflag_names` (mm/debug.c); none if the kernel has no such table.
    pub(super) fn read(kernel: &Kernel) -> Result<Self, KernelError> {
        let Some(table) = kernel.symbol("gfpflag_names") else {
            return Ok(Self::default());
        };
        let layout: FlagNameLayout = kernel.layout()?;
        let mut names = Vec::new();
        for index in 0..MAX_NAMES {
            let at = table.plus((index * layout.struct_size) as u64);
            let Ok(record) = kernel.space.span(at, layout.struct_size) else {
                break;
            };
            let name = u64_at(&record, layout.name.offset as usize).unwrap_or(0);
            if name == 0 {
                break;
            }
            let Ok(text) = kernel
                .space
                .read_c_string(crate::addr::VirtAddr(name), MAX_NAME)
            else {
                break;
            };
            names.push((layout.mask.get(&record), text));
        }
        Ok(Self(names))
    }

    /// A mask in words; what has no name as a number.
    pub(super) fn describe(&self, mask: u32) -> String {
        let mut rest = u64::from(mask);
        let mut words = Vec::new();
        for (bits, name) in self.0.iter().filter(|(bits, _)| *bits != 0) {
            if rest & bits == *bits {
                words.push(name.clone());
                rest &= !bits;
            }
        }
        if rest != 0 {
            words.push(format!("{rest:#x}"));
        }
        words.join("|")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_come_before_their_parts() {
        let names = [
            (0xc0, "GFP_KERNEL"),
            (0x40, "__GFP_IO"),
            (0x100, "__GFP_ZERO"),
        ];
        let names = GfpNames(names.map(|(bits, name)| (bits, name.to_owned())).to_vec());
        assert_eq!(names.describe(0x1c0), "GFP_KERNEL|__GFP_ZERO");
        assert_eq!(names.describe(0x1040), "__GFP_IO|0x1000");
        assert_eq!(names.describe(0), "");
    }
}

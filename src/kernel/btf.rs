//! The types that a kernel and its modules carry in their own memory.
//!
//! Layer: kernel. Input: `__start_BTF` and `__stop_BTF`, which the linker puts around
//! vmlinux's types, and the list `btf_modules`, which has those of each loaded module
//! (kernel/bpf/btf.c). Output: [`Btf`]. `module.btf_data` is no use: it points to where
//! the module was loaded from and is gone afterwards.

use std::sync::Arc;

use thiserror::Error;

use super::layout::{LayoutError, layout};
use super::{Kernel, run_time_address, walk};
use crate::addr::VirtAddr;
use crate::space::{AddressSpace, MemFault};
use crate::types::{Btf, SymbolTable, TypeError};

/// vmlinux has 3 to 6 MB of types; the kernel's own bound on their names is 16 MB.
const MAX_BYTES: u64 = 64 << 20;
const MAX_MODULES: u64 = 16_384;

/// Why the dump's own types can't be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OwnTypesError {
    /// The kernel has none.
    #[error(
        "the kernel that crashed carries no types of its own (CONFIG_DEBUG_INFO_BTF); give its vmlinux with debug information"
    )]
    None,
    /// The linker's symbols are no range.
    #[error(
        "the kernel's own types have {0} bytes, which can't be; are the symbols those of the kernel that crashed?"
    )]
    BadSize(u64),
    /// The dump lacks the pages.
    #[error(
        "the types that the kernel carries can't be read: {0}; give its vmlinux with debug information"
    )]
    Memory(#[from] MemFault),
    /// They make no sense.
    #[error(transparent)]
    Types(#[from] TypeError),
    /// A shape of the kernel's list that is not known.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// The types of the kernel itself, read before it is known otherwise.
///
/// # Errors
/// If it has none, or the dump lacks them.
pub(crate) fn read(space: &AddressSpace, symbols: &SymbolTable) -> Result<Btf, OwnTypesError> {
    let symbol = |name| run_time_address(symbols, name, space.boot()).ok_or(OwnTypesError::None);
    let (start, stop) = (symbol("__start_BTF")?, symbol("__stop_BTF")?);
    let size = stop.0.wrapping_sub(start.0);
    let bytes = read_bytes(space, start, size)?;
    Ok(Btf::new("the kernel's own types in the dump", bytes)?)
}

fn read_bytes(space: &AddressSpace, at: VirtAddr, size: u64) -> Result<Vec<u8>, OwnTypesError> {
    if size == 0 || size > MAX_BYTES {
        return Err(OwnTypesError::BadSize(size));
    }
    Ok(space.read_bytes(at, size as usize)?)
}

layout! {
    /// kernel/bpf/btf.c, 5.11 and later (commit 36e68442d1af).
    struct BtfModuleLayout = "btf_module" in "kernel/bpf/btf.c" {
        need list = "list",
        need module = "module",
        need btf = "btf",
    }
}

layout! {
    /// kernel/bpf/btf.c
    struct BtfLayout = "btf" in "kernel/bpf/btf.c" {
        need data = "data",
        need data_size = "data_size",
        need start_id = "start_id",
        need start_str_off = "start_str_off",
    }
}

/// The types of the module `name`, whose `struct module` is at `module`, on top of the kernel's
/// in `base`. `None` if the kernel keeps none of it.
///
/// # Errors
/// If the list or the types can't be read.
pub(crate) fn read_module(
    kernel: &Kernel,
    name: &str,
    module: VirtAddr,
    base: &Arc<Btf>,
) -> Result<Option<Btf>, OwnTypesError> {
    let Some(head) = kernel.symbol("btf_modules") else {
        return Ok(None);
    };
    let entry_layout: BtfModuleLayout = kernel.layout()?;
    let layout: BtfLayout = kernel.layout()?;
    let list = walk::list(&kernel.space, head, MAX_MODULES);
    for link in list.value {
        let entry = link.minus(u64::from(entry_layout.list.offset));
        // An entry that can't be read is another module's, as far as one can tell.
        let Ok(entry) = kernel.space.read_bytes(entry, entry_layout.len) else {
            continue;
        };
        if entry_layout.module.get(&entry) != module.0 {
            continue;
        }
        let btf = VirtAddr(entry_layout.btf.get(&entry));
        let record = kernel.space.read_bytes(btf, layout.len)?;
        let starts = (
            layout.start_id.get(&record),
            layout.start_str_off.get(&record),
        );
        if starts != (u64::from(base.end_id()), u64::from(base.end_string())) {
            return Err(OwnTypesError::Types(TypeError::BadBtf {
                name: name.to_owned(),
                why: "it does not continue the kernel's own types".to_owned(),
            }));
        }
        let data = VirtAddr(layout.data.get(&record));
        let bytes = read_bytes(&kernel.space, data, layout.data_size.get(&record))?;
        return Ok(Some(Btf::split(name, bytes, Arc::clone(base))?));
    }
    Ok(None)
}

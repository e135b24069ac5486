//! Raw memory: byte N of the file is byte N of physical memory, as `dd` of a memory device,
//! `pmemsave`, and most hypervisors' exports write it.
//!
//! Nothing in the file says that it is one: what is in it has to, later. Memory that does not
//! exist lies there as zeros.

use std::path::Path;

use super::DumpError;
use super::ranges::{About, Extent, Ranges};
use super::storage::Bytes;

/// A smaller file is no memory of a Linux machine.
pub(super) const SMALLEST: u64 = 1 << 20;

/// What the format is called.
pub(super) const SOURCE: &str = "raw";

/// Whether a file that is nothing else may be memory.
pub(crate) fn may_be_raw(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.len() >= SMALLEST)
}

/// Of a VMware guest with more memory than this the file has no gap where devices are, so that
/// only the snapshot beside it tells what lies where.
const VMEM_WITHOUT_GAP: u64 = 3 << 30;

/// Refuses a vmem that can't be read by itself.
pub(super) fn check_vmem(bytes: &Bytes) -> Result<(), DumpError> {
    let path = bytes.path();
    let is_vmem = path.extension().is_some_and(|ending| ending == "vmem");
    if !is_vmem || bytes.len() <= VMEM_WITHOUT_GAP {
        return Ok(());
    }
    Err(DumpError::Unsupported {
        path: path.to_owned(),
        what: "the memory of a VMware guest with more than 3 GiB, of which the vmss or vmsn of the same name says what lies where: put that beside it, or give it too".to_owned(),
    })
}

/// The whole file as memory from address 0 on.
pub(super) fn open(bytes: Bytes) -> Ranges {
    let about = About {
        incomplete: bytes.is_cut_short(),
        ..About::image(SOURCE, format!("{}raw memory", bytes.flattened_prefix()))
    };
    let held = vec![Extent {
        start: 0,
        end: bytes.len(),
        offset: 0,
    }];
    Ranges::new(bytes, held.clone(), held, about)
}

//! The build-id of a loaded module, which ties it to its debug file.
//!
//! `module.build_id` has it in kernels built with CONFIG_STACKTRACE_BUILD_ID. All others
//! keep the notes of each module for /sys/module/NAME/notes, with their addresses.

use super::layouts::Layouts;
use crate::addr::VirtAddr;
use crate::bytes::slice;
use crate::dump::gnu_build_id;
use crate::kernel::Kernel;

/// A module has two or three note sections of a hundred bytes.
const MAX_NOTES: u64 = 32;
const MAX_NOTE_BYTES: u64 = 4 << 10;

pub(super) fn read(kernel: &Kernel, layouts: &Layouts, record: &[u8]) -> Option<String> {
    if let Some(field) = layouts.module.build_id {
        let id = slice(record, field.offset as usize, field.size as usize)?;
        if id.iter().any(|byte| *byte != 0) {
            return Some(hex(id));
        }
    }
    let notes = VirtAddr(layouts.module.notes_attrs?.get(record));
    attributes(kernel, layouts, notes)?
        .into_iter()
        .find_map(|attribute| in_attribute(kernel, layouts, attribute))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Addresses of the `struct bin_attribute` of a module's notes.
fn attributes(kernel: &Kernel, layouts: &Layouts, at: VirtAddr) -> Option<Vec<VirtAddr>> {
    let (notes, attribute) = layouts.notes.as_ref()?;
    if at.is_null() {
        return None;
    }
    let record = kernel
        .space
        .read_bytes(at, notes.struct_size.min(256))
        .ok()?;
    if let Some(count) = notes.notes {
        let first = at.plus(u64::from(notes.attrs.offset));
        let stride = attribute.struct_size as u64;
        let count = count.get(&record).min(MAX_NOTES);
        return Some((0..count).map(|n| first.plus(n * stride)).collect());
    }
    // 6.14 and later ("module: sysfs: Add notes attributes through attribute_group").
    let mut pointer = VirtAddr(notes.bin_attrs?.get(&record));
    let mut all = Vec::new();
    for _ in 0..MAX_NOTES {
        let one = kernel.space.read_ptr(pointer).ok()?;
        if one.is_null() {
            break;
        }
        all.push(one);
        pointer = pointer.plus(8);
    }
    Some(all)
}

fn in_attribute(kernel: &Kernel, layouts: &Layouts, at: VirtAddr) -> Option<String> {
    let (_, layout) = layouts.notes.as_ref()?;
    let record = kernel.space.read_bytes(at, layout.len).ok()?;
    let size = layout.size.get(&record).min(MAX_NOTE_BYTES);
    let section = VirtAddr(layout.private.get(&record));
    let section = kernel.space.read_bytes(section, size as usize).ok()?;
    gnu_build_id(&section).map(hex)
}

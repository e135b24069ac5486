//! What /sys/module/NAME/notes and /sys/module/NAME/sections are made of.

use super::kernel::Kernel;
use crate::write::notes::note;

const NT_GNU_BUILD_ID: u32 = 3;

/// The build-id's note at `at`, and its attribute.
pub(super) fn lay_notes(kernel: &mut Kernel, module: u64, at: u64, build_id: &[u8]) {
    const TAG: &str = "module_notes_attrs";
    let mut text = Vec::new();
    note(&mut text, "GNU", NT_GNU_BUILD_ID, build_id);
    kernel.write(at, &text);
    let header = kernel.types.sizeof(TAG);
    let size = kernel.types.sizeof("bin_attribute");
    let notes = kernel.alloc(header + size, 8);
    let attribute = notes + header;
    let name = kernel.alloc_string(".note.gnu.build-id");
    kernel.set(attribute, "bin_attribute", "attr.name", name);
    kernel.set(attribute, "bin_attribute", "size", text.len() as u64);
    kernel.set(attribute, "bin_attribute", "private", at);
    if kernel.types.has(TAG, "notes") {
        kernel.set(notes, TAG, "notes", 1);
    } else {
        lay_list(kernel, notes, TAG, &[attribute]);
    }
    kernel.set(module, "module", "notes_attrs", notes);
}

/// Where sections were loaded to: a struct of its own for each (to 6.13), or the
/// private pointer of a plain attribute.
pub(super) fn lay_sections(kernel: &mut Kernel, module: u64, sections: &[(&str, u64)]) {
    const TAG: &str = "module_sect_attrs";
    let header = kernel.types.sizeof(TAG);
    let counted = kernel.types.has(TAG, "nsections");
    let entry = if counted {
        "module_sect_attr"
    } else {
        "bin_attribute"
    };
    let size = kernel.types.sizeof(entry);
    let attrs = kernel.alloc(header + size * sections.len() as u64, 8);
    let mut list = Vec::new();
    for (index, (name, address)) in sections.iter().enumerate() {
        let at = attrs + header + index as u64 * size;
        let name = kernel.alloc_string(name);
        let (name_path, address_path) = if counted {
            ("battr.attr.name", "address")
        } else {
            ("attr.name", "private")
        };
        kernel.set(at, entry, name_path, name);
        kernel.set(at, entry, address_path, *address);
        list.push(at);
    }
    if counted {
        kernel.set(attrs, TAG, "nsections", sections.len() as u64);
    } else {
        lay_list(kernel, attrs, TAG, &list);
    }
    kernel.set(module, "module", "sect_attrs", attrs);
}

/// A group's list of attributes, which ends with a null pointer.
fn lay_list(kernel: &mut Kernel, group: u64, tag: &str, attributes: &[u64]) {
    let list = kernel.alloc((attributes.len() as u64 + 1) * 8, 8);
    for (index, attribute) in attributes.iter().enumerate() {
        kernel.write_u64(list + index as u64 * 8, *attribute);
    }
    kernel.set(group, tag, "grp.bin_attrs", list);
}

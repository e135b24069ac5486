//! `btf_modules`: a loaded module's BTF, on top of vmlinux's.

use super::kernel::Kernel;
use crate::debuginfo::btf;

/// Lays the list; with `module`, its name and address, one entry for it.
pub(super) fn lay(kernel: &mut Kernel, module: Option<(&str, u64)>) {
    if !kernel.image.has("btf_modules") {
        return;
    }
    let head = kernel.symbol("btf_modules");
    let Some((name, module)) = module else {
        kernel.link_list(head, &[]);
        return;
    };
    let split = btf::split(&kernel.vmlinux_types, &kernel.types);
    let start = kernel.symbol("__start_BTF");
    let size = kernel.symbol("__stop_BTF") - start;
    let base = lay_btf(kernel, "vmlinux", start, size, split.start_id);
    let data = kernel.vmalloc(split.data.len() as u64);
    kernel.write(data, &split.data);
    let own = lay_btf(kernel, name, data, split.data.len() as u64, split.count);
    kernel.set(own, "btf", "base_btf", base);
    kernel.set(own, "btf", "start_id", u64::from(split.start_id));
    kernel.set(own, "btf", "start_str_off", u64::from(split.start_str_off));
    let entry = kernel.alloc_struct("btf_module");
    kernel.set(entry, "btf_module", "module", module);
    kernel.set(entry, "btf_module", "btf", own);
    let link = entry + kernel.types.offset("btf_module", "list");
    kernel.link_list(head, &[link]);
}

fn lay_btf(kernel: &mut Kernel, name: &str, data: u64, size: u64, types: u32) -> u64 {
    let btf = kernel.alloc_struct("btf");
    for (member, value) in [
        ("data", data),
        ("data_size", size),
        ("nr_types", u64::from(types)),
        ("kernel_btf", 1),
    ] {
        kernel.set(btf, "btf", member, value);
    }
    let header = btf + kernel.types.offset("btf", "hdr");
    for word in 0..3 {
        let value = kernel.read_u64(data + word * 8);
        kernel.write_u64(header + word * 8, value);
    }
    kernel.write(btf + kernel.types.offset("btf", "name"), name.as_bytes());
    btf
}

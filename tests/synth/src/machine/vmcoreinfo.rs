//! The VMCOREINFO note's text, as each era's kernel prints it.

use std::fmt::Write;

use super::arm64::Arm64;
use super::identity::{CRASHTIME, build_id};
use super::kernel::Kernel;
use super::memmap::{max_physmem_bits, section_roots};
use super::ram::PAGES_PER_SECTION;
use crate::ctypes::TypeTable;
use crate::era::{Era, PagingLevels};

/// Printed as `OFFSET(struct.member)` by every era.
const OFFSETS: &[(&str, &str)] = &[
    ("page", "flags"),
    ("page", "_refcount"),
    ("page", "mapping"),
    ("page", "lru"),
    ("page", "_mapcount"),
    ("page", "private"),
    ("page", "compound_dtor"),
    ("page", "compound_order"),
    ("page", "compound_head"),
    ("page", "compound_info"),
    ("pglist_data", "node_zones"),
    ("pglist_data", "nr_zones"),
    ("pglist_data", "node_start_pfn"),
    ("pglist_data", "node_spanned_pages"),
    ("pglist_data", "node_id"),
    ("zone", "free_area"),
    ("zone", "vm_stat"),
    ("zone", "spanned_pages"),
    ("free_area", "free_list"),
    ("list_head", "next"),
    ("list_head", "prev"),
];

/// Printed as `SIZE` and `OFFSET` for the printk ring buffer.
const PRINTK: &[(&str, &[&str])] = &[
    (
        "printk_ringbuffer",
        &["desc_ring", "text_data_ring", "fail"],
    ),
    (
        "prb_desc_ring",
        &["count_bits", "descs", "infos", "head_id", "tail_id"],
    ),
    ("prb_desc", &["state_var", "text_blk_lpos"]),
    ("prb_data_blk_lpos", &["begin", "next"]),
    (
        "printk_info",
        &["seq", "ts_nsec", "text_len", "caller_id", "dev_info"],
    ),
    ("dev_printk_info", &["subsystem", "device"]),
    (
        "prb_data_ring",
        &["size_bits", "data", "head_lpos", "tail_lpos"],
    ),
];

/// Symbols of the log: a ring of descriptors, and a buffer of records.
const RING: &[&str] = &["prb", "printk_rb_static", "clear_seq"];
const LOG: &[&str] = &["log_buf", "log_buf_len", "log_first_idx", "log_next_idx"];
const OLD_PRINTK: &[(&str, &[&str])] = &[("log", &["ts_nsec", "len", "text_len", "dict_len"])];

/// `PG_*` that are printed where the enum has them.
const PAGE_FLAGS: &[&str] = &["PG_lru", "PG_private", "PG_swapcache", "PG_swapbacked"];

/// The text, lines ended by newlines.
pub(super) fn text(kernel: &Kernel, paging: PagingLevels, sme_mask: u64) -> String {
    let mut out = String::new();
    identity(&mut out, kernel);
    memory_model(&mut out, kernel, paging);
    structures(&mut out, &kernel.types);
    numbers(&mut out, kernel);
    architecture(&mut out, kernel, paging, sme_mask);
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes everything");
}

fn symbol(out: &mut String, kernel: &Kernel, name: &str) {
    line(
        out,
        format_args!("SYMBOL({name})={:x}", kernel.symbol(name)),
    );
}

fn identity(out: &mut String, kernel: &Kernel) {
    line(out, format_args!("OSRELEASE={}", kernel.era.release()));
    let id: String = build_id(kernel)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    line(out, format_args!("BUILD-ID={id}"));
    line(out, format_args!("PAGESIZE={}", kernel.page_size()));
    symbol(out, kernel, "init_uts_ns");
    if kernel.era >= Era::V6_1 {
        let offset = kernel.types.offset("uts_namespace", "name");
        line(out, format_args!("OFFSET(uts_namespace.name)={offset}"));
    }
    let online = kernel.types.constant("N_ONLINE") * 128;
    let map = kernel.symbol("node_states") + online;
    line(out, format_args!("SYMBOL(node_online_map)={map:x}"));
    symbol(out, kernel, "swapper_pg_dir");
    symbol(out, kernel, "_stext");
}

fn memory_model(out: &mut String, kernel: &Kernel, paging: PagingLevels) {
    if kernel.era >= Era::V6_12 && paging.arm64().is_none() {
        let space = &kernel.space;
        line(
            out,
            format_args!("NUMBER(VMALLOC_START)=0x{:x}", space.vmalloc),
        );
        line(out, format_args!("SYMBOL(vmemmap)={:x}", space.vmemmap));
    } else if kernel.era < Era::V6_12 {
        symbol(out, kernel, "vmap_area_list");
    }
    // Where the variable is a pointer, its value is what the kernel prints.
    let sections = match kernel.era.is_3_10() {
        true => kernel.symbol("mem_section"),
        false => kernel.read_u64(kernel.symbol("mem_section")),
    };
    line(out, format_args!("SYMBOL(mem_section)={sections:x}"));
    line(
        out,
        format_args!("LENGTH(mem_section)={}", section_roots(paging)),
    );
    line(
        out,
        format_args!("SIZE(mem_section)={}", kernel.types.sizeof("mem_section")),
    );
    line(out, format_args!("OFFSET(mem_section.section_mem_map)=0"));
    if kernel.era.is_3_10() {
        return;
    }
    let section = PAGES_PER_SECTION.trailing_zeros() + kernel.page_shift();
    line(out, format_args!("NUMBER(SECTION_SIZE_BITS)={section}"));
    let bits = max_physmem_bits(paging);
    line(out, format_args!("NUMBER(MAX_PHYSMEM_BITS)={bits}"));
}

fn structures(out: &mut String, types: &TypeTable) {
    for tag in ["page", "pglist_data", "zone", "free_area", "list_head"] {
        line(out, format_args!("SIZE({tag})={}", types.sizeof(tag)));
    }
    line(out, format_args!("SIZE(nodemask_t)=128"));
    for (tag, member) in OFFSETS {
        if types.has(tag, member) {
            let offset = types.offset(tag, member);
            line(out, format_args!("OFFSET({tag}.{member})={offset}"));
        }
    }
    line(out, format_args!("LENGTH(zone.free_area)=11"));
}

fn numbers(out: &mut String, kernel: &Kernel) {
    let (log, printk) = match kernel.era.is_3_10() {
        true => (LOG, OLD_PRINTK),
        false => (RING, PRINTK),
    };
    for name in log {
        symbol(out, kernel, name);
    }
    for (tag, members) in printk {
        line(
            out,
            format_args!("SIZE({tag})={}", kernel.types.sizeof(tag)),
        );
        for member in *members {
            let offset = kernel.types.offset(tag, member);
            line(out, format_args!("OFFSET({tag}.{member})={offset}"));
            if *tag == "dev_printk_info" {
                let length = kernel.types.field(tag, member).bits / 8;
                line(out, format_args!("LENGTH(printk_info_{member})={length}"));
            }
        }
    }
    line(
        out,
        format_args!("SIZE(atomic_long_t)=8\nOFFSET(atomic_long_t.counter)=0"),
    );
    let lists = kernel.types.field("free_area", "free_list").bits / 128;
    line(
        out,
        format_args!("LENGTH(free_area.free_list)={lists}\nNUMBER(NR_FREE_PAGES)=0"),
    );
    for name in PAGE_FLAGS {
        let value = kernel.types.constant(name);
        line(out, format_args!("NUMBER({name})={value}"));
    }
    let head = 1u64 << kernel.types.constant("PG_head");
    if kernel.era.slab_is_page_type() {
        for (key, kind) in [("SLAB", "slab"), ("BUDDY", "buddy"), ("OFFLINE", "offline")] {
            let value = (kernel.types.constant(&format!("PGTY_{kind}")) as u32) << 24;
            let value = value.cast_signed();
            line(
                out,
                format_args!("NUMBER(PAGE_{key}_MAPCOUNT_VALUE)={value}"),
            );
        }
    } else {
        let slab = kernel.types.constant("PG_slab");
        line(out, format_args!("NUMBER(PG_slab)={slab}"));
        if kernel.era.is_3_10() {
            line(out, format_args!("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-128"));
        } else {
            line(out, format_args!("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129"));
            line(out, format_args!("NUMBER(HUGETLB_PAGE_DTOR)=2"));
            line(
                out,
                format_args!("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257"),
            );
        }
    }
    line(out, format_args!("NUMBER(PG_head_mask)={head}"));
}

/// arch/arm64/kernel/vmcore_info.c
fn arm64(out: &mut String, kernel: &Kernel, arm64: Arm64) {
    let space = &kernel.space;
    let at = |name: &str, value: u64| format!("NUMBER({name})=0x{value:x}\n");
    let image = space.relocated(kernel.image.base);
    line(out, format_args!("NUMBER(VA_BITS)={}", arm64.configured));
    if kernel.era >= Era::V6_1 {
        out.push_str(&at("MODULES_VADDR", arm64.modules()));
        out.push_str(&at("MODULES_END", arm64.modules() + (2 << 30)));
        out.push_str(&at("VMALLOC_START", arm64.modules() + (2 << 30)));
        out.push_str(&at("VMALLOC_END", arm64.vmemmap() - (256 << 20)));
        out.push_str(&at("VMEMMAP_START", arm64.vmemmap()));
    }
    out.push_str(&at("kimage_voffset", image.wrapping_sub(space.image_phys)));
    out.push_str(&at("PHYS_OFFSET", arm64.phys_offset(space.page_offset)));
    if kernel.era >= Era::V5_10 {
        out.push_str(&at("TCR_EL1_T1SZ", u64::from(64 - arm64.translated)));
        out.push_str(&at("KERNELPACMASK", arm64.signature_mask()));
    }
    line(out, format_args!("KERNELOFFSET={:x}", space.kernel_offset));
    line(out, format_args!("CRASHTIME={CRASHTIME}"));
}

fn architecture(out: &mut String, kernel: &Kernel, paging: PagingLevels, sme_mask: u64) {
    if let Some(machine) = paging.arm64() {
        return arm64(out, kernel, machine);
    }
    if kernel.era == Era::V3_10 {
        symbol(out, kernel, "phys_base");
        symbol(out, kernel, "init_level4_pgt");
        let moved = kernel.space.kernel_offset;
        line(out, format_args!("KERNELOFFSET={moved:x}"));
        line(out, format_args!("CRASHTIME={CRASHTIME}"));
        return;
    }
    line(
        out,
        format_args!("NUMBER(phys_base)={}", kernel.space.phys_base),
    );
    if kernel.era == Era::V3_10El7 {
        symbol(out, kernel, "init_level4_pgt");
        symbol(out, kernel, "node_data");
        line(out, format_args!("LENGTH(node_data)=1024"));
        let moved = kernel.space.kernel_offset;
        line(out, format_args!("KERNELOFFSET={moved:x}"));
        line(out, format_args!("NUMBER(KERNEL_IMAGE_SIZE)=1073741824"));
        line(out, format_args!("NUMBER(sme_mask)={sme_mask}"));
        line(out, format_args!("CRASHTIME={CRASHTIME}"));
        return;
    }
    symbol(out, kernel, "init_top_pgt");
    let five = u8::from(paging == PagingLevels::Five);
    line(out, format_args!("NUMBER(pgtable_l5_enabled)={five}"));
    symbol(out, kernel, "node_data");
    line(out, format_args!("LENGTH(node_data)=1024"));
    line(
        out,
        format_args!("KERNELOFFSET={:x}", kernel.space.kernel_offset),
    );
    line(out, format_args!("NUMBER(KERNEL_IMAGE_SIZE)=1073741824"));
    line(out, format_args!("NUMBER(sme_mask)={sme_mask}"));
    line(out, format_args!("CRASHTIME={CRASHTIME}"));
}

#!/usr/bin/env python3
r"""Writes one kernel's C types in the notation of layouts/*.types.

    extract_layouts.py VMLINUX > layouts/6.1.types
    extract_layouts.py --net layouts/6.1.types VMLINUX > layouts/6.1-net.types
    extract_layouts.py --memory layouts/6.1.types VMLINUX > layouts/6.1-memory.types
    extract_layouts.py --conntrack layouts/6.1.types,layouts/6.1-net.types \
        VMLINUX nf_conntrack.ko nf_nat.ko > layouts/6.1-conntrack.types

With --net, --memory or --conntrack, what the given tables define already is left out.

The facts (offsets, sizes, enumerators) come from the debugging information of
a distribution's kernel, read with drgn. A type used by value is followed; one
behind a pointer stays a declaration.
"""
import os
import re
import sys

import drgn
from drgn import TypeKind

STRUCTS = """list_head hlist_head hlist_node callback_head rb_node rb_root kmem_cache
kmem_cache_cpu kmem_cache_node kmem_cache_order_objects page slab folio mem_section
mem_section_usage zone pglist_data free_area kset kobject kernfs_node kernfs_elem_dir
kernfs_elem_symlink kernfs_elem_attr new_utsname uts_namespace cpumask printk_ringbuffer
prb_desc_ring prb_desc prb_data_ring prb_data_blk_lpos printk_info dev_printk_info
kfence_metadata kfence_track track slab_sheaf node_barn slub_percpu_sheaves
kmem_cache_per_node_ptrs""".split()
# Giants: only these members.
SOME = {
    "zone": "_watermark watermark_boost zone_pgdat zone_start_pfn managed_pages spanned_pages "
            "present_pages name free_area vm_stat vmemmap_tails".split(),
    "pglist_data": "node_zones nr_zones node_start_pfn node_present_pages node_spanned_pages node_id vm_stat".split(),
    "ns_common": ["inum"],
}
ENUMS = """pageflags pagetype _slab_flag_bits node_stat_item zone_stat_item node_states
kernfs_node_type desc_state kfence_object_state zone_type log_flags printk_info_flags""".split()
# An enumerator of each nameless enum.
NAMELESS = ["SECTION_MARKED_PRESENT_BIT"]
VARS = """slab_caches slab_kset __per_cpu_offset nr_cpu_ids nr_node_ids __cpu_possible_mask
__cpu_present_mask __cpu_online_mask mem_section __highest_present_section_nr vmemmap_base
page_offset_base vmalloc_base linux_banner init_uts_ns jiffies_64 tick_nsec _totalram_pages
vm_node_stat vm_zone_stat __kfence_pool kfence_metadata prb printk_rb_static saved_command_line
node_states node_data max_pfn high_memory""".split()

# What conntrack needs of the kernel proper.
NET_STRUCTS = """net net_generic netns_ct module mod_kallsyms elf64_sym module_layout
module_memory module_notes_attrs module_sect_attrs timer_list timekeeper tk_data ntp_data btf btf_module""".split()
NET_SOME = {
    "net": "list ns ct gen".split(),
    "module": "state list name taints build_id core_layout init_layout mem kallsyms core_kallsyms "
              "sect_attrs notes_attrs percpu percpu_size".split(),
    "bin_attribute": "attr size private".split(),
    "attribute_group": "name attrs bin_attrs".split(),
    "timekeeper": "tkr_mono tkr_raw xtime_sec ktime_sec wall_to_monotonic offs_real offs_boot".split(),
    "ntp_data": "tick_usec tick_length time_state time_status".split(),
    "btf": "data data_size base_btf start_id start_str_off name kernel_btf id hdr nr_types".split(),
    "btf_module": "list module btf flags".split(),
}
NET_ENUMS = ["module_state", "mod_mem_type"]
NET_VARS = """init_net net_namespace_list modules tk_core timekeeper_data tk_ntp_data
btf_modules""".split()
# Tasks, areas of vmalloc, and the free pages that CPUs keep.
MEMORY_STRUCTS = """zone per_cpu_pages per_cpu_pageset task_struct signal_struct vmap_area
vm_struct vmap_node llist_head llist_node""".split()
MEMORY_SOME = {
    "zone": SOME["zone"] + ["pageset", "per_cpu_pageset"],
    "task_struct": "stack on_cpu tasks mm pid comm thread_node signal thread".split(),
    "signal_struct": "nr_threads thread_head".split(),
    "thread_struct": ["sp"],
    "per_cpu_pageset": ["pcp"],
    "vmap_node": "busy lazy".split(),
}
MEMORY_ENUMS = ["migratetype"]
MEMORY_VARS = """init_task init_signals nr_threads vmap_area_list vmap_nodes nr_vmap_nodes
free_vmap_area_root vmap_purge_list purge_vmap_area_list""".split()

# What is in the module, or in the kernel where conntrack is built in.
CT_STRUCTS = """nf_conn nf_conntrack nf_conntrack_tuple_hash nf_conntrack_tuple nf_conntrack_man
hlist_nulls_head hlist_nulls_node nf_ct_ext nf_conn_nat nf_conn_acct nf_conn_counter
nf_conn_tstamp nf_conn_labels nf_conn_help nf_conn_timeout nf_ct_timeout
nf_conntrack_ecache nf_conn_seqadj nf_conn_synproxy nf_conn_act_ct_ext ip_ct_tcp ip_ct_sctp
nf_ct_gre nf_ct_dccp nf_conntrack_expect nf_conntrack_expect_policy nf_conntrack_helper
nf_conntrack_zone nf_conntrack_net ip_conntrack_stat ct_pcpu conntrack_gc_work
nf_conntrack_net_ecache""".split()
CT_ENUMS = """nf_ct_ext_id tcp_conntrack sctp_conntrack ip_conntrack_dir ip_conntrack_status
ct_dccp_states udp_conntrack gre_conntrack ip_conntrack_events""".split()
CT_VARS = """nf_conntrack_l4proto_gre nf_conntrack_l4proto_sctp nf_conntrack_l4proto_dccp
nf_conntrack_l4proto_udplite nf_conntrack_hash nf_conntrack_htable_size nf_conntrack_max nf_conntrack_net_id
nf_conntrack_generation nf_conntrack_cachep nf_ct_expect_hash nf_ct_expect_hsize
nf_ct_expect_max nf_ct_helper_hash nf_ct_helper_hsize conntrack_gc_work""".split()

done, queue, out = set(), [], []
arguments = sys.argv[1:]
part = arguments.pop(0) if arguments[0] in ("--net", "--memory", "--conntrack") else None
if part:
    for known in arguments.pop(0).split(","):
        for line in open(known):
            if found := re.match(r"(struct|union|enum|typedef|var) (\S+)", line):
                done.add(found.group(1) + " " + found.group(2))
    if part == "--memory":
        STRUCTS, SOME, ENUMS, NAMELESS, VARS = MEMORY_STRUCTS, MEMORY_SOME, MEMORY_ENUMS, [], MEMORY_VARS
        # With more members than in the table before.
        done.discard("struct zone")
    elif part == "--net":
        STRUCTS, SOME, ENUMS, NAMELESS, VARS = NET_STRUCTS, SOME | NET_SOME, NET_ENUMS, [], NET_VARS
    else:
        STRUCTS, SOME, ENUMS, NAMELESS, VARS = CT_STRUCTS, SOME | NET_SOME, CT_ENUMS, [], CT_VARS
prog = drgn.Program()
for number, path in enumerate(arguments):
    prog.extra_module(f"file{number}", create=True).try_file(path, force=True)


def spell(t):
    """The type's text; what it needs by value goes to the queue."""
    const = "const " if t.qualifiers & drgn.Qualifiers.CONST else ""
    k = t.kind
    if k == TypeKind.POINTER:
        inner = t.type
        while inner.kind == TypeKind.POINTER:
            inner = inner.type
        if inner.kind == TypeKind.FUNCTION:
            return "fn *"
        return spell_target(t.type) + " *"
    if k == TypeKind.ARRAY:
        dims = []
        while t.kind == TypeKind.ARRAY:
            dims.append(t.length or 0)
            t = t.type
        return spell(t) + " " + "".join(f"[{d}]" for d in dims)
    if k == TypeKind.TYPEDEF:
        queue.append(t)
        return const + t.name
    if k in (TypeKind.STRUCT, TypeKind.UNION, TypeKind.ENUM):
        word = {TypeKind.STRUCT: "struct", TypeKind.UNION: "union", TypeKind.ENUM: "enum"}[k]
        if t.tag:
            queue.append(t)
            return f"{const}{word} {t.tag}"
        raise ValueError("nameless type by value")
    if k == TypeKind.VOID:
        return const + "void"
    return const + t.name


def spell_target(t):
    """Behind a pointer: named without being followed, unless it is a typedef."""
    const = "const " if t.qualifiers & drgn.Qualifiers.CONST else ""
    if t.kind == TypeKind.POINTER:
        return spell_target(t.type) + " *"
    if t.kind in (TypeKind.STRUCT, TypeKind.UNION, TypeKind.ENUM):
        word = {TypeKind.STRUCT: "struct", TypeKind.UNION: "union", TypeKind.ENUM: "enum"}[t.kind]
        return f"{const}{word} {t.tag}" if t.tag else const + "void"
    return spell(t)


def members(t, base, indent, only=None):
    pad = "    " * indent
    for m in t.members:
        if only and m.name not in only:
            continue
        bit = base + m.bit_offset
        if m.type.kind in (TypeKind.STRUCT, TypeKind.UNION) and m.type.tag is None:
            word = "struct" if m.type.kind == TypeKind.STRUCT else "union"
            tail = f" {m.name}" if m.name else ""
            out.append(f"{pad}{bit // 8} {word} {m.type.size}{tail} {{")
            members(m.type, bit, indent + 1)
            out.append(pad + "}")
        elif m.bit_field_size:
            out.append(f"{pad}{bit // 8}.{bit % 8}:{m.bit_field_size} {spell(m.type)} {m.name}")
        elif m.name is None:
            out.append(f"{pad}{bit // 8} {spell(m.type)} @")
        else:
            out.append(f"{pad}{bit // 8} {spell(m.type)} {m.name}")


def define(t):
    if t.kind == TypeKind.TYPEDEF:
        key = "typedef " + t.name
        if key in done:
            return
        done.add(key)
        target = t.type
        if target.kind in (TypeKind.STRUCT, TypeKind.UNION) and target.tag is None:
            word = "struct" if target.kind == TypeKind.STRUCT else "union"
            out.append(f"typedef {t.name} {word} {target.size} {{")
            members(target, 0, 1)
            out.append("}")
        elif target.kind == TypeKind.ENUM and target.tag is None:
            out.append(f"typedef {t.name} unsigned int")
        else:
            out.append(f"typedef {t.name} {spell(target)}")
    elif t.kind == TypeKind.ENUM:
        key = "enum " + (t.tag or t.enumerators[0].name if t.enumerators else "?")
        if key in done or t.enumerators is None:
            return
        done.add(key)
        out.append(f"enum {t.tag or '@'} {drgn.sizeof(t)} {{")
        for e in t.enumerators:
            out.append(f"    {e.name} {e.value}")
        out.append("}")
    else:
        word = "struct" if t.kind == TypeKind.STRUCT else "union"
        key = f"{word} {t.tag}"
        if key in done or t.members is None:
            return
        done.add(key)
        out.append(f"{word} {t.tag} {t.size} {{")
        members(t, 0, 1, SOME.get(t.tag))
        out.append("}")


def drain():
    while queue:
        define(queue.pop(0))


for name in STRUCTS:
    try:
        queue.append(prog.type("struct " + name))
    except LookupError:
        pass
for name in ENUMS:
    try:
        queue.append(prog.type("enum " + name))
    except LookupError:
        pass
for name in NAMELESS:
    try:
        queue.append(prog.constant(name).type_)
    except LookupError:
        pass
drain()
for name in VARS:
    try:
        t = prog[name].type_
    except LookupError:
        continue
    if "var " + name in done:
        continue
    if t.kind == TypeKind.STRUCT and t.tag is None:
        out.append(f"var {name} struct {t.size} {{")
        members(t, 0, 1)
        out.append("}")
    else:
        out.append(f"var {name} {spell(t)}")
    drain()
source = arguments[1] if part == "--conntrack" else arguments[0]
names = os.path.basename(source) + " of " + source.split("/modules/")[-1].split("/")[0]
print(f"# Read by extract_layouts.py from Debian's {names}.")
print("\n".join(out))

#!/usr/bin/env python3
"""Compares what drgn reads from synthetic dumps with the truth beside them.

    cargo run -p vmleak-synth --example write -- DIR
    check_with_drgn.py DIR/6.1-l4 [DUMP [VMLINUX]]

Without a dump: the ELF dump and every kdump codec with either DWARF version.
Without a vmlinux: the one without decoys, which drgn may take for the real types.
"""
import json
import os
import sys

import drgn
from drgn.helpers.linux.printk import get_printk_records
from drgn.helpers.linux.slab import (
    for_each_slab_cache,
    get_slab_cache_aliases,
    slab_cache_for_each_allocated_object,
    slab_cache_objects_per_slab,
    slab_cache_order,
    slab_cache_usage,
    slab_total_usage,
)

import check_conntrack


def check(directory, dumps, vmlinux, quick=False):
    truth = json.load(open(os.path.join(directory, "truth.json")))
    prog = drgn.Program()
    paths = [os.path.join(directory, dump) for dump in dumps]
    prog.set_core_dump(paths[0])
    # drgn 0.3.0 does not read relocatable files with compressed sections.
    module = "nf_conntrack-" + vmlinux.split("-")[1] + "-plain.ko"
    files = [vmlinux, module]
    files = [os.path.join(directory, name) for name in files]
    prog.load_debug_info([path for path in files if os.path.exists(path)])
    wrong = []

    def same(what, found, expected):
        if found != expected:
            wrong.append(f"{what}: {found} instead of {expected}")

    same("release", prog["init_uts_ns"].name.release.string_().decode(), truth["release"])
    caches = list(for_each_slab_cache(prog))
    same("caches", [c.name.string_().decode() for c in caches], [t["name"] for t in truth["caches"]])
    same("addresses", [c.value_() for c in caches], [t["address"] for t in truth["caches"]])
    aliases = {a: t["name"] for t in truth["caches"] for a in t["aliases"]}
    same("aliases", get_slab_cache_aliases(prog), aliases)
    kfence = set(truth["kfence"])
    for cache, expected in zip(caches, truth["caches"]):
        name = expected["name"]
        same(name + " size", cache.size.value_(), expected["size"])
        same(name + " object_size", cache.object_size.value_(), expected["object_size"])
        same(name + " order", slab_cache_order(cache), expected["order"])
        same(name + " objects per slab", slab_cache_objects_per_slab(cache), expected["objects_per_slab"])
        usage = slab_cache_usage(cache)
        same(name + " slabs", usage.num_slabs, expected["slabs"])
        same(name + " objects", usage.num_objs, expected["objects"])
        if quick:
            continue
        found = {o.value_() for o in slab_cache_for_each_allocated_object(cache, "void *")}
        # drgn takes pages of the KFENCE pool for slabs of one object.
        found = {o for o in found if not in_pool(prog, o)} if kfence else found
        same(name + " allocated", sorted(found), expected["allocated"])
    if kfence:
        used = [m for m in prog["kfence_metadata"][0:255] if m.state.value_() != 0]
        same("kfence", [m.addr.value_() for m in used], truth["kfence"])
    total = slab_total_usage(prog)
    same("reclaimable", total.reclaimable_pages, truth["reclaimable_pages"])
    same("unreclaimable", total.unreclaimable_pages, truth["unreclaimable_pages"])
    records = [r.text.decode() for r in get_printk_records(prog)]
    for found, expected in zip(records, truth["messages"]):
        if "\0" in found:
            # drgn 0.3.0 does not skip the id word of a block that wraps.
            found, expected = found[8:], expected[: len(expected) - 8]
        same("message", found, expected)
    same("messages", len(records), len(truth["messages"]))
    if not quick and os.path.exists(os.path.join(directory, "conntrack.json")):
        check_conntrack.check(prog, directory, same)
    print("ok " if not wrong else "BAD", directory, *dumps, vmlinux)
    for line in wrong:
        print("   ", line[:400])
    return not wrong


def in_pool(prog, address):
    pool = prog["__kfence_pool"].value_()
    return pool <= address < pool + 512 * 4096


def main():
    directory, rest = sys.argv[1], sys.argv[2:]
    if rest:
        return check(directory, [rest[0]], rest[1] if rest[1:] else "vmlinux-dwarf5-plain")
    good = check(directory, ["elf"], "vmlinux-dwarf5-plain")
    good &= check(directory, ["elf"], "vmlinux-dwarf4-plain")
    good &= check(directory, ["elf"], "vmlinux-dwarf5-zlib", quick=True)
    good &= check(directory, ["elf"], "vmlinux-dwarf4-zlib", quick=True)
    good &= check(directory, ["elf"], "vmlinux-dwarf5-zstd", quick=True)
    if not os.path.exists(os.path.join(directory, "kdump-raw")):
        return good
    good &= check(directory, ["kdump-zlib"], "vmlinux-dwarf5-plain")
    for dump in ["kdump-raw", "kdump-lzo", "kdump-snappy", "kdump-zstd", "kdump-v3", "kdump-v5", "flattened",
                 "elf-text", "elf-trim", "elf-many", "elf-qemu"]:
        try:
            good &= check(directory, [dump], "vmlinux-dwarf5-plain", quick=True)
        except Exception as error:
            print("BAD", directory, dump, repr(error)[:200])
            good = False
    return good


if __name__ == "__main__":
    sys.exit(not main())

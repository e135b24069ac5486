#!/usr/bin/env python3
"""What drgn reads from a dump, as an oracle for vmleak.

    oracle.py DUMP VMLINUX [-s MODULE_DEBUG]... [-o FILE]

Per slab cache the node counters (slabs, objects), the allocated objects
counted one by one, and drgn's own usage figure; every conntrack hash entry of
direction 0. Where drgn cannot tell, the value is null and the reason goes to
standard error.
"""

import argparse
import ipaddress
import json
import sys

import drgn
from drgn.helpers.linux import slab as drgn_slab
from drgn.helpers.linux.list_nulls import hlist_nulls_for_each_entry
from drgn.helpers.linux.nodemask import for_each_online_node
from drgn.helpers.linux.slab import (
    for_each_slab_cache,
    slab_cache_for_each_allocated_object,
    slab_cache_usage,
)

AF_INET = 2


def complain(what, error):
    print(f"oracle: {what}: {error}", file=sys.stderr)


def or_none(what, function):
    try:
        return function()
    except (
        drgn.FaultError,
        AttributeError,  # the node counters, with SLUB_TINY
        LookupError,
        ValueError,
        NotImplementedError,
    ) as error:
        complain(what, error)
        return None


def add_array_cache(objects, cache):
    """In place of drgn 0.3.0's, which takes a classic SLAB's alien_cache, or the null
    pointer in place of one, for an array_cache."""
    if cache.type_.kind == drgn.TypeKind.POINTER:
        if not cache:
            return
        cache = cache[0]
    if cache.type_.tag == "alien_cache":
        cache = cache.ac
    for i in range(cache.avail.value_()):
        objects.add(cache.entry[i].value_())


drgn_slab._SlabCacheHelperSlab._slab_add_array_cache = staticmethod(add_array_cache)


def node_counters(prog, cache):
    slabs = objects = 0
    for nid in for_each_online_node(prog):
        node = cache.node[nid].read_()
        if node and optional(cache, "num") is not None:  # classic SLAB
            slabs += node.total_slabs.value_()
            objects += node.total_slabs.value_() * cache.num.value_()
        elif node:
            slabs += node.nr_slabs.counter.value_()
            objects += node.total_objects.counter.value_()
    return slabs, objects


def usage_allocated(cache):
    usage = slab_cache_usage(cache)
    return usage.num_objs - usage.free_objs


def describe_cache(prog, cache):
    name = cache.name.string_().decode()
    slabs, objects = or_none(name, lambda: node_counters(prog, cache)) or (None, None)
    return {
        "name": name,
        "address": hex(cache.value_()),
        "size": cache.size.value_(),
        "object_size": cache.object_size.value_(),
        "slabs": slabs,
        "objects": objects,
        "allocated": or_none(
            name,
            lambda: sum(1 for _ in slab_cache_for_each_allocated_object(cache, "void")),
        ),
        "usage_allocated": or_none(name, lambda: usage_allocated(cache)),
    }


def address_text(union, l3):
    if l3 == AF_INET:
        return str(ipaddress.IPv4Address(union.ip.to_bytes_()))
    return str(ipaddress.IPv6Address(union.ip6.to_bytes_()))


def describe_tuple(tuple_):
    l3 = tuple_.src.l3num.value_()
    return {
        "l3": l3,
        "l4": tuple_.dst.protonum.value_(),
        "src": address_text(tuple_.src.u3, l3),
        "dst": address_text(tuple_.dst.u3, l3),
        "sport": int.from_bytes(tuple_.src.u.all.to_bytes_(), "big"),
        "dport": int.from_bytes(tuple_.dst.u.all.to_bytes_(), "big"),
    }


def optional(obj, member):
    try:
        return obj.member_(member)
    except LookupError:
        return None


def describe_entry(ct):
    mark, zone = optional(ct, "mark"), optional(ct, "zone")
    return {
        "address": hex(ct.value_()),
        "net": hex(ct.ct_net.net.value_()),
        "status": ct.status.value_(),
        "timeout": ct.timeout.value_(),
        "mark": None if mark is None else mark.value_(),
        "zone": None if zone is None else zone.id.value_(),
        "orig": describe_tuple(ct.tuplehash[0].tuple),
        "reply": describe_tuple(ct.tuplehash[1].tuple),
    }


def conntrack(prog):
    buckets = prog["nf_conntrack_htable_size"].value_()
    table = prog["nf_conntrack_hash"].read_()
    entries = []
    for i in range(buckets):
        head = table[i].address_of_()
        for h in hlist_nulls_for_each_entry(
            "struct nf_conntrack_tuple_hash", head, "hnnode"
        ):
            if h.tuple.dst.dir == 0:
                ct = drgn.container_of(h, "struct nf_conn", "tuplehash[0]")
                entries.append(describe_entry(ct))
    return {"buckets": buckets, "entries": entries}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dump")
    parser.add_argument("vmlinux")
    parser.add_argument("-s", dest="modules", action="append", default=[])
    parser.add_argument("-o", dest="output")
    arguments = parser.parse_args()

    prog = drgn.Program()
    prog.set_core_dump(arguments.dump)
    prog.load_debug_info([arguments.vmlinux, *arguments.modules])

    oracle = {"caches": [describe_cache(prog, c) for c in for_each_slab_cache(prog)]}
    try:
        oracle["conntrack"] = conntrack(prog)
    except (drgn.FaultError, LookupError) as error:
        complain("conntrack", error)
    text = json.dumps(oracle, indent=0) + "\n"
    if arguments.output:
        with open(arguments.output, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()

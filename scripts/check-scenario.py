#!/usr/bin/env python3
"""Whether a dump holds what its guest said it lost or kept.

    check-scenario.py FOLDER VMLINUX [-s MODULE_DEBUG]...

Reads FOLDER/cap/scenario and cap/scenario.objects and asks drgn of every address
there: the object must be allocated, begin there, and belong to the named cache.
Prints a line for each kind; exits with 1 where something differs.
"""

import argparse
import collections
import json
import pathlib
import sys

import drgn
from drgn.helpers.linux.slab import slab_object_info


def dump_of(folder):
    return next(p for p in sorted(folder.iterdir()) if p.name.startswith("vmcore"))


def program(folder, vmlinux, modules):
    prog = drgn.Program()
    prog.set_core_dump(str(dump_of(folder)))
    prog.load_debug_info([vmlinux, *modules])
    return prog


def addresses(folder):
    kinds = collections.defaultdict(list)
    file = folder / "cap" / "scenario.objects"
    for line in file.read_text().splitlines() if file.exists() else []:
        kind, address = line.split()
        kinds[kind].append(int(address, 16))
    return kinds


def state(prog, address, cache):
    """None where all is as told."""
    if cache == "vmalloc":
        prog.read(address, 12288)
        return None
    info = slab_object_info(prog, address)
    if info is None:
        return "not a slab object"
    name = info.slab_cache.name.string_().decode()
    if name != cache:
        return f"of {name}"
    if info.address != address:
        return "not at an object's beginning"
    return None if info.allocated else "free"


def check(prog, entry, found):
    wrong = collections.Counter()
    for address in found:
        try:
            told = state(prog, address, entry["cache"])
        except Exception as error:  # drgn has many kinds
            told = type(error).__name__
        if told:
            wrong[told] += 1
    if len(set(found)) != entry["objects"]:
        wrong[f"only {len(set(found))} addresses"] += 1
    print(f"{entry['kind']}: {entry['objects']} of {entry['cache']}: {dict(wrong) or 'as told'}")
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("vmlinux")
    parser.add_argument("-s", "--symbols", action="append", default=[])
    options = parser.parse_args()
    scenario = json.loads((options.folder / "cap" / "scenario").read_text())
    found = addresses(options.folder)
    prog = program(options.folder, options.vmlinux, options.symbols)
    entries = [e for e in scenario["lost"] + scenario["reachable"] if e["kind"] in found]
    results = [check(prog, entry, found[entry["kind"]]) for entry in entries]
    if not entries:
        print(f"{scenario['scenario']}: no addresses to look at")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

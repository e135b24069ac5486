#!/usr/bin/env python3
"""Rewrites a kdump-compressed dump as an ELF core, reading it with drgn.

makedumpfile refuses to do this. Pages that the dump left out become memory that a
segment names, but does not hold (p_memsz > p_filesz), as makedumpfile -E writes them.
"""

import struct
import sys

import drgn

PAGE = 4096
PT_LOAD, PT_NOTE = 1, 4
EHDR = "<16sHHIQQQIHHHHHH"
PHDR = "<IIQQQQQQ"



def note(name, kind, desc):
    name += b"\0"
    out = struct.pack("<III", len(name), len(desc), kind)
    for part in (name, desc):
        out += part + b"\0" * (-len(part) % 4)
    return out


def kdump_header(path):
    """max_mapnr, the two bitmaps and the VMCOREINFO text of a kdump-compressed file."""
    with open(path, "rb") as file:
        head = file.read(464)
        block, sub, bitmap_blocks = struct.unpack_from("<iiI", head, 428)
        file.seek(block)
        sub_header = file.read(104)
        info_at, info_len = struct.unpack_from("<QQ", sub_header, 32)
        (pages,) = struct.unpack_from("<Q", sub_header, 96)
        file.seek((1 + sub) * block)
        bitmaps = file.read(bitmap_blocks * block)
        file.seek(info_at)
        info = file.read(info_len)
    half = len(bitmaps) // 2
    return pages, bitmaps[:half], bitmaps[half:], info


def runs(pages, ram, dumped):
    """(first pfn, pages held, pages named): each run of held pages with the gap behind it."""
    bit = lambda bitmap, pfn: bitmap[pfn >> 3] >> (pfn & 7) & 1
    out = []
    state = 0
    for pfn in range(pages):
        now = 2 if bit(dumped, pfn) else bit(ram, pfn)
        if now == 2 and state != 2:
            out.append([pfn, 0, 0])
        elif now == 1 and state == 0:
            out.append([pfn, 0, 0])
        if now:
            out[-1][1] += now == 2
            out[-1][2] += 1
        state = now
    return out


# Of struct disk_dump_header: behind signature and version, struct new_utsname.
MACHINE = 12 + 4 * 65
# By the name that the kernel gives itself: e_machine, and how long struct elf_prstatus is.
MACHINES = {b"x86_64": (62, 336), b"aarch64": (183, 392)}


def machine(source):
    with open(source, "rb") as dump:
        name = dump.read(MACHINE + 65)[MACHINE:].split(b"\0")[0]
    if name not in MACHINES:
        sys.exit(f"{source}: of a machine that this does not know: {name.decode(errors='replace')!r}")
    return MACHINES[name]


def main(source, target):
    e_machine, status_bytes = machine(source)
    pages, ram, dumped, info = kdump_header(source)
    prog = drgn.Program()
    prog.set_core_dump(source)
    segments = runs(pages, ram, dumped)
    notes = note(b"CORE", 1, bytes(status_bytes)) + note(b"VMCOREINFO", 0, info)
    count = len(segments) + 1
    notes_at = 64 + 56 * count
    data_at = -(-(notes_at + len(notes)) // PAGE) * PAGE
    with open(target, "wb") as out:
        ident = b"\x7fELF\x02\x01\x01" + bytes(9)
        out.write(struct.pack(EHDR, ident, 4, e_machine, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0))
        out.write(struct.pack(PHDR, PT_NOTE, 0, notes_at, 0, 0, len(notes), len(notes), 4))
        at = data_at
        for pfn, held, named in segments:
            out.write(struct.pack(PHDR, PT_LOAD, 7, at, 0, pfn * PAGE, held * PAGE, named * PAGE, PAGE))
            at += held * PAGE
        out.write(notes)
        out.seek(data_at)
        for pfn, held, _ in segments:
            for page in range(pfn, pfn + held):
                out.write(prog.read(page * PAGE, PAGE, physical=True))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} KDUMP ELF")
    main(*sys.argv[1:])

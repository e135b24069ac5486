#!/usr/bin/env python3
"""Makes the dump of a machine with much more memory out of a small kdump-compressed one.

    grow-dump.py DUMP VMLINUX OUTPUT --ram 256G --slab 16G [--cache kmalloc-256] [--held 100000]

RAM is added behind what there is, with its part of the memory map, mapped and in
mem_section. Of it --slab is full slabs of the cache, all with the objects of one that
the small dump has: none is pointed to, but for the first --held, which pages of the
kernel's hold. The rest is pages of user space and free ones, which a dump leaves out.
Counters of the cache, the node and the zone are raised. Pages with one content share
their place in the file, so it needs 24 bytes for each page, as any kdump, and no more.

drgn (0.3.0) says where everything is; x86_64 with 4 or 5 levels, slabs of one page.
"""

import argparse
import ctypes
import ctypes.util
import struct
import sys
import zlib

import drgn
from drgn.helpers.linux.mm import follow_phys, for_each_page
from drgn.helpers.linux.slab import find_slab_cache, slab_cache_for_each_allocated_object

PAGE = 4096
SECTION = 1 << 27
FRAMES = SECTION // PAGE
MAX_ORDER = 10
DESCRIPTOR = struct.Struct("<QIIQ")
ZLIB, ZSTD = 0x1, 0x20


def physical(prog, virt):
    return follow_phys(prog["init_mm"].address_of_(), virt).value_()


def size(text):
    return int(float(text[:-1]) * (1 << {"M": 20, "G": 30, "T": 40}[text[-1]]))


class Kdump:
    """A kdump-compressed file, taken apart."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = file.read()
        if self.bytes[:8] != b"KDUMP   ":
            raise SystemExit(f"{path}: not a kdump-compressed dump")
        # struct disk_dump_header behind the signature, the version and utsname
        at = 8 + 4 + 6 * 65
        at += -at % 8 + 16
        self.status_at = at
        self.status, block, sub, bitmaps, self.max_pfn = struct.unpack_from("<5I", self.bytes, at)
        self.bitmap_at = (1 + sub) * block
        half = bitmaps * block // 2
        self.bitmaps = [
            self.bytes[self.bitmap_at + part * half :][:half] for part in range(2)
        ]
        self.table_at = self.bitmap_at + bitmaps * block
        self.count = sum(byte.bit_count() for byte in self.bitmaps[1])
        self.data_at = self.table_at + self.count * DESCRIPTOR.size

    def rank(self, pfn):
        """How many pages of the dump come before this one."""
        before = self.bitmaps[1][: pfn // 8]
        rest = self.bitmaps[1][pfn // 8] & ((1 << pfn % 8) - 1)
        return sum(byte.bit_count() for byte in before) + rest.bit_count()

    def pack(self, page):
        if self.status & ZSTD:
            room = 2 * PAGE
            zstd = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
            zstd.ZSTD_compress.restype = ctypes.c_size_t
            out = ctypes.create_string_buffer(room)
            got = zstd.ZSTD_compress(out, ctypes.c_size_t(room), page, ctypes.c_size_t(PAGE), 1)
            return out.raw[:got], ZSTD
        if self.status & ZLIB:
            return zlib.compress(page, 1), ZLIB
        return page, 0


class Memory:
    """The small machine, and what is changed in it."""

    def __init__(self, prog):
        self.prog = prog
        self.changed = {}

    def page(self, phys):
        number = phys // PAGE
        if number not in self.changed:
            self.changed[number] = bytearray(self.prog.read(number * PAGE, PAGE, True))
        return self.changed[number]

    def write(self, phys, data):
        self.page(phys)[phys % PAGE : phys % PAGE + len(data)] = data

    def add(self, variable, count):
        """Raises an integer of the kernel."""
        length = drgn.sizeof(variable)
        value = (variable.value_() + count) % (1 << 8 * length)
        self.write(physical(self.prog, variable.address_), value.to_bytes(length, "little"))

    def word(self, phys):
        return int.from_bytes(self.page(phys)[phys % PAGE : phys % PAGE + 8], "little")


class Samples:
    """Pages of the small machine that new ones are made like."""

    def __init__(self, prog, cache):
        self.page_size = drgn.sizeof(prog.type("struct page"))
        self.slab, self.content = self.full_slab(prog, cache)
        self.user = self.free = self.block = self.reserved = None
        flags = {name: 1 << prog.constant(name) for name in ("PG_lru", "PG_reserved")}
        for page in for_each_page(prog):
            try:
                word = page.flags.value_()
                raw = prog.read(page.value_(), self.page_size)
            except drgn.FaultError:
                continue
            mapcount, count = struct.unpack_from("<ii", raw, 48)
            if word & flags["PG_lru"] and int.from_bytes(raw[24:32], "little") & 3 == 1:
                self.user = self.user or raw
            elif word & flags["PG_reserved"]:
                self.reserved = self.reserved or raw
            elif count == 0 and mapcount == -1 and raw[8:16] == bytes(8):
                self.free = self.free or raw
            elif count == 0 and int.from_bytes(raw[40:48], "little") == MAX_ORDER:
                self.block = self.block or raw
            if self.user and self.reserved and self.free and self.block:
                break
        for name in ("user", "reserved", "free", "block"):
            if getattr(self, name) is None:
                raise SystemExit(f"the small dump has no {name} page to go by")
        # Somebody has it, and nothing says who.
        self.kernel = self.free[:52] + struct.pack("<i", 1) + self.free[56:]

    @staticmethod
    def full_slab(prog, cache):
        for address in slab_cache_for_each_allocated_object(cache, "void"):
            phys = physical(prog, address.value_()) & -PAGE
            page = prog["vmemmap_base"].value_() + phys // PAGE * drgn.sizeof(prog.type("struct page"))
            slab = drgn.Object(prog, "struct slab", address=page)
            content = prog.read(phys, PAGE, True)
            text = content[:4].isascii() and content[:4].isalpha()
            if slab.inuse == slab.objects and not slab.frozen and text:
                return prog.read(page, drgn.sizeof(prog.type("struct page"))), content
        raise SystemExit("no full slab whose first object begins with text")


class Layout:
    """What of a new section is what: numbers of frames, in order."""

    def __init__(self, start, sections, page_size):
        self.start = start
        self.sections = sections
        self.map_frames = FRAMES * page_size // PAGE

    def section(self, index):
        return self.start + index * FRAMES


def walk(memory, prog, virt, level_wanted, new_table):
    """Physical address of the entry for `virt`; tables that are missing are made."""
    levels = 5 if prog["__pgtable_l5_enabled"] else 4
    table = physical(prog, prog.symbol("init_top_pgt").address)
    for level in range(levels - 1, level_wanted, -1):
        slot = table + (virt >> (12 + 9 * level) & 511) * 8
        if not memory.word(slot) & 1:
            memory.write(slot, struct.pack("<Q", new_table() | 0x67))
        table = memory.word(slot) & 0x000F_FFFF_FFFF_F000
    return table + (virt >> (12 + 9 * level_wanted) & 511) * 8


def grow(prog, dump, options):
    memory = Memory(prog)
    cache = find_slab_cache(prog, options.cache)
    samples = Samples(prog, cache)
    page_size = samples.page_size
    start = -(-max(dump.max_pfn, (4 << 30) // PAGE) // FRAMES) * FRAMES
    layout = Layout(start, options.ram // SECTION, page_size)
    # The kernel's own new pages follow on the first section's memory map.
    kernel = {}

    def take(content=None):
        pfn = layout.section(0) + layout.map_frames + len(kernel)
        kernel[pfn] = content
        return pfn * PAGE

    def new_table():
        phys = take()
        memory.changed[phys // PAGE] = bytearray(PAGE)
        return phys

    vmemmap = prog["vmemmap_base"].value_()
    example = memory.word(walk(memory, prog, vmemmap, 1, new_table))
    if not example & 0x80:
        raise SystemExit("the memory map is not mapped by pages of 2 MiB")
    for index in range(layout.sections):
        pfn = layout.section(index)
        for part in range(FRAMES * page_size >> 21):
            slot = walk(memory, prog, vmemmap + pfn * page_size + (part << 21), 1, new_table)
            entry = (pfn * PAGE + (part << 21)) | example & ~0x000F_FFFF_FFE0_0000
            memory.write(slot, struct.pack("<Q", entry))
    sections(memory, prog, layout, new_table)

    slabs = options.slab // PAGE
    object_size = cache.size.value_()
    per_slab = PAGE // object_size
    runs = place(layout, kernel, slabs, take, options.held, per_slab, prog, object_size)
    counters(memory, prog, cache, layout, slabs, per_slab)
    return memory, samples, layout, kernel, runs


def sections(memory, prog, layout, new_table):
    entry_size = drgn.sizeof(prog.type("struct mem_section"))
    per_root = PAGE // entry_size
    roots = prog["mem_section"]
    example = prog.read(roots[0].value_(), entry_size)
    offset = prog["page_offset_base"].value_()
    for index in range(layout.sections):
        number = layout.section(index) // FRAMES
        slot = physical(prog, (roots + number // per_root).value_())
        if not memory.word(slot):
            memory.write(slot, struct.pack("<Q", offset + new_table()))
        root = memory.word(slot) - offset
        memory.write(root + number % per_root * entry_size, example)
    highest = prog["__highest_present_section_nr"]
    memory.add(highest, layout.section(layout.sections - 1) // FRAMES - highest.value_())


def place(layout, kernel, slabs, take, held, per_slab, prog, object_size):
    """Slabs of each section as (first frame, frames), the same share in each, and the pages
    that hold the first objects."""
    # Whole pages of the memory map.
    share = -(-slabs // layout.sections // 64) * 64
    pointers = -(-held // 512)
    first = layout.map_frames + -(-(len(kernel) + pointers) // 64) * 64
    if first + share > FRAMES:
        raise SystemExit("--slab leaves no room in the added memory")
    runs, left = [], slabs
    for index in range(layout.sections):
        at = layout.section(index) + (first if index == 0 else layout.map_frames)
        runs.append((at, min(share, left)))
        left -= runs[-1][1]
    offset = prog["page_offset_base"].value_()
    addresses = (
        offset + pfn * PAGE + number * object_size
        for at, count in runs
        for pfn in range(at, at + count)
        for number in range(per_slab)
    )
    for _ in range(pointers):
        words = [address for address, _ in zip(addresses, range(512))]
        take(struct.pack(f"<{len(words)}Q", *words).ljust(PAGE, b"\0"))
    return runs


def counters(memory, prog, cache, layout, slabs, per_slab):
    node = cache.per_node[0].node if hasattr(cache, "per_node") else cache.node[0]
    memory.add(node.nr_slabs.counter, slabs)
    memory.add(node.total_objects.counter, slabs * per_slab)
    pgdat = prog["node_data"][0]
    unreclaimable = prog.constant("NR_SLAB_UNRECLAIMABLE_B")
    memory.add(prog["vm_node_stat"][unreclaimable].counter, slabs)
    memory.add(pgdat.vm_stat[unreclaimable].counter, slabs)
    memory.add(prog["_totalram_pages"].counter, layout.sections * FRAMES)
    end = layout.section(layout.sections)
    memory.add(prog["max_pfn"], end - prog["max_pfn"].value_())
    pages = layout.sections * FRAMES
    pgdat_end = pgdat.node_start_pfn.value_() + pgdat.node_spanned_pages.value_()
    memory.add(pgdat.node_spanned_pages, end - pgdat_end)
    memory.add(pgdat.node_present_pages, pages)


class Output:
    """The new file: pages with their contents, in order of frames."""

    def __init__(self, dump):
        self.dump = dump
        self.blobs = []
        self.length = len(dump.bytes) - dump.data_at
        self.known = {}

    def blob(self, page):
        """A descriptor whose offset counts from where the data begins."""
        page = bytes(page)
        if page not in self.known:
            data, flags = self.dump.pack(page)
            self.known[page] = (self.length, len(data), flags)
            self.blobs.append(data)
            self.length += len(data)
        return self.known[page]

    def write(self, path, memory, samples, layout, kernel, runs):
        end = layout.section(layout.sections)
        half = -(-end // (8 * PAGE)) * PAGE
        bitmaps = [bytearray(part[:half].ljust(half, b"\0")) for part in self.dump.bitmaps]
        bitmaps[0][layout.start // 8 : end // 8] = b"\xff" * ((end - layout.start) // 8)
        added = []
        for index in range(layout.sections):
            base = layout.section(index)
            added += self.section(base, memory, samples, layout, kernel, runs[index], index == 0)
        count = self.dump.count
        for pfn, contents in added:
            for number in range(pfn, pfn + len(contents)):
                if number % 8 == 0 and number + 8 <= pfn + len(contents):
                    bitmaps[1][number // 8] = 0xFF
                elif bitmaps[1][number // 8] != 0xFF:
                    bitmaps[1][number // 8] |= 1 << number % 8
            count += len(contents)
        table_at = self.dump.bitmap_at + 2 * half
        data_at = table_at + count * DESCRIPTOR.size
        shift = data_at - self.dump.data_at
        with open(path, "wb") as file:
            file.write(self.head(end, 2 * half))
            file.write(b"".join(bitmaps))
            self.old_descriptors(file, memory, data_at, shift)
            pack = lambda one: DESCRIPTOR.pack(one[0] + data_at, one[1], one[2], 0)
            for _, contents in added:
                for one, times in contents.runs:
                    file.write(pack(one) * times)
            file.write(self.dump.bytes[self.dump.data_at :])
            file.write(b"".join(self.blobs))

    def head(self, end, bitmap_bytes):
        head = bytearray(self.dump.bytes[: self.dump.bitmap_at])
        at = self.dump.status_at
        struct.pack_into("<II", head, at + 12, bitmap_bytes // PAGE, min(end, 0xFFFFFFFF))
        struct.pack_into("<Q", head, PAGE + 96, end)
        return head

    def old_descriptors(self, file, memory, data_at, shift):
        dump = self.dump
        changed = {
            dump.rank(pfn): page for pfn, page in memory.changed.items() if pfn < dump.max_pfn
        }
        for index in range(dump.count):
            at = dump.table_at + index * DESCRIPTOR.size
            offset, length, flags, page_flags = DESCRIPTOR.unpack_from(dump.bytes, at)
            if index in changed:
                offset, length, flags = self.blob(changed[index])
                offset += data_at
            else:
                offset += shift
            file.write(DESCRIPTOR.pack(offset, length, flags, page_flags))

    def section(self, base, memory, samples, layout, kernel, run, first):
        """The section's memory map, the kernel's new pages, the slabs."""
        kinds = Runs()
        kinds.add(samples.reserved, layout.map_frames)
        if first:
            kinds.add(samples.kernel, len(kernel))
        kinds.add(samples.user, run[0] - base - kinds.count)
        kinds.add(samples.slab, run[1])
        free = (FRAMES - kinds.count) // 2 >> MAX_ORDER
        kinds.add(samples.user, FRAMES - kinds.count - (free << MAX_ORDER))
        for _ in range(free):
            kinds.add(samples.block, 1)
            kinds.add(samples.free, (1 << MAX_ORDER) - 1)
        content = Runs()
        per_page = PAGE // samples.page_size
        for structures, times in kinds.pages(per_page):
            content.add(self.blob(b"".join(structures)), times)
        yield base, content
        if first:
            own = Runs()
            for pfn, page in kernel.items():
                own.add(self.blob(memory.changed[pfn] if page is None else page), 1)
            yield base + layout.map_frames, own
        slabs = Runs()
        slabs.add(self.blob(samples.content), run[1])
        yield run[0], slabs


class Runs:
    """A sequence of things, many of them alike."""

    def __init__(self):
        self.runs = []
        self.count = 0

    def __len__(self):
        return self.count

    def add(self, thing, times):
        if times:
            self.runs.append((thing, times))
            self.count += times

    def pages(self, each):
        """Groups of `each` things, with how often each group comes in a row."""
        group = []
        for thing, times in self.runs:
            fill = min(times, (each - len(group)) % each)
            group += [thing] * fill
            if len(group) == each:
                yield group, 1
                group = []
            whole, rest = divmod(times - fill, each)
            if whole:
                yield [thing] * each, whole
            group += [thing] * rest
        if group:
            raise SystemExit("a section is no whole number of pages")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dump")
    parser.add_argument("vmlinux")
    parser.add_argument("output")
    parser.add_argument("--ram", type=size, required=True)
    parser.add_argument("--slab", type=size, required=True)
    parser.add_argument("--cache", default="kmalloc-256")
    parser.add_argument("--held", type=int, default=100_000)
    options = parser.parse_args()
    prog = drgn.Program()
    prog.set_core_dump(options.dump)
    prog.load_debug_info([options.vmlinux])
    dump = Kdump(options.dump)
    memory, samples, layout, kernel, runs = grow(prog, dump, options)
    Output(dump).write(options.output, memory, samples, layout, kernel, runs)


if __name__ == "__main__":
    sys.exit(main())

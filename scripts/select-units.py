#!/usr/bin/env python3
"""Makes a small debug vmlinux out of a whole one.

    select-units.py VMLINUX OUTPUT SOURCE-FILE...

Kept as the compiler and the linker made them: the symbol table (without the
names that only serve the build), the notes, and the DWARF compilation units of
the source files named. Units refer to nothing outside themselves, so the others
can be left out; of .debug_str the strings that no kept unit uses become zeros.
Left out too: the contents of all that is loaded, line tables, location lists
and the other sections that say where code is. .BTF is added, as pahole makes it
of the units kept.
"""

import os
import struct
import subprocess
import sys
import tempfile

DEBUG = {".debug_info", ".debug_abbrev", ".debug_str", ".debug_line_str"}
DROPPED_SYMBOLS = [
    "__ksymtab_*", "__kstrtab*", "__UNIQUE_ID_*", "__initcall__*", "__setup_*",
    ".L*", "__func__.*", "__compound_literal.*", "__already_done.*", "__key.*",
]  # fmt: skip

SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_NOTE, SHT_NOBITS = 1, 2, 3, 7, 8
SHF_COMPRESSED = 0x800
ELFCOMPRESS_ZSTD = 2
PT_NOTE = 4
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM = struct.Struct("<IIQQQQQQ")
SECTION = struct.Struct("<IIQQQQIIQQ")

DW_AT_NAME = 0x03
DW_FORM_STRING, DW_FORM_SDATA, DW_FORM_STRP, DW_FORM_UDATA = 0x08, 0x0D, 0x0E, 0x0F
DW_FORM_EXPRLOC, DW_FORM_LINE_STRP, DW_FORM_IMPLICIT_CONST = 0x18, 0x1F, 0x21
BLOCK_LENGTHS = {0x0A: "<B", 0x03: "<H", 0x04: "<I"}
FIXED = {
    0x01: 8, 0x05: 2, 0x06: 4, 0x07: 8, 0x0B: 1, 0x0C: 1, 0x0E: 4, 0x10: 4, 0x11: 1, 0x12: 2,
    0x13: 4, 0x14: 8, 0x17: 4, 0x19: 0, 0x1E: 16, 0x1F: 4, 0x20: 8, 0x21: 0,
}  # fmt: skip


def run(*command, **options):
    return subprocess.run(command, check=True, **options)


class Section:
    def __init__(self, header, content):
        self.header = header
        self.content = content
        self.name = ""

    @property
    def type(self):
        return self.header[1]


class Elf:
    """Sections in their order and numbers, which symbols refer to"""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        self.header = list(HEADER.unpack_from(data))
        at, count = self.header[5], self.header[10]
        self.segments = [list(PROGRAM.unpack_from(data, at + 56 * i)) for i in range(count)]
        at, count = self.header[6], self.header[12]
        self.sections = [self.section(data, at + 64 * i) for i in range(count)]
        for section in self.sections:
            section.name = text(self.names.content, section.header[0]).decode()

    @staticmethod
    def section(data, at):
        header = list(SECTION.unpack_from(data, at))
        offset, size = header[4], header[5]
        return Section(header, b"" if header[1] == SHT_NOBITS else data[offset : offset + size])

    @property
    def names(self):
        return self.sections[self.header[13]]

    def add(self, name, content):
        header = [len(self.names.content), SHT_PROGBITS, 0, 0, 0, 0, 0, 0, 1, 0]
        self.names.content += name.encode() + b"\0"
        self.sections.append(Section(header, content))
        self.header[12] += 1

    def __getitem__(self, name):
        return next(section for section in self.sections if section.name == name)

    def empty(self, keep):
        """Contents only of what `keep` says; the other sections stay as headers"""
        for section in self.sections[1:]:
            if not keep(section):
                section.header[1], section.content = SHT_NOBITS, b""
                if section.name.startswith((".debug", ".rela")):
                    section.header[5] = 0

    def write(self, path):
        out = bytearray(64 + 56 * len(self.segments))
        for section in self.sections[1:]:
            out += bytes(-len(out) % max(1, min(section.header[8], 16)))
            section.header[4] = len(out)
            if section.type != SHT_NOBITS:
                section.header[5] = len(section.content)
                out += section.content
        out += bytes(-len(out) % 8)
        self.header[5], self.header[6] = 64, len(out)
        for section in self.sections:
            out += SECTION.pack(*section.header)
        HEADER.pack_into(out, 0, *self.header)
        for i, segment in enumerate(self.segments):
            PROGRAM.pack_into(out, 64 + 56 * i, *self.placed(segment))
        with open(path, "wb") as file:
            file.write(out)


    def placed(self, segment):
        """A segment still says where it is loaded, but has no contents here"""
        kind, flags, _offset, virtual, physical, _size, memory, align = segment
        for section in self.sections:
            if section.type == SHT_NOTE and kind == PT_NOTE and section.header[3] == virtual:
                return kind, flags, section.header[4], virtual, physical, memory, memory, align
        return kind, flags, virtual % max(1, align), virtual, physical, 0, memory, align


def uleb(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def text(data, at):
    return data[at : data.index(b"\0", at)]


def abbreviations(table, at):
    """code -> [(attribute, form)...] of the table at `at`"""
    found = {}
    while True:
        code, at = uleb(table, at)
        if code == 0:
            return found
        _tag, at = uleb(table, at)
        at += 1
        found[code] = []
        while True:
            attribute, at = uleb(table, at)
            form, at = uleb(table, at)
            if form == DW_FORM_IMPLICIT_CONST:
                _value, at = uleb(table, at)
            if form == 0:
                break
            found[code].append((attribute, form))


def skip(info, form, at):
    if form in FIXED:
        return at + FIXED[form]
    if form in (DW_FORM_UDATA, DW_FORM_SDATA):
        return uleb(info, at)[1]
    if form == DW_FORM_STRING:
        return info.index(b"\0", at) + 1
    if form == DW_FORM_EXPRLOC:
        size, at = uleb(info, at)
        return at + size
    if form in BLOCK_LENGTHS:
        (size,) = struct.unpack_from(BLOCK_LENGTHS[form], info, at)
        return at + struct.calcsize(BLOCK_LENGTHS[form]) + size
    raise ValueError(f"a form not known here: {form:#x}")


def units(info):
    """(start, end, offset of the abbreviations) of every unit"""
    at = 0
    while at < len(info):
        length, version, kind, width, abbrev = struct.unpack_from("<IHBBI", info, at)
        if (version, kind, width) != (5, 1, 8):
            raise ValueError("only DWARF 5 compilation units of 64-bit code")
        yield at, at + 4 + length, abbrev
        at += 4 + length


class Selection:
    def __init__(self, elf, wanted):
        self.info = elf[".debug_info"].content
        self.table = elf[".debug_abbrev"].content
        self.strings = elf[".debug_str"].content
        self.line_strings = elf[".debug_line_str"].content
        self.used = set()
        self.used_lines = set()
        self.out_info, self.out_table = bytearray(), bytearray()
        self.take(wanted)

    def take(self, wanted):
        every = list(units(self.info))
        starts = sorted({unit[2] for unit in every}) + [len(self.table)]
        ends = dict(zip(starts, starts[1:]))
        moved, missing = {}, set(wanted)
        for start, end, abbrev in every:
            codes = abbreviations(self.table, abbrev)
            name = self.name(start + 12, codes)
            match = next((w for w in wanted if name == w or name.endswith("/" + w)), None)
            if not match:
                continue
            missing.discard(match)
            self.note_strings(start + 12, end, codes)
            if abbrev not in moved:
                moved[abbrev] = len(self.out_table)
                self.out_table += self.table[abbrev : ends[abbrev]]
            unit = bytearray(self.info[start:end])
            struct.pack_into("<I", unit, 8, moved[abbrev])
            self.out_info += unit
        if missing:
            print(f"no debug information of {' '.join(sorted(missing))}", file=sys.stderr)

    def name(self, at, codes):
        code, at = uleb(self.info, at)
        for attribute, form in codes[code]:
            if attribute == DW_AT_NAME:
                (offset,) = struct.unpack_from("<I", self.info, at)
                strings = self.line_strings if form == DW_FORM_LINE_STRP else self.strings
                return text(strings, offset).decode()
            at = skip(self.info, form, at)
        return ""

    def note_strings(self, at, end, codes):
        info = self.info
        while at < end:
            code, at = uleb(info, at)
            for _attribute, form in codes[code] if code else ():
                if form == DW_FORM_STRP:
                    self.used.add(struct.unpack_from("<I", info, at)[0])
                elif form == DW_FORM_LINE_STRP:
                    self.used_lines.add(struct.unpack_from("<I", info, at)[0])
                at = skip(info, form, at)


def only(strings, used):
    out = bytearray(len(strings))
    for offset in used:
        string = text(strings, offset)
        out[offset : offset + len(string)] = string
    return bytes(out)


def compress(section):
    content = run(
        "zstd", "-19", "-c", "--no-check", input=section.content, capture_output=True
    ).stdout
    header = struct.pack("<IIQQ", ELFCOMPRESS_ZSTD, 0, len(section.content), section.header[8])
    section.content = header + content
    section.header[2] |= SHF_COMPRESSED
    section.header[8] = 8


def main():
    vmlinux, output, *wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        bare = os.path.join(directory, "bare")
        btf = os.path.join(directory, "btf")
        run(
            "objcopy", "--wildcard", "--remove-section=.BTF", "--remove-section=.BTF_ids",
            *(f"--strip-symbol={name}" for name in DROPPED_SYMBOLS), vmlinux, bare,
        )  # fmt: skip
        elf = Elf(bare)
        selection = Selection(elf, wanted)
        elf[".debug_info"].content = bytes(selection.out_info)
        elf[".debug_abbrev"].content = bytes(selection.out_table)
        elf[".debug_str"].content = only(selection.strings, selection.used)
        elf[".debug_line_str"].content = only(selection.line_strings, selection.used_lines)
        elf.empty(lambda s: s.type in (SHT_SYMTAB, SHT_STRTAB, SHT_NOTE) or s.name in DEBUG)
        elf.write(bare)
        run("pahole", "-J", f"--btf_encode_detached={btf}", bare)
        with open(btf, "rb") as file:
            elf.add(".BTF", file.read())
        for name in DEBUG:
            compress(elf[name])
        elf.write(output)


if __name__ == "__main__":
    main()

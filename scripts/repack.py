#!/usr/bin/env python3
"""Compresses the pages of a kdump-compressed zstd dump again, harder.

    repack.py DUMP OUTPUT

makedumpfile uses zstd at its fastest; level 19 makes a small dump a tenth
smaller. Headers, notes and bitmaps stay byte for byte.
"""

import ctypes
import ctypes.util
import struct
import sys

LEVEL = 19
DUMP_DH_COMPRESSED_ZSTD = 0x20
DESCRIPTOR = struct.Struct("<QIIQ")

zstd = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
for function in (zstd.ZSTD_compress, zstd.ZSTD_decompress):
    function.restype = ctypes.c_size_t


def call(function, data, room, *more):
    buffer = ctypes.create_string_buffer(room)
    size = function(buffer, ctypes.c_size_t(room), data, ctypes.c_size_t(len(data)), *more)
    if zstd.ZSTD_isError(ctypes.c_size_t(size)):
        raise SystemExit("zstd refuses a page")
    return buffer.raw[:size]


def harder(data, page_size):
    whole = call(zstd.ZSTD_decompress, data, page_size)
    return min(data, call(zstd.ZSTD_compress, whole, 2 * page_size, LEVEL), key=len)


def main():
    source, output = sys.argv[1:]
    with open(source, "rb") as file:
        dump = file.read()
    if dump[:8] != b"KDUMP   ":
        raise SystemExit("not a kdump-compressed dump")
    # struct disk_dump_header after the signature, the version and utsname
    at = 8 + 4 + 6 * 65
    at += -at % 8 + 16
    _status, block, sub_blocks, bitmap_blocks = struct.unpack_from("<IIII", dump, at)
    bitmap = (1 + sub_blocks) * block
    table = bitmap + bitmap_blocks * block
    second = dump[bitmap + bitmap_blocks * block // 2 : table]
    count = sum(byte.bit_count() for byte in second)

    descriptors, pages, moved = bytearray(), bytearray(), {}
    start = table + count * DESCRIPTOR.size
    for i in range(count):
        offset, size, flags, page_flags = DESCRIPTOR.unpack_from(dump, table + i * DESCRIPTOR.size)
        if offset not in moved:
            data = dump[offset : offset + size]
            if flags & DUMP_DH_COMPRESSED_ZSTD:
                data = harder(data, block)
            moved[offset] = start + len(pages), len(data)
            pages += data
        descriptors += DESCRIPTOR.pack(*moved[offset], flags, page_flags)
    with open(output, "wb") as file:
        file.write(dump[:table] + descriptors + pages)


if __name__ == "__main__":
    main()

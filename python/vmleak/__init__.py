"""Says from a Linux crash dump which slab caches leak, who leaked, and how it knows.

>>> import vmleak
>>> dump = vmleak.open("vmcore", "vmlinux")
>>> for finding in dump.leaks():
...     print(finding["subject"], finding["bytes"])

A dump is opened once. Each command of the command line is a method with its options; what it
returns has the command's JSON document, its rows, its text, and is a table for Arrow.
"""

from __future__ import annotations

import os
from typing import Optional, Sequence, Union

from ._result import Result
from ._dump import Dump
from ._vmleak import AnswerError, Error, OpenError, UnsupportedError, UsageError
from ._vmleak import Dump as _Native

__all__ = [
    "AnswerError",
    "Dump",
    "Error",
    "OpenError",
    "Result",
    "UnsupportedError",
    "UsageError",
    "open",
]

_Path = Union[str, "os.PathLike[str]"]


def open(
    path: Union[_Path, Sequence[_Path]],
    vmlinux: Optional[_Path] = None,
    *,
    symbols: Sequence[_Path] = (),
    debug_directories: Sequence[_Path] = (),
    no_default_debug_directories: bool = False,
    types: str = "auto",
    force: bool = False,
    no_mmap: bool = False,
    max_memory: Optional[int] = None,
) -> Dump:
    """Opens a dump: a file, the parts of a split set, or a directory of dumps.

    The vmlinux is looked for by build-id if it is not given; `symbols` are more debug files,
    `debug_directories` more places to look in. `types` is auto, dwarf, btf or profile:FILE.
    `force` goes on with a vmlinux of another build, `no_mmap` reads files in place of mapping
    them, `max_memory` bounds decoded pages (and the references of a search) in bytes.

    Raises OpenError if the dump or its types can't be opened.
    """
    single = isinstance(path, (str, os.PathLike))
    files: list[_Path] = [path] if single else list(path)  # type: ignore[list-item, arg-type]
    if vmlinux is not None:
        files.append(vmlinux)
    native = _Native(
        files,
        symbols=list(symbols),
        debug_directories=list(debug_directories),
        no_default_debug_directories=no_default_debug_directories,
        types=types,
        force=force,
        no_mmap=no_mmap,
        max_memory=max_memory,
    )
    return Dump(native)

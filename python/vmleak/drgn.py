"""Findings as drgn objects: a dump that drgn has open, or its core, asked by vmleak.

>>> import vmleak.drgn
>>> found = vmleak.drgn.leaks(prog)
>>> found[0].finding["subject"], found[0].objects[0]
('leaky_session', (void *)0xffff999dcca6b000)

Also adds the command `%vmleak` to drgn's command line.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Iterator, Optional, Union

import drgn

import vmleak

#: Under which a program keeps its dump.
_KEY = "vmleak"


def open(prog: drgn.Program, **options: Any) -> vmleak.Dump:
    """The dump that a program debugs, opened by vmleak, with the vmlinux that drgn has loaded.

    It is opened once a program. Raises vmleak.UsageError if the program debugs no core.
    """
    kept = prog.cache.get(_KEY)
    if not options and isinstance(kept, vmleak.Dump):
        return kept
    if prog.core_dump_path is None:
        raise vmleak.UsageError("the program was not made from a core dump")
    dump = vmleak.open(prog.core_dump_path, _vmlinux(prog), **options)
    if not options:
        prog.cache[_KEY] = dump
    return dump


def _vmlinux(prog: drgn.Program) -> Optional[str]:
    try:
        path: Optional[str] = prog.main_module().debug_file_path
        return path
    except LookupError:
        return None


@dataclasses.dataclass
class Leak:
    """What was found to leak."""

    #: As vmleak tells it, with its evidence.
    finding: dict[str, Any]
    #: What is lost, as drgn objects: pointers, of the objects' type where it is known.
    objects: list[drgn.Object]


def leaks(prog: drgn.Program, *, limit: int = 1000) -> list[Leak]:
    """The findings of `vmleak leaks`, each with at most `limit` of its objects."""
    dump = open(prog)
    result = dump.leaks()
    areas = result["vmalloc"]["areas"]
    blocks = result["large_kmalloc"]["blocks"]
    found = []
    for finding in result:
        cache = finding.get("cache")
        if cache is not None:
            lost = list(unreachable(prog, cache, limit=limit))
        else:
            addresses = {"vmalloc": areas, "large_kmalloc": blocks}.get(finding["subject"], [])
            lost = [pointer(prog, int(one, 16), None) for one in addresses[:limit]]
        found.append(Leak(finding, lost))
    return found


def unreachable(
    prog: drgn.Program, cache: str, *, type: Optional[str] = None, limit: Optional[int] = None
) -> Iterator[drgn.Object]:
    """The objects of a slab cache that nothing points to.

    Their type is `type`, or the structure that the cache is made for, else void.
    """
    result = open(prog).objects(cache, unreachable=True, limit=limit)
    whose = type if type is not None else _type_of(prog, result["cache"], result["object_size"])
    for row in result:
        yield pointer(prog, int(row["address"], 16), whose)


def whatis(prog: drgn.Program, address: Union[int, drgn.Object]) -> drgn.Object:
    """The object in which an address lies, as a pointer to its beginning."""
    at = address if isinstance(address, int) else address.value_()
    found = open(prog).whatis(at)["object"]
    if found is None:
        raise LookupError(f"no slab object lies at {at:#x}")
    whose = _type_of(prog, found["cache"], found["object_size"])
    return pointer(prog, int(found["address"], 16), whose)


def tasks(prog: drgn.Program) -> Iterator[drgn.Object]:
    """The processes of `vmleak ps` as `struct task_struct *`."""
    for row in open(prog).ps():
        yield pointer(prog, int(row["address"], 16), "struct task_struct")


def pointer(prog: drgn.Program, address: int, type: Optional[str]) -> drgn.Object:
    """An address as a pointer to a type."""
    return drgn.Object(prog, prog.pointer_type(prog.type(type or "void")), value=address)


#: Caches that are not called as their structure.
_CACHES = {
    "filp": "struct file",
    "dentry": "struct dentry",
    "nf_conntrack": "struct nf_conn",
    "skbuff_head_cache": "struct sk_buff",
    "skbuff_fclone_cache": "struct sk_buff_fclones",
    "task_struct": "struct task_struct",
    "vm_area_struct": "struct vm_area_struct",
    "kernfs_node_cache": "struct kernfs_node",
    "sock_inode_cache": "struct socket_alloc",
    "inode_cache": "struct inode",
    "proc_inode_cache": "struct proc_inode",
    "shmem_inode_cache": "struct shmem_inode_info",
    "TCP": "struct tcp_sock",
    "UDP": "struct udp_sock",
    "UNIX": "struct unix_sock",
}


#: Their objects are as large as this CPU's registers want them (arch_task_struct_size).
_SIZED_AT_BOOT = frozenset(["task_struct"])


def _type_of(prog: drgn.Program, cache: str, size: int) -> Optional[str]:
    """The structure that a cache is called after, if it has the objects' size: merged caches hold
    others too, and the name alone is no type."""
    for name in (_CACHES.get(cache), f"struct {cache}", f"struct {cache.removesuffix('_cache')}"):
        if name is None:
            continue
        try:
            if prog.type(name).size == size or cache in _SIZED_AT_BOOT:
                return name
        except (LookupError, SyntaxError):
            # No such structure, or no name that one can have (kmalloc-256).
            continue
    return None

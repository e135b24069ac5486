"""What is planted, and what a good answer to it is."""

from dataclasses import dataclass, field

MODULE = ("incident",)
# What a page of a file, a name and an inode bring along.
OF_FILES = ("dentry", "shmem_inode_cache", "lsm_inode_cache", "lsm_file_cache", "filp", "radix_tree_node",
            "xarray", "ext4_inode_cache")


@dataclass(frozen=True)
class Kind:
    """One kind of incident.

    `reachable`: something still leads to what is lost, so that `suspect` is as right as `leak`.
    `owners`: any of these words names the owner; none where nothing in a dump could tell.
    `related`: subjects that are truly part of it, and are neither asked for nor held against it.
    """

    name: str
    leak: bool = True
    reachable: bool = False
    owners: tuple = MODULE
    related: tuple = ()
    boot: str = "plain"
    since: tuple = (0, 0)
    until: tuple = (99, 0)
    seconds: int = 600
    subjects: tuple = field(default=())

    @property
    def verdicts(self):
        """The levels that are right."""
        if not self.leak:
            return ()
        return ("suspect", "leak") if self.reachable else ("leak",)


def innocent(name, **more):
    """One of which nothing may be said."""
    return Kind(name, leak=False, owners=(), **more)


LOST = [
    Kind("kmalloc"),
    Kind("own-cache"),
    Kind("merged-cache"),
    Kind("vmalloc"),
    Kind("pages"),
    Kind("page-pool"),
    Kind("per-cpu"),
    Kind("drip"),
    Kind("burst"),
    Kind("rings"),
    Kind("skb-lost"),
    Kind("socket", owners=(), related=("TCP", "UDP", "sock_inode_cache", *OF_FILES)),
    Kind("conntrack", owners=()),
    Kind("file", owners=(), related=OF_FILES),
    # The last module that was unloaded is known by name, but not where it was.
    Kind("module-unloaded", owners=()),
]

HELD = [
    Kind("skb-queued", reachable=True),
    Kind("dentry", reachable=True, owners=(), related=OF_FILES),
    Kind("inode", reachable=True, owners=(), related=OF_FILES),
    Kind("cgroup", reachable=True, owners=(), until=(7, 0), related=("mem_cgroup", *OF_FILES)),
    Kind("namespace", reachable=True, owners=()),
    Kind("timer", reachable=True),
    Kind("call-rcu", reachable=True),
    Kind("kfree-rcu", reachable=True),
    Kind("workqueue", reachable=True),
    # An element of 8 + 200 bytes has 48 of its own, and since 6.1 a pointer before it.
    Kind("bpf-map", reachable=True, owners=("plant", "flows", "bpf"), subjects=("kmalloc-256", "kmalloc-512")),
    Kind("tagged", reachable=True),
    Kind("list", reachable=True),
    Kind("hash", reachable=True),
]

INNOCENT = [
    innocent("quiet"),
    innocent("page-cache"),
    innocent("dentries"),
    innocent("pools"),
    innocent("tmpfs"),
    innocent("zram"),
    innocent("huge-pages"),
    innocent("conntrack-full"),
    innocent("fragmented"),
    innocent("fragmented-files"),
    innocent("namespaces"),
    innocent("modules"),
    innocent("kfence", since=(7, 0)),
    innocent("churn"),
    innocent("reload"),
    innocent("sockets"),
    innocent("forks"),
    innocent("debug", boot="debug"),
    innocent("cpus", boot="cpus"),
]

ALL = {kind.name: kind for kind in LOST + HELD + INNOCENT}

# What each boot adds to the kernel's command line, and QEMU's -smp.
BOOTS = {
    "plain": ("", "2"),
    "debug": ("slub_debug=FZPU", "2"),
    "cpus": ("", "2,maxcpus=64"),
}


def version(kernel):
    """6.1.0-56-cloud-amd64 is (6, 1)."""
    major, minor = kernel.split(".")[:2]
    return int(major), int(minor)


def of_kernel(kernel, names=None):
    """The kinds that make sense with a kernel, those of a boot together."""
    fit = [kind for kind in ALL.values()
           if kind.since <= version(kernel) < kind.until and (not names or kind.name in names)]
    return sorted(fit, key=lambda kind: list(BOOTS).index(kind.boot))

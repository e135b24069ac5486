"""The commands as methods. Written by python/generate: do not edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Literal, Optional, Union

if TYPE_CHECKING:
    from ._result import Option, Result


class Commands:
    """What can be asked of a dump."""

    def command(self, name: str, *places: Option, **options: Option) -> Result:
        """A command by its name."""
        raise NotImplementedError

    def slabs(
        self,
        *,
        cache: Optional[str] = None,
        sort: Optional[Literal["size", "name", "list"]] = None,
        all: bool = False,
    ) -> Result:
        """Slab caches as they were: the kernel's view, the exact one, a verdict per cache.

        cache: Only this cache, in depth; an alias serves too, and * and ? stand for any text

        sort: Order of the caches; `list` is that of /proc/slabinfo

        all: Show caches without a slab too
        """
        return self.command(
            "slabs",
            cache=cache,
            sort=sort,
            all=all,
        )

    def objects(
        self,
        cache: str,
        *,
        state: Optional[Literal["all", "allocated", "free"]] = None,
        limit: Optional[int] = None,
        hexdump: bool = False,
        unreachable: bool = False,
        traces: Optional[Literal["alloc", "free"]] = None,
        cluster: Optional[int] = None,
    ) -> Result:
        """Every object of one cache: address and state.

        cache: Name of the cache; an alias serves too, and * and ? where one cache has such a name

        state: Only objects in this state

        limit: At most N objects

        hexdump: With the bytes of each object

        unreachable: Only objects that nothing points to (searches the whole dump)

        traces: Who allocated (or freed) the objects in use, as slub_debug=U records it, in place of
        them

        cluster: Only those of them that look like cluster N of `leaks`, the largest being 1
        """
        return self.command(
            "objects",
            cache,
            state=state,
            limit=limit,
            hexdump=hexdump,
            unreachable=unreachable,
            traces=traces,
            cluster=cluster,
        )

    def leaks(
        self,
        *,
        all: bool = False,
        budget: Optional[str] = None,
    ) -> Result:
        """Is it a leak, who leaked it, and how do we know.

        all: Show all caches

        budget: Stop searching after this time (for example 60s or 5m) with what there is
        """
        return self.command(
            "leaks",
            all=all,
            budget=budget,
        )

    def whatis(
        self,
        address: Union[int, str],
        *,
        path: bool = False,
    ) -> Result:
        """Which object lies at an address, and who points to it.

        address: The address, in hexadecimal, or a symbol (jiffies, tcp_prot+0x10)

        path: Why it is alive: the chain of owners from a root to it, and who else holds it
        """
        return self.command(
            "whatis",
            hex(address) if isinstance(address, int) else address,
            path=path,
        )

    def retained(
        self,
        *,
        root: Optional[str] = None,
        top: Optional[int] = None,
    ) -> Result:
        """Who keeps how much alive: what would go with each module, process and variable.

        root: Only what is called so: a module, a process's name or number, a variable

        top: At most N owners
        """
        return self.command(
            "retained",
            root=root,
            top=top,
        )

    def conntrack(
        self,
        *,
        netns: Optional[str] = None,
        proto: Optional[str] = None,
        src: Optional[str] = None,
        dst: Optional[str] = None,
        reply_src: Optional[str] = None,
        reply_dst: Optional[str] = None,
        orig_port_src: Optional[int] = None,
        orig_port_dst: Optional[int] = None,
        reply_port_src: Optional[int] = None,
        reply_port_dst: Optional[int] = None,
        state: Optional[str] = None,
        status: Optional[Union[str, List[str]]] = None,
        zone: Optional[int] = None,
        mark: Optional[str] = None,
        nat_only: bool = False,
        summary: bool = False,
        expect: bool = False,
        stats: bool = False,
    ) -> Result:
        """The connection table as it was, or its summary.

        netns: Network namespace: initial, all, or its number (initial by default, all in JSON)

        proto: Protocol, by name or number

        src: Original source, an address or a network (10.0.0.0/8)

        dst: Original destination

        reply_src: Reply source

        reply_dst: Reply destination

        orig_port_src: Original source port

        orig_port_dst: Original destination port

        reply_port_src: Reply source port

        reply_port_dst: Reply destination port

        state: State of the protocol (ESTABLISHED, TIME_WAIT, …)

        status: Status that must be set (ASSURED, SRC_NAT, …, also UNREPLIED); may be repeated

        zone: Zone

        mark: Mark, with an optional mask (0x10/0xff)

        nat_only: Only translated connections

        summary: How full, with what, from whom, instead of the entries

        expect: Expectations, as /proc/net/nf_conntrack_expect

        stats: Statistics per CPU, as `conntrack -S`; with --format proc as
        /proc/net/stat/nf_conntrack
        """
        return self.command(
            "conntrack",
            netns=netns,
            proto=proto,
            src=src,
            dst=dst,
            reply_src=reply_src,
            reply_dst=reply_dst,
            orig_port_src=orig_port_src,
            orig_port_dst=orig_port_dst,
            reply_port_src=reply_port_src,
            reply_port_dst=reply_port_dst,
            state=state,
            status=status,
            zone=zone,
            mark=mark,
            nat_only=nat_only,
            summary=summary,
            expect=expect,
            stats=stats,
        )

    def nat(
        self,
        *,
        netns: Optional[str] = None,
        proto: Optional[str] = None,
        src: Optional[str] = None,
        dst: Optional[str] = None,
        reply_src: Optional[str] = None,
        reply_dst: Optional[str] = None,
        orig_port_src: Optional[int] = None,
        orig_port_dst: Optional[int] = None,
        reply_port_src: Optional[int] = None,
        reply_port_dst: Optional[int] = None,
        state: Optional[str] = None,
        status: Optional[Union[str, List[str]]] = None,
        zone: Optional[int] = None,
        mark: Optional[str] = None,
        nat_only: bool = False,
    ) -> Result:
        """The address translations, and the ports in use per external address.

        netns: Network namespace: initial, all, or its number (initial by default, all in JSON)

        proto: Protocol, by name or number

        src: Original source, an address or a network (10.0.0.0/8)

        dst: Original destination

        reply_src: Reply source

        reply_dst: Reply destination

        orig_port_src: Original source port

        orig_port_dst: Original destination port

        reply_port_src: Reply source port

        reply_port_dst: Reply destination port

        state: State of the protocol (ESTABLISHED, TIME_WAIT, …)

        status: Status that must be set (ASSURED, SRC_NAT, …, also UNREPLIED); may be repeated

        zone: Zone

        mark: Mark, with an optional mask (0x10/0xff)

        nat_only: Only translated connections
        """
        return self.command(
            "nat",
            netns=netns,
            proto=proto,
            src=src,
            dst=dst,
            reply_src=reply_src,
            reply_dst=reply_dst,
            orig_port_src=orig_port_src,
            orig_port_dst=orig_port_dst,
            reply_port_src=reply_port_src,
            reply_port_dst=reply_port_dst,
            state=state,
            status=status,
            zone=zone,
            mark=mark,
            nat_only=nat_only,
        )

    def sockets(
        self,
        *,
        table: Optional[Literal["tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "unix", "packet", "netlink", "sockstat", "sockstat6", "protocols"]] = None,
        summary: bool = False,
        skbs: bool = False,
        top: Optional[int] = None,
        kind: Optional[Union[Literal["tcp", "mptcp", "udp", "udplite", "raw", "ping", "sctp", "unix", "packet", "netlink", "vsock", "xdp", "other"], List[str]]] = None,
        netns: Optional[str] = None,
    ) -> Result:
        """Every socket with its queues, limits, memory and owners.

        table: Which file of /proc/net, with --format proc

        summary: Sums and limits alone, no single socket

        skbs: Where the socket buffers are: on which queues, or on none

        top: Show the N sockets with the most memory

        kind: Only sockets of KIND; may be given several times

        netns: Network namespace: initial, all, or its number (all by default; initial for --format
        proc)
        """
        return self.command(
            "sockets",
            table=table,
            summary=summary,
            skbs=skbs,
            top=top,
            kind=kind,
            netns=netns,
        )

    def net(
        self,
        *,
        netns: Optional[str] = None,
    ) -> Result:
        """Interfaces, neighbours and routes of each network namespace, and what keeps it.

        netns: Network namespace: initial, all, or its number (all by default; initial for files of
        /proc)
        """
        return self.command(
            "net",
            netns=netns,
        )

    def sysctl(
        self,
        *pattern: str,
        netns: Optional[str] = None,
        check: bool = False,
    ) -> Result:
        """The sysctls as `sysctl -a` shows them, or those named by PATTERN.

        pattern: Names, or the start of some, with * and ?

        netns: Network namespace: initial, all, or its number (initial by default, all in JSON)

        check: Those that bound memory and connections, with what they mean for this dump
        """
        return self.command(
            "sysctl",
            *pattern,
            netns=netns,
            check=check,
        )

    def info(
        self,
        *,
        layouts: bool = False,
    ) -> Result:
        """Which kernel, when and why it died, what the dump holds and lacks.

        layouts: With the structures that were probed, and where their members lie
        """
        return self.command(
            "info",
            layouts=layouts,
        )

    def meminfo(
        self,
        *,
        precise: bool = False,
    ) -> Result:
        """What /proc/meminfo said, what free says, and where the memory went by the counters.

        precise: Add what each CPU had counted, but not handed over yet (the kernel leaves it out)
        """
        return self.command(
            "meminfo",
            precise=precise,
        )

    def log(
        self,
        *,
        oom: bool = False,
        level: Optional[Literal["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"]] = None,
        callers: bool = False,
    ) -> Result:
        """The kernel's log as dmesg prints it, or what the out-of-memory killer said.

        oom: Only the reports of the out-of-memory killer, as tables

        level: Only records of LEVEL and worse

        callers: With who printed each record: task or CPU
        """
        return self.command(
            "log",
            oom=oom,
            level=level,
            callers=callers,
        )

    def vmalloc(
        self,
        *,
        real_addresses: bool = False,
    ) -> Result:
        """The areas of vmalloc by who asked for them.

        real_addresses: With --format proc: addresses as they are, not hashed as the kernel prints them
        """
        return self.command(
            "vmalloc",
            real_addresses=real_addresses,
        )

    def kmemleak(
        self,
        *,
        all: bool = False,
    ) -> Result:
        """What the kernel's own kmemleak had found, and how long ago (CONFIG_DEBUG_KMEMLEAK).

        all: Show all stack traces, not the largest alone
        """
        return self.command(
            "kmemleak",
            all=all,
        )

    def allocinfo(
        self,
        *,
        all: bool = False,
    ) -> Result:
        """What each place in the code allocated and did not free (CONFIG_MEM_ALLOC_PROFILING).

        all: Show places with nothing allocated too
        """
        return self.command(
            "allocinfo",
            all=all,
        )

    def memcg(
        self,
        *,
        sort: Optional[Literal["tree", "size"]] = None,
        dying: bool = False,
    ) -> Result:
        """The memory cgroups: who is charged for how much, and which are dying.

        sort: Order of the cgroups

        dying: Only those that were removed but are not gone
        """
        return self.command(
            "memcg",
            sort=sort,
            dying=dying,
        )

    def files(
        self,
        *,
        top: Optional[int] = None,
    ) -> Result:
        """Page cache, tmpfs and shared memory by mount and by file, and who has the files open.

        top: Show the N files of which most is in memory
        """
        return self.command(
            "files",
            top=top,
        )

    def dentries(
        self,
        *,
        top: Optional[int] = None,
    ) -> Result:
        """Names and inodes in memory: which mounts and directories hold them, and which are unused.

        top: Show the N directories with the most names (20 for people, all for programs)
        """
        return self.command(
            "dentries",
            top=top,
        )

    def pages(
        self,
        *,
        by: Optional[Literal["zone", "node"]] = None,
        top: Optional[int] = None,
        all: bool = False,
    ) -> Result:
        """All of RAM by owner: kinds of pages, who holds the kernel's own, which nobody does.

        by: The ledger of each zone of each node, or of each node, in place of that of all RAM

        top: Rows of each list

        all: All rows
        """
        return self.command(
            "pages",
            by=by,
            top=top,
            all=all,
        )

    def bpf(
        self,
    ) -> Result:
        """BPF maps and programs: what each holds, and who has it open.
        """
        return self.command(
            "bpf",
        )

    def rules(
        self,
        *,
        netns: Optional[str] = None,
        table: Optional[str] = None,
    ) -> Result:
        """The packet filters of each network namespace: nf_tables, iptables, ipset.

        netns: Only this network namespace: initial, all, or its number (all by default; the forms
        of other programs show the initial one)

        table: Only tables of this name
        """
        return self.command(
            "rules",
            netns=netns,
            table=table,
        )

    def zones(
        self,
    ) -> Result:
        """Zones of memory: watermarks, free blocks, and whether a request could have been
        served.
        """
        return self.command(
            "zones",
        )

    def ps(
        self,
        *,
        all: bool = False,
    ) -> Result:
        """Processes and kernel threads with their memory, and the one that panicked.

        all: Show all processes, and kernel threads
        """
        return self.command(
            "ps",
            all=all,
        )

    def pageowner(
        self,
        *,
        all: bool = False,
    ) -> Result:
        """Who allocated the pages, where the kernel recorded it (page_owner=on).

        all: Show all stacks
        """
        return self.command(
            "pageowner",
            all=all,
        )

    def modules(
        self,
    ) -> Result:
        """The modules that were loaded.
        """
        return self.command(
            "modules",
        )

    def report(
        self,
        *,
        sections: Optional[Union[str, List[str]]] = None,
        redact: bool = False,
        retained: bool = False,
    ) -> Result:
        """All of it as one HTML file for an incident review (-o FILE).

        sections: Only these sections, by the names of their commands (pages, leaks,
        conntrack_summary); all by default

        redact: Without names (host, processes, cgroups, files, interfaces) and network
        addresses

        retained: With what would go with whom, on a machine of any size; by itself up to 2
        GiB of RAM, since it takes several times as long as the search
        """
        return self.command(
            "report",
            sections=sections,
            redact=redact,
            retained=retained,
        )

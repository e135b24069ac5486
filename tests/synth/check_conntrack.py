"""Compares the connection table that drgn reads with the truth beside a dump.

Imported by check_with_drgn.py for directories with a conntrack.json.
"""
import ipaddress
import json
import os
import socket

from drgn import Object, cast, container_of
from drgn.helpers.linux.cpumask import for_each_possible_cpu
from drgn.helpers.linux.list import hlist_for_each_entry, list_for_each_entry
from drgn.helpers.linux.percpu import per_cpu_ptr
from drgn.helpers.linux.slab import find_slab_cache, slab_cache_for_each_allocated_object


def nulls(prog, head, marker):
    """Nodes of a list that ends with a marker."""
    node, found = head.first, []
    while not node.value_() & 1:
        found.append(node)
        node = node.next
    if node.value_() >> 1 != marker:
        raise ValueError(f"marker {node.value_() >> 1:#x} instead of {marker:#x}")
    return found


def connection(prog, node):
    """The connection and direction of a node."""
    entry = container_of(node, "struct nf_conntrack_tuple_hash", "hnnode")
    dir = entry.tuple.dst.dir.value_()
    return container_of(entry, "struct nf_conn", f"tuplehash[{dir}]"), dir


def read_tuple(tuple):
    """Addresses, protocol, and the two 16-bit words."""
    def address(u3):
        if tuple.src.l3num.value_() == socket.AF_INET:
            return str(ipaddress.ip_address(u3.ip.to_bytes_()))
        return str(ipaddress.ip_address(u3.ip6.to_bytes_()))
    words = [socket.ntohs(each.u.all.value_()) for each in (tuple.src, tuple.dst)]
    return [address(tuple.src.u3), address(tuple.dst.u3), tuple.dst.protonum.value_(), *words]


def extension(prog, ct, name, tag):
    """An extension of a connection, or None."""
    if not ct.ext:
        return None
    offset = ct.ext.offset[prog.constant("NF_CT_EXT_" + name)].value_()
    if not offset:
        return None
    return cast(f"struct {tag} *", cast("unsigned long", ct.ext) + offset)


def check_entry(prog, ct, expected, same):
    name = f"entry {expected['address']:#x}"
    same(name + " tuples", [read_tuple(ct.tuplehash[d].tuple) for d in (0, 1)], expected["tuples"])
    use = ct.ct_general.use
    same(name + " use", (use.refs.counter if hasattr(use, "refs") else use.counter).value_(), expected["uses"])
    same(name + " zone", [ct.zone.id.value_(), ct.zone.dir.value_()], expected["zone"])
    same(name + " netns", ct.ct_net.net.ns.inum.value_(), expected["netns"])
    same(name + " master", ct.master.value_(), expected["master"])
    for member in ("status", "mark", "timeout"):
        same(f"{name} {member}", ct.member_(member).value_(), expected[member])
    acct = extension(prog, ct, "ACCT", "nf_conn_acct")
    packets = [] if acct is None else [w.counter.value_() for c in acct.counter for w in (c.packets, c.bytes)]
    same(name + " packets", packets, expected["packets"])
    nat = extension(prog, ct, "NAT", "nf_conn_nat")
    same(name + " masquerade", None if nat is None else nat.masq_index.value_(), expected["masquerade"])
    help = extension(prog, ct, "HELPER", "nf_conn_help")
    same(name + " helper", "" if help is None else help.helper.name.string_().decode(), expected["helper"])
    if expected["tuples"][0][2] == 6:
        states = "NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2"
        same(name + " state", states.split()[ct.proto.tcp.state.value_()], expected["state"])


def check_expectation(prog, each, expected, same):
    name = f"expectation {expected['address']:#x}"
    same(name + " tuple", read_tuple(each.tuple), expected["tuple"])
    for member in ("class", "flags", "master"):
        same(f"{name} {member}", each.member_(member).value_(), expected[member])
    policy = each.helper.expect_policy[each.member_("class")].name.string_().decode()
    words = [each.helper.name.string_().decode()] + ([policy] if policy else [])
    same(name + " helper", "/".join(words), expected["line"].split()[-1])
    timeout = each.timeout
    expires = timeout.expires if hasattr(timeout, "expires") else timeout
    left = (expires.value_() - prog["jiffies_64"].value_() & 0xffffffff) // 250
    same(name + " timeout", str(left), expected["line"].split()[0])
    help = extension(prog, each.master, "HELPER", "nf_conn_help")
    mine = [e.value_() for e in hlist_for_each_entry(
        "struct nf_conntrack_expect", help.expectations.address_of_(), "lnode")]
    same(name + " on its master's list", each.value_() in mine, True)


def check_lists(prog, net, same, by_list):
    """Lists beside the hash, by namespace."""
    own = prog["nf_conntrack_net_id"].value_()
    own = cast("struct nf_conntrack_net *", net.gen.ptr[own])
    if hasattr(net.ct, "pcpu_lists"):
        for cpu in for_each_possible_cpu(prog):
            lists = per_cpu_ptr(net.ct.pcpu_lists, cpu)
            for name, marker in (("unconfirmed", 1 << 30), ("dying", (1 << 30) + 1)):
                for node in nulls(prog, lists.member_(name), marker):
                    by_list.setdefault(name, set()).add(connection(prog, node)[0].value_())
        return net.ct.count.counter.value_(), net.ct.expect_count.value_()
    for node in nulls(prog, own.ecache.dying_list, (1 << 30) + 1):
        by_list.setdefault("dying", set()).add(connection(prog, node)[0].value_())
    return own.count.counter.value_(), own.expect_count.value_()


def check(prog, directory, same):
    truth = json.load(open(os.path.join(directory, "conntrack.json")))
    expected = {each["address"]: each for each in truth["entries"]}
    buckets = prog["nf_conntrack_htable_size"].value_()
    same("buckets", buckets, truth["buckets"])
    same("max", prog["nf_conntrack_max"].value_(), truth["max"])
    seen, longest = {}, 0
    for bucket in range(buckets):
        nodes = nulls(prog, prog["nf_conntrack_hash"][bucket], bucket)
        longest = max(longest, len(nodes))
        for node in nodes:
            ct, dir = connection(prog, node)
            seen.setdefault(ct.value_(), []).append(dir)
            if not dir:
                check_entry(prog, ct, expected[ct.value_()], same)
    same("longest chain", longest, truth["longest_chain"])
    same("directions", {tuple(sorted(dirs)) for dirs in seen.values()}, {(0, 1)})
    by_list = {"hash": set(seen)}
    nets = list(list_for_each_entry("struct net", prog["net_namespace_list"].address_of_(), "list"))
    same("namespaces", [net.value_() for net in nets], [each["address"] for each in truth["netns"]])
    expectations = {}
    heads, found = prog["nf_ct_expect_hash"], {}
    for bucket in range(prog["nf_ct_expect_hsize"].value_()):
        for each in hlist_for_each_entry("struct nf_conntrack_expect", heads[bucket].address_of_(), "hnode"):
            inum = each.master.ct_net.net.ns.inum.value_()
            expectations[inum] = expectations.get(inum, 0) + 1
            found[each.value_()] = each
    same("expectations", set(found), {each["address"] for each in truth["expectations"]})
    for wanted in truth["expectations"]:
        check_expectation(prog, found[wanted["address"]], wanted, same)
    for net, wanted in zip(nets, truth["netns"]):
        counts = check_lists(prog, net, same, by_list)
        same("counts", counts, (wanted["count"], wanted["expect_count"]))
        same("expectations", expectations.get(wanted["inum"], 0), wanted["expect_count"])
        for cpu in for_each_possible_cpu(prog):
            stat, row = per_cpu_ptr(net.ct.stat, cpu), wanted["stat"][cpu + 1].split()
            same("stat", stat.insert_failed.value_(), int(row[9], 16))
            same("stat", stat.search_restart.value_(), int(row[16], 16))
    objects = {o.value_() for o in slab_cache_for_each_allocated_object(
        find_slab_cache(prog, "nf_conntrack"), "struct nf_conn")}
    by_list["unlinked"] = objects - set().union(*by_list.values())
    for name in ("hash", "unconfirmed", "dying", "unlinked"):
        wanted = {each["address"] for each in truth["entries"] if each["list"] == name}
        same(name, by_list.get(name, set()), wanted)
    for address in objects - set(seen):
        ct = Object(prog, "struct nf_conn *", address)
        check_entry(prog, ct, expected[address], same)

# shellcheck shell=dash
# The scenario `sockets`: queues with something on them (queues.c), and what the guest's
# own tools say of sockets and interfaces just before the panic. Read by init.sh, whose
# setting, say, tell and in_ns it uses.

# What stays as it is.
queues_start() {
    local ip=/usr/bin/ip
    sysctl -qw net.ipv4.ipfrag_time=900
    sysctl -qw net.ipv4.tcp_max_tw_buckets=40
    sysctl -qw net.ipv4.tcp_orphan_retries=200
    # By its path: init.sh has functions of such names.
    /usr/bin/queues hold || say "failed: not all queues"
    # A queue that nothing leaves, and one that is slow.
    $ip link add held type dummy
    $ip addr add 198.51.100.1/24 dev held
    $ip link set held up
    $ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 dev held nud permanent
    /usr/bin/tc qdisc add dev held root netem delay 1000s limit 5000 || say "no netem"
    /usr/bin/queues flood 198.51.100.1 198.51.100.2 7001 300
    $ip link add slow type dummy
    $ip addr add 198.51.101.1/24 dev slow
    $ip link set slow up
    $ip neigh add 198.51.101.2 lladdr 02:00:00:00:00:03 dev slow nud permanent
    /usr/bin/tc qdisc add dev slow root tbf rate 80bit burst 2k limit 300k || say "no tbf"
    /usr/bin/queues flood 198.51.101.1 198.51.101.2 7002 120
    # Neighbours that never answer, with what waits for them.
    sysctl -qw net.ipv4.neigh.lan.mcast_solicit=2000
    /usr/bin/queues flood 192.168.1.1 192.168.1.99 7003 40
    in_ns lan /usr/bin/queues fragment 192.168.1.10 192.168.1.1 3
    # A namespace that only a socket keeps.
    $ip netns add gone
    /usr/bin/queues foreign gone
    $ip netns del gone
    $ip route add 10.9.0.0/16 via 192.168.1.10
    $ip route add blackhole 10.10.0.0/16
    $ip route add unreachable 10.11.12.0/24 metric 50
    $ip -6 route add 2001:db8:9::/48 via fd00:1::10
    # For spoofed SYNs.
    /usr/bin/traffic serve tcp 192.168.1.1 7777
}

mark_memory() { # of /proc/net/sockstat: over the mark of pressure, under the limit
    local pages
    pages=$(sed -n 's/^TCP:.* mem //p' /proc/net/sockstat)
    echo "$((pages / 2)) $((pages / 2 + 1)) $((pages * 3))" >/proc/sys/net/ipv4/tcp_mem
}

tell_network() { # SUFFIX COMMAND-PREFIX...
    local file suffix=$1
    shift
    for file in tcp tcp6 udp udp6 udplite udplite6 raw raw6 icmp icmp6 unix packet netlink \
        sockstat sockstat6 protocols dev arp route ipv6_route if_inet6 fib_trie \
        snmp netstat softnet_stat ptype; do
        tell "net_$file$suffix" "$@" cat "/proc/net/$file"
    done
    tell "ss_tanpmioe$suffix" "$@" /usr/bin/ss -tanpmioe
    tell "ss_uanpmioe$suffix" "$@" /usr/bin/ss -uanpmioe
    tell "ss_xanpme$suffix" "$@" /usr/bin/ss -xanpme
    tell "ss_wanpme$suffix" "$@" /usr/bin/ss -wanpme
    tell "ss_0anpme$suffix" "$@" /usr/bin/ss -0anpme
    tell "ss_netlink$suffix" "$@" /usr/bin/ss -f netlink -anpe
    tell "ss_mptcp$suffix" "$@" /usr/bin/ss -Manpmioe
    tell "ss_s$suffix" "$@" /usr/bin/ss -s
    tell "ip_link$suffix" "$@" /usr/bin/ip -s -d link
    tell "ip_addr$suffix" "$@" /usr/bin/ip addr
    tell "ip_neigh$suffix" "$@" /usr/bin/ip -s neigh
    tell "ip_route$suffix" "$@" /usr/bin/ip route show table all
    tell "ip6_route$suffix" "$@" /usr/bin/ip -6 route show table all
    tell "tc_qdisc$suffix" "$@" /usr/bin/tc -s qdisc
}

# When the capture kernel is loaded already: the captures, what goes by itself between them, and
# the panic. What is equal before and after the last ones stood still.
queues_arm() {
    local file
    mkdir -p /cap/before
    mark_memory
    tell sysctl sysctl -a
    tell owners owners_of_sockets
    tell_network .lan in_ns lan
    tell_network .wan in_ns wan
    # Once for what is read into memory by being read.
    tell_network ""
    /usr/bin/queues pass
    in_ns lan /usr/bin/queues spoof 192.168.1.77 192.168.1.1 7777 5
    for file in tcp tcp6 udp udp6 unix netlink packet raw sockstat dev arp; do
        cat /proc/net/$file >/cap/before/$file
    done
    tell_network ""
    tell slabinfo cat /proc/slabinfo
    tar -cf /dev/vda -C /cap .
    sync
}

owners_of_sockets() {
    local link
    for link in /proc/[0-9]*/fd/*; do
        case $(readlink "$link") in
            socket:*) echo "$link $(readlink "$link") $(cat "${link%/fd/*}/comm")" ;;
        esac
    done
}

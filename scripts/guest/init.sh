#!/usr/bin/busybox sh
# shellcheck shell=dash
# Init of the guest: a NAT gateway between the namespaces lan and wan which
# leaks (scenario.sh), says what it knows of itself, and panics; in the capture
# kernel it writes the dump out. Settings come on the kernel command line as guest.X=Y.

bb=/usr/bin/busybox

setting() { # NAME DEFAULT
    local word
    # shellcheck disable=SC2013
    for word in $($bb cat /proc/cmdline); do
        case $word in
            guest."$1"=*) echo "${word#*=}"; return ;;
        esac
    done
    echo "$2"
}

say() { echo "guest: $*"; }

finish() {
    say "$*"
    $bb sync
    # QEMU ends at the reset; without ACPI there is no power to switch off.
    $bb reboot -f
}

mount_all() {
    $bb --install -s /bin
    export PATH=/usr/bin:/bin
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t devtmpfs dev /dev 2>/dev/null
    mkdir -p /dev/shm /run/netns /tmp /sys/fs/cgroup
    mount -t tmpfs run /run
    mkdir -p /run/netns
    mount -t debugfs debug /sys/kernel/debug 2>/dev/null
    mount -t cgroup2 cgroup /sys/fs/cgroup 2>/dev/null
}

load() {
    local module
    [ -d /lib/modules ] || return 0
    for module in "$@"; do
        /usr/bin/modprobe "$module" || say "no module $module"
    done
}

in_ns() { /usr/bin/ip netns exec "$@"; }

tune() { # of the namespace it runs in
    local name
    for name in udp_timeout udp_timeout_stream icmp_timeout icmpv6_timeout generic_timeout; do
        sysctl -qw "net.netfilter.nf_conntrack_$name=900" 2>/dev/null
    done
    for name in acct timestamp; do
        sysctl -qw "net.netfilter.nf_conntrack_$name=1" 2>/dev/null
    done
    sysctl -qw net.ipv4.ip_forward=1
    sysctl -qw net.ipv6.conf.all.forwarding=1
}

networks() {
    local ip=/usr/bin/ip
    $ip link set lo up
    for side in lan wan; do
        $ip netns add $side
        $ip link add $side type veth peer name eth0 netns $side
        $ip link set $side up
        in_ns $side $ip link set lo up
        in_ns $side $ip link set eth0 up
    done
    $ip addr add 192.168.1.1/24 dev lan
    $ip addr add 203.0.113.1/24 dev wan
    $ip -6 addr add fd00:1::1/64 dev lan nodad
    $ip -6 addr add 2001:db8::1/64 dev wan nodad
    for host in 10 11 12; do
        in_ns lan $ip addr add 192.168.1.$host/24 dev eth0
    done
    for host in 9 10; do
        in_ns wan $ip addr add 203.0.113.$host/24 dev eth0
    done
    in_ns lan $ip -6 addr add fd00:1::10/64 dev eth0 nodad
    in_ns wan $ip -6 addr add 2001:db8::9/64 dev eth0 nodad
    in_ns lan $ip route add default via 192.168.1.1
    in_ns lan $ip -6 route add default via fd00:1::1
    in_ns wan $ip -6 route add default via 2001:db8::1
    /usr/bin/nft -f /etc/gateway.nft || say "no gateway rules"
    in_ns lan /usr/bin/nft -f /etc/lan.nft || say "no rules in lan"
    tune
    in_ns lan /init tune
}

traffic() {
    local udp tcp
    udp=$(setting udp 300)
    tcp=$(setting tcp 60)
    in_ns wan traffic serve udp 203.0.113.9 53
    in_ns wan traffic serve udp 2001:db8::9 53
    in_ns wan traffic serve tcp 203.0.113.9 8080
    in_ns wan traffic serve tcp 2001:db8::9 8080
    in_ns lan traffic serve tcp 192.168.1.10 22
    in_ns lan traffic open udp 192.168.1.10 203.0.113.9 53 "$udp"
    in_ns lan traffic open udp fd00:1::10 2001:db8::9 53 $((udp / 4))
    in_ns lan traffic open udp 192.168.1.11 203.0.113.10 443 $((udp / 4))
    in_ns lan traffic open tcp 192.168.1.10 203.0.113.9 8080 "$tcp"
    in_ns lan traffic open tcp fd00:1::10 2001:db8::9 8080 $((tcp / 4))
    in_ns wan traffic open tcp 203.0.113.10 203.0.113.1 2222 $((tcp / 4))
    in_ns lan traffic tftp 192.168.1.12 203.0.113.9 4
    in_ns lan ping -c 2 203.0.113.9 >/dev/null
    in_ns lan ping -c 2 2001:db8::9 >/dev/null
}

by_hand() { # entries that no packet made: marks, zones, odd protocols
    local i
    for i in 1 2 3 4; do
        conntrack -I -s 10.1.1.$i -d 10.2.2.2 -p tcp --sport $((1000 + i)) --dport 80 \
            --state ESTABLISHED -u ASSURED -t 5000 -m $((i * 16)) -w $i
    done
    conntrack -I -s 10.1.1.1 -d 10.2.2.2 -p udp --sport 5 --dport 6 -t 5000 -m 7
    conntrack -I -s 10.1.1.3 -d 10.2.2.2 -p sctp --sport 7 --dport 8 --state ESTABLISHED \
        --orig-vtag 1 --reply-vtag 2 -t 5000
    conntrack -I -s 10.1.1.4 -d 10.2.2.2 -p gre --srckey 0x5 --dstkey 0x6 -t 5000
} 2>&1

gateway() {
    # shellcheck disable=SC2046
    load $(cat /etc/modules)
    # In a group of its own, so that the memory controller has something to charge.
    if mkdir /sys/fs/cgroup/gateway 2>/dev/null; then
        echo +memory >/sys/fs/cgroup/cgroup.subtree_control
        echo $$ >/sys/fs/cgroup/gateway/cgroup.procs
    fi
    networks
    traffic
    by_hand | grep -i -E 'fail|error|bad|need'
    scenario_start
    say "$(cat /proc/sys/net/netfilter/nf_conntrack_count) connections tracked"
}

slab_attributes() {
    local cache
    cd /sys/kernel/slab || return
    for cache in *; do
        [ -L "$cache" ] || grep -s '' "$cache"/*
    done | sed 's|^\([^/]*\)/\([^:]*\):|\1 \2 |'
}

tell() { # FILE COMMAND...: only what says something is kept
    local file=/cap/$1
    shift
    "$@" >"$file" 2>/dev/null
    [ -s "$file" ] || rm -f "$file"
}

# Only what is 5 s old counts, and what was only just lost may be on a stack still.
scan_for_leaks() {
    local kmemleak=/sys/kernel/debug/kmemleak
    [ -e $kmemleak ] || return 0
    for _ in 1 2; do
        sleep 6
        echo scan >$kmemleak
    done
    tell kmemleak cat $kmemleak
}

# Who allocated what: only kernels with the debug options have these.
owners() {
    local debug=/sys/kernel/debug cache
    tell page_owner_stacks cat "$debug/page_owner_stacks/show_stacks"
    # A record must fit into what is asked for, or reading ends there: gzip asks for what its
    # window has room for.
    [ ! -e "$debug/page_owner" ] ||
        dd if="$debug/page_owner" bs=64k 2>/dev/null | gzip >/cap/page_owner.gz
    tell allocinfo cat /proc/allocinfo
    for cache in kmalloc-64 kmalloc-256 kmalloc-1k leaky_session nf_conntrack skbuff_head_cache \
        task_struct dentry; do
        tell "alloc_traces.$cache" cat "$debug/slab/$cache/alloc_traces"
        tell "free_traces.$cache" cat "$debug/slab/$cache/free_traces"
        # Before 5.14 they were here, without the stacks.
        tell "alloc_calls.$cache" cat "/sys/kernel/slab/$cache/alloc_calls"
        tell "free_calls.$cache" cat "/sys/kernel/slab/$cache/free_calls"
    done
}

captures() {
    mkdir -p /cap
    tell osrelease cat /proc/sys/kernel/osrelease
    tell dmesg dmesg
    gzip </proc/kallsyms >/cap/kallsyms.gz
    tell modules cat /proc/modules
    tell iomem cat /proc/iomem
    tell sysctl sysctl -a
    tell vmallocinfo cat /proc/vmallocinfo
    tell zoneinfo cat /proc/zoneinfo
    tell vmstat cat /proc/vmstat
    tell stat_nf_conntrack cat /proc/net/stat/nf_conntrack
    tell nf_conntrack_expect cat /proc/net/nf_conntrack_expect
    tell slab_aliases ls -l /sys/kernel/slab
    tell sys_kernel_slab slab_attributes
    scan_for_leaks
    # What reading all this left behind would be a quarter of a small dump's slabs.
    [ "$(setting tidy 0)" = 0 ] || echo 2 >/proc/sys/vm/drop_caches
    for side in lan wan; do
        tell nf_conntrack.$side in_ns $side cat /proc/net/nf_conntrack
    done
    tell conntrack_S conntrack -S
    tell conntrack_L conntrack -L -o extended,timestamp,id,labels
    tell nf_conntrack cat /proc/net/nf_conntrack
    tell_scenario
    # Each file that is opened makes a dentry.
    owners
    tell meminfo cat /proc/meminfo
    tell slabinfo cat /proc/slabinfo
    tar -cf /dev/vda -C /cap .
    sync
}

# vmleak on the kernel that it runs on, again and again, while files, sockets and processes come
# and go; and what the kernel itself says before and after.
live() { # RUNS
    local run=0
    mkdir -p /cap /ram
    mount -t tmpfs -o size=96m ram /ram
    mkdir -p /ram/work
    load_of_machine files 4 /ram/work
    load_of_machine pipes 4
    load_of_machine sockets 4
    load_of_machine forks 2
    while [ "$run" -lt "$1" ]; do
        run=$((run + 1))
        cat /proc/slabinfo >/cap/slabinfo.before.$run
        vmleak slabs --live --format slabinfo >/cap/slabs.$run 2>/cap/slabs.$run.err
        echo "exit $?" >>/cap/slabs.$run.err
        cat /proc/slabinfo >/cap/slabinfo.after.$run
        conntrack -L -o extended,id >/cap/conntrack.before.$run 2>/dev/null
        vmleak conntrack --live --netns initial --format conntrack >/cap/conntrack.$run 2>/cap/conntrack.$run.err
        conntrack -L -o extended,id >/cap/conntrack.after.$run 2>/dev/null
        vmleak leaks --live --format json >/cap/leaks.$run.json 2>/cap/leaks.$run.err
        echo "exit $?" >>/cap/leaks.$run.err
        say "live run $run: $(cat /proc/uptime)"
    done
    dmesg >/cap/dmesg
    tar -cf /dev/vda -C /cap .
    finish "live: $run runs"
}

# By its path: there is a function of that name here.
load_of_machine() { /usr/bin/load "$@"; }

# Writing the captures takes and frees objects, so the caches are told once more, to the kernel's
# log, which takes no disk, no process, and one buffer that is given back.
last_words() {
    local line
    dmesg -n 1
    echo on >/proc/sys/kernel/printk_devkmsg
    while IFS= read -r line; do
        echo "slabinfo: $line"
    done </proc/slabinfo >/dev/kmsg
}

# The other system call keeps copies of kernel and initrd, which would be dumped.
crash() {
    # Without ACPI the capture kernel starts on the first CPU only.
    taskset -p 1 $$ >/dev/null
    kexec --kexec-syscall -p /crash/vmlinuz --initrd=/crash/initrd \
        --append="console=ttyS0 irqpoll nr_cpus=1 reset_devices" ||
        finish "failed: no capture kernel"
    say "panic follows"
    echo 1 >/proc/sys/kernel/sysrq
    scenario_arm
    last_words
    scenario_panic
    echo c >/proc/sysrq-trigger
}

# The dump goes flattened to the disk, for a stream needs no memory here.
capture() {
    local options size
    load virtio_pci virtio_blk
    options=$(cat /etc/makedumpfile.options)
    # shellcheck disable=SC2086
    size=$({ makedumpfile $options -F /proc/vmcore 2>/tmp/errors; echo $? >/tmp/status; } |
        tee /dev/vdb | wc -c)
    tr '\r' '\n' </tmp/errors | tail -n 3
    if [ "$(cat /tmp/status)" = 0 ]; then
        finish "vmcore of $size bytes"
    else
        finish "failed: makedumpfile"
    fi
}

if [ "$1" = tune ]; then
    tune
    exit
fi
mount_all
if [ -e /proc/vmcore ]; then
    capture
else
    # shellcheck source=SCRIPTDIR/scenario.sh
    . /etc/scenario.sh
    # shellcheck source=SCRIPTDIR/network.sh
    . /etc/network.sh
    # shellcheck source=SCRIPTDIR/rules.sh
    . /etc/rules.sh
    gateway
    runs=$(setting live 0)
    [ "$runs" = 0 ] || live "$runs"
    captures
    crash
fi
finish "failed"

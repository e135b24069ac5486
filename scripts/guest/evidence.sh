#!/usr/bin/busybox sh
# shellcheck shell=dash
# Init of the guest of scripts/evidence: loads all that an incident may need, has
# some of a machine's life going on, and then does what the second serial port says:
#   plant KIND SEED   plants an incident, and answers with the truth of it
#   panic             dies through sysrq

setup() {
    /usr/bin/busybox --install -s /bin
    export PATH=/usr/bin:/bin
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t devtmpfs dev /dev
    mkdir -p /run /ram /data /tmp /sys/fs/cgroup
    mount -t tmpfs run /run
    mkdir -p /run/netns
    mount -t debugfs debug /sys/kernel/debug
    mount -t cgroup2 cgroup /sys/fs/cgroup
    echo +memory >/sys/fs/cgroup/cgroup.subtree_control
    mount -t tmpfs -o size=300m ram /ram
    # shellcheck disable=SC2013
    for module in $(cat /etc/modules); do
        /usr/bin/modprobe "$module" || echo "guest: no module $module"
    done
    mount -t ext4 /dev/vda /data || echo "guest: no ext4"
    insmod /incident.ko || echo "guest: no incident.ko"
    echo 1 >/proc/sys/kernel/sysrq
    echo 200000 >/proc/sys/net/netfilter/nf_conntrack_max
}

# A network namespace behind a bridge of veth, with connections over it.
network() {
    ip=/usr/bin/ip
    $ip link set lo up
    $ip netns add lan
    $ip link add lan type veth peer name eth0 netns lan
    $ip link set lan up
    $ip addr add 192.168.1.1/24 dev lan
    $ip netns exec lan $ip link set lo up
    $ip netns exec lan $ip link set eth0 up
    $ip netns exec lan $ip addr add 192.168.1.10/24 dev eth0
    /usr/bin/nft -f /etc/gateway.nft || echo "guest: no rules"
    traffic serve udp 192.168.1.1 53
    traffic serve tcp 192.168.1.1 8080
    $ip netns exec lan traffic open udp 192.168.1.10 192.168.1.1 53 100
    $ip netns exec lan traffic open tcp 192.168.1.10 192.168.1.1 8080 20
}

life() {
    mkdir -p /data/work
    load files 1 /data/work
    load pipes 2
    load sockets 2
}

pick() { echo $(($1 + seed * 2654435761 % 1000003 % ($2 - $1 + 1))); } # LOW HIGH

part() { echo "\"parts\": [{\"subject\": \"$1\", \"objects\": $2, \"bytes\": $3}], "; }

ask() { # KIND: of the module
    echo "$1 $seed" >/proc/incident || echo '"failed": true, '
    cat /proc/incident
}

parameter() { cat "/sys/module/gone/parameters/$1"; }

# What is not of the module; prints members of a JSON object, and whatever stays
# in the background must not keep that output open.
plant() { # KIND
    case $1 in
        dentry | inode)
            mkdir -p /ram/incident
            ask "$1"
            rm -rf /ram/incident
            ;;
        file)
            mkdir -p /ram/incident
            ask file
            ;;
        module-unloaded)
            insmod /gone.ko seed="$seed" leave=1
            part "kmalloc-$(parameter size)" "$(parameter count)" $(($(parameter size) * $(parameter count)))
            rmmod gone
            ;;
        cgroup)
            count=$(pick 250 500)
            /usr/bin/plant dying-cgroups "$count" >&2
            part "removed memory cgroups" "$count" 0
            ;;
        namespace)
            count=$(pick 40 80)
            /usr/bin/plant hold-namespaces "$count" >&2
            part net_namespace "$count" 0
            ;;
        bpf-map)
            count=$(pick 12000 30000)
            /usr/bin/plant map "$count" >&2
            part "bpf map" "$count" 0
            ;;
        quiet) ;;
        page-cache)
            truncate -s "$(pick 150 250)M" /data/sparse
            cat /data/sparse >/dev/null
            ;;
        dentries)
            mkdir /ram/tree /data/tree
            /usr/bin/plant tree "$(pick 150 250)" /ram/tree >&2
            /usr/bin/plant tree "$(pick 60 120)" /data/tree >&2
            find /ram/tree /data/tree | wc -l >&2
            ;;
        tmpfs) dd if=/dev/zero of=/ram/large bs=1M count="$(pick 60 150)" 2>/dev/null ;;
        zram)
            for module in lzo-rle lz4 zstd zram; do
                /usr/bin/modprobe $module
            done
            echo 200M >/sys/block/zram0/disksize || echo '"failed": true, '
            # Emulation makes some MB of random a second only; no page of it is like another.
            dd if=/dev/urandom of=/tmp/random bs=1M count="$(pick 8 16)" 2>/dev/null
            for place in 0 1 2 3; do
                dd if=/tmp/random of=/dev/zram0 bs=1M seek=$((place * 20)) conv=notrunc 2>/dev/null
            done
            rm /tmp/random
            ;;
        huge-pages)
            count=$(pick 30 60)
            echo "$count" >/proc/sys/vm/nr_hugepages
            count=$(cat /proc/sys/vm/nr_hugepages)
            /usr/bin/plant huge-pages $((count / 2)) >&2
            ;;
        fragmented-files)
            mkdir /ram/tree
            /usr/bin/plant tree "$(pick 200 400)" /ram/tree >&2
            rm -rf /ram/tree/d*[0-8]
            ;;
        namespaces) /usr/bin/plant namespaces 100 >&2 ;;
        kfence)
            echo 10 >/sys/module/kfence/parameters/sample_interval
            load sockets 4 >&2
            sleep 4
            ;;
        churn) /usr/bin/plant cgroups "$(pick 200 400)" >&2 ;;
        reload)
            for _ in $(seq "$(pick 8 16)"); do
                insmod /gone.ko seed="$seed" leave=0
                rmmod gone
            done
            ;;
        sockets)
            load sockets 16 >&2
            /usr/bin/ip netns exec lan traffic open udp 192.168.1.10 192.168.1.1 53 "$(pick 200 400)" >&2
            /usr/bin/ip netns exec lan traffic open tcp 192.168.1.10 192.168.1.1 8080 "$(pick 100 200)" >&2
            sleep 2
            ;;
        forks)
            load forks "$(pick 6 12)" >&2
            sleep 4
            ;;
        modules)
            # shellcheck disable=SC2013
            for module in $(cat /etc/modules.more); do
                /usr/bin/modprobe "$module" 2>/dev/null
            done
            ask debugfs
            ;;
        debug | cpus)
            load files 2 /ram >&2
            load forks 2 >&2
            sleep 3
            ;;
        *) ask "$1" ;;
    esac
}

setup
network
life
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo "guest: ready"
echo READY >&3
while read -r verb kind seed <&3; do
    case $verb in
        plant)
            start=$(cut -d. -f1 /proc/uptime)
            members=$(plant "$kind" 2>/dev/console | tr -d '\n')
            # What was freed last goes through RCU.
            sleep 1
            echo "TRUTH {$members${members:+, }\"kind\": \"$kind\", \"seed\": $seed, \"start\": $start, \"uptime\": $(cut -d. -f1 /proc/uptime)}" |
                sed 's/, *,/,/g' >&3
            ;;
        panic) echo c >/proc/sysrq-trigger ;;
        *) echo "WHAT $verb" >&3 ;;
    esac
done

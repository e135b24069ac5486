# shellcheck shell=dash
# What the guest loses, keeps or is busy with, by guest.scenario=NAME, and the truth
# of it for /cap/scenario. Read by init.sh, whose setting, say and tell it uses.

insert() { # MODULE ARGUMENT...
    local module=$1
    shift
    insmod "/$module.ko" "$@" || say "$module did not load"
}

in_group() { # GROUP COMMAND...
    mkdir -p "/sys/fs/cgroup/$1"
    # shellcheck disable=SC2016
    sh -c 'echo $$ >"/sys/fs/cgroup/$0/cgroup.procs"; exec "$@"' "$@"
}

mount_load() {
    mkdir -p /data /ram
    mount -t ext4 /dev/vdc /data || say "no ext4"
    mount -t tmpfs -o size=96m ram /ram
}

# Groups whose pages outlive them.
dying_groups() {
    local group
    for group in 1 2 3 4 5 6 7 8 9 10 11 12; do
        in_group "gone$group" dd if=/dev/zero of="/ram/gone$group" bs=16k count=8 2>/dev/null
        rmdir "/sys/fs/cgroup/gone$group"
    done
}

fill_page_cache() { # MEGABYTES
    truncate -s "$1M" /data/sparse
    dd if=/data/sparse of=/dev/null bs=1M 2>/dev/null
}

busy() {
    mount_load
    dying_groups
    mkdir /data/work /ram/work
    in_group disk load files 8 /data/work
    in_group ram load files 8 /ram/work
    in_group wires load pipes 12
    in_group wires load sockets 8
    in_group events load epoll 12
    in_group forks load forks 6
    fill_page_cache 1024
}

# A directory that grows is no leak, and looks like one.
many_names() {
    mount_load
    mkdir /data/work /data/names /ram/names
    in_group disk load files 4 /data/work
    fill_page_cache 300
    # By its path: init.sh has a function of that name.
    /usr/bin/load names 20000 0 /ram/names && /usr/bin/load names 15000 40000 /data/names ||
        finish "failed: not all names"
}

wait_for() { # MODULE PARAMETER NUMBER
    local now=0
    for _ in $(seq 300); do
        now=$(cat "/sys/module/$1/parameters/$2")
        [ "$now" -lt "$3" ] || return 0
        sleep 1
    done
    say "failed: $1 has $now of $3"
}

scenario_start() {
    local lost
    mkdir -p /cap
    tell slabinfo.before cat /proc/slabinfo
    tell dentry-state.before cat /proc/sys/fs/dentry-state
    scenario=$(setting scenario leaky)
    case $scenario in
        leaky) insert leaky buffers="$(setting buffers 600)" sessions="$(setting sessions 350)" \
            kept="$(setting kept 50)" ;;
        none) ;;
        busy) busy ;;
        refcount) insert hoard skbs="$(setting skbs 4000)" files="$(setting files 300)" ;;
        conntrack)
            lost=$(setting entries 600)
            in_ns lan traffic open udp fd00:1::10 2001:db8::9 53 $((lost + 100))
            insert orphan entries="$lost"
            ;;
        slow)
            lost=$(setting objects 300)
            insert drip objects="$lost" interval_ms="$(setting interval 40)"
            busy
            wait_for drip lost "$lost"
            ;;
        dentries) many_names ;;
        vmalloc) insert areas areas="$(setting areas 40)" ;;
        owners)
            insert pages pages="$(setting pages 1000)" blocks="$(setting blocks 50)"
            keepers >/run/keepers.log 2>&1
            # Each says what it holds once it does.
            for _ in $(seq 120); do
                [ "$(grep -c '^[a-z_]* keep-' /run/keepers.log)" -lt 10 ] || break
                sleep 1
            done
            ;;
        pools) insert pools ;;
        sockets) queues_start ;;
        rules) rules_start ;;
        double-free | corrupt-freelist | in-allocator | in-conntrack)
            # Where the panic will be, too.
            taskset 1 insmod /wound.ko wound="$scenario" || say "wound did not load"
            dmesg | grep -q "wound: $scenario: 0" || finish "failed: not wounded as it should"
            ;;
        *) finish "failed: no scenario $scenario" ;;
    esac
}

parameter() { cat "/sys/module/$1/parameters/$2"; }

made() { grep -c "^$1 " /cap/scenario.objects; } # KIND

object_size() { awk -v cache="$1" '$1 == cache { print $4 }' /proc/slabinfo; } # CACHE

line() { # KIND CACHE BYTES OBJECTS NAME VALUE [,]: of lost or reachable
    printf '    {"kind": "%s", "cache": "%s", "bytes": %d, "objects": %d, "%s": "%s"}%s\n' \
        "$1" "$2" "$3" "$4" "$5" "$6" "$7"
}

lost() {
    case $scenario in
        leaky)
            line buffer kmalloc-256 200 "$(parameter leaky buffers)" text leaky-buf- ,
            line session leaky_session 104 \
                $(($(parameter leaky sessions) - $(parameter leaky kept))) pointer leaky_session_expire
            ;;
        conntrack)
            line entry nf_conntrack "$(object_size nf_conntrack)" "$(made entry)" pointer init_net ,
            line extension "kmalloc-$(parameter orphan extension_size)" \
                "$(parameter orphan extension_size)" "$(made extension)" from entry
            ;;
        slow) line request kmalloc-192 160 "$(made request)" pointer drip_done ;;
        vmalloc) line area vmalloc 12288 "$(made area)" text lost-area- ;;
        owners)
            line page pages 4096 "$(made page)" text lost-page- ,
            line block pages 32768 "$(made block)" text lost-page-
            ;;
        pools) line page pages 4096 "$(made lost)" from closing ;;
    esac
}

reachable() {
    local size
    case $scenario in
        leaky) line session leaky_session 104 "$(parameter leaky kept)" from live_sessions ;;
        refcount)
            line skb skbuff_head_cache "$(object_size skbuff_head_cache)" \
                "$(made skb)" from hoard_queue ,
            line head kmalloc-1k 832 "$(made head)" from skb ,
            line file filp "$(object_size filp)" "$(made file)" from hoard_files
            ;;
        pools)
            line live pages 4096 "$(made live)" from live_ring ,
            line block pages 16384 "$(made block)" from block_ring ,
            line known pages 4096 "$(made known)" from closing_ring ,
            line gro skbuff_head_cache "$(object_size skbuff_head_cache)" "$(made gro)" from pools0 ,
            line passed skbuff_head_cache "$(object_size skbuff_head_cache)" \
                "$(made passed)" from pools0
            ;;
        dentries)
            size=$(object_size dentry)
            line name-on-tmpfs dentry "$size" 20000 from /ram/names ,
            line name-on-ext4 dentry "$size" 15000 from /data/names ,
            line negative dentry "$size" 40000 from /data/names
            ;;
    esac
}

damaged() { # what is done to an object of each kind is in wound.c
    case $scenario in
        double-free | corrupt-freelist)
            hurt wound_box
            printf '    {"cache": "wound_box", "in_use": %d}\n' "$(parameter wound in_use)"
            ;;
        in-allocator)
            printf '    {"cache": "wound_box", "in_use": %d},\n' "$(parameter wound in_use)"
            # All that there is room for, until one more slab is made.
            printf '    {"cache": "wound_ctor", "kind": "slab-in-the-making"},\n'
            printf '    {"cache": "wound_busy", "in_use_at_most": 64}\n'
            ;;
        in-conntrack) hurt nf_conntrack | sed '$s/,$//' ;;
    esac
}

hurt() { # CACHE
    awk -v cache="$1" '{
        printf "    {\"cache\": \"%s\", \"kind\": \"%s\", \"address\": \"%s\"},\n", cache, $1, $2
    }' /cap/scenario.objects
}

# Opening the file takes an inode: before the caches are told for the last time.
scenario_arm() {
    case $scenario in
        in-allocator | in-conntrack) exec 3>>/sys/module/wound/parameters/fire ;;
        sockets) queues_arm ;;
        rules) rules_arm ;;
    esac
}

# Instead of sysrq's panic, in the middle of what the scenario is about.
scenario_panic() {
    case $scenario in
        in-allocator | in-conntrack) echo 1 >&3 ;;
    esac
}

group_count() { sed -n "s/^$1 //p" /sys/fs/cgroup/cgroup.stat; } # COUNTER

tell_scenario() {
    local module
    case $scenario in
        leaky) module=leaky ;;
        refcount) module=hoard ;;
        conntrack) module=orphan ;;
        slow) module=drip ;;
        vmalloc) module=areas ;;
        owners) module=pages ;;
        pools) module=pools ;;
        double-free | corrupt-freelist | in-allocator | in-conntrack) module=wound ;;
        *) module=none ;;
    esac
    tell scenario.objects cat /proc/scenario-objects
    tell cgroup.stat cat /sys/fs/cgroup/cgroup.stat
    tell keepers cat /run/keepers.log
    tell sockstat cat /proc/net/sockstat
    tell buddyinfo cat /proc/buddyinfo
    tell pagetypeinfo cat /proc/pagetypeinfo
    tell sysvipc_shm cat /proc/sysvipc/shm
    tell cgroups find /sys/fs/cgroup -type d
    tell mounts cat /proc/mounts
    tell processes ps -o pid,ppid,stat,vsz,comm,args
    tell dentry-state cat /proc/sys/fs/dentry-state
    tell inode-state cat /proc/sys/fs/inode-state
    tell file-nr cat /proc/sys/fs/file-nr
    tell nf_conntrack_count cat /proc/sys/net/netfilter/nf_conntrack_count
    {
        echo "{"
        echo "  \"scenario\": \"$scenario\","
        echo "  \"module\": \"$module\","
        echo '  "lost": ['
        lost
        echo '  ],'
        echo '  "reachable": ['
        reachable
        echo '  ],'
        echo '  "damaged": ['
        damaged
        echo '  ],'
        echo "  \"load_processes\": $(cat /proc/[0-9]*/comm 2>/dev/null | grep -cx load),"
        echo "  \"cgroups\": $(group_count nr_descendants),"
        echo "  \"cgroups_dying\": $(group_count nr_dying_descendants)"
        echo "}"
    } >/cap/scenario
}

# shellcheck shell=dash
# The scenario `rules`: rules of every kind, made by iptables-nft, ip6tables-nft, arptables-nft,
# ebtables-nft and ebtables-legacy (rules/*), and what these and nft say of them just before the
# panic. Read by init.sh, whose setting, say, tell and in_ns it uses.

# Programs of these names, with the namespace before them where it is not the initial one.
one_rule() { # FILE LINE COMMAND...
    local file=$1 line=$2 said
    shift 2
    # The words of a rule may be in quotes.
    said=$(eval '"$@"' "$line" 2>&1) || say "rules: left out of $file: $line: $(echo "$said" | head -n 1)"
}

load_rules() { # FILE KIND COMMAND...: lines that begin with another kind are not for it
    local file=$1 kind=$2 line
    shift 2
    while IFS= read -r line; do
        case $line in
            '#'* | '') continue ;;
            "$kind: "*) line=${line#*: } ;;
            [a-z]*:\ *) continue ;;
        esac
        one_rule "$file" "$line" "$@"
    done <"/etc/rules/$file"
}

# A bridge between both namespaces, beside the routes between them.
bridge_up() {
    local ip=/usr/bin/ip number=0 side
    $ip link add br0 type bridge || say "no bridge"
    for side in lan wan; do
        $ip link add "p$number" type veth peer name bridged netns $side
        $ip link set "p$number" master br0
        $ip link set "p$number" up
        in_ns $side $ip link set bridged up
        in_ns $side $ip addr add "10.77.0.$((number + 1))/24" dev bridged
        in_ns $side $ip -6 addr add "fd77::$((number + 1))/64" dev bridged nodad
        number=$((number + 1))
    done
    $ip addr add 10.77.0.254/24 dev br0
    $ip link set br0 up
    in_ns lan $ip link add br1 type bridge
    in_ns lan $ip link set br1 up
}

rules_start() {
    local program
    echo /usr/bin/modprobe >/proc/sys/kernel/modprobe
    bridge_up
    # iptables-nft wants chains of its own names in that table.
    /usr/bin/nft delete table ip nat
    ipset create hip hash:ip timeout 0 counters
    ipset create hnp hash:net,port
    ipset create hip6 hash:ip family inet6
    ipset add hip 10.66.0.1
    load_rules ip nft iptables-nft
    load_rules ip6 nft ip6tables-nft
    load_rules arp nft arptables-nft
    load_rules ebt nft ebtables-nft
    in_ns lan ipset create hip hash:ip
    load_rules ip.lan nft in_ns lan iptables-nft
    if [ -e /proc/modules ] && grep -q '^ebtables ' /proc/modules; then
        load_rules ebt legacy ebtables-legacy
        load_rules ebt.lan legacy in_ns lan ebtables-legacy
    else
        say "rules: this kernel has no ebtables but those of nf_tables"
    fi
    rules_traffic
}

rules_traffic() {
    # By its path: init.sh has a function of that name.
    /usr/bin/traffic serve udp 192.168.1.1 7000
    in_ns lan traffic open udp 192.168.1.10 192.168.1.1 7000 20
    in_ns lan ping -c 3 192.168.1.1 >/dev/null
    in_ns lan ping -c 2 fd00:1::1 >/dev/null
    in_ns lan ping -c 5 -A 10.77.0.2 >/dev/null
    in_ns lan ping -c 2 10.77.0.254 >/dev/null
    in_ns lan ping -c 2 fd77::2 >/dev/null
}

tell_rules() { # SUFFIX COMMAND-PREFIX...
    local suffix=$1
    shift
    # Asks for the names of hosts, over lo, where rules count that: first.
    tell "arptables-nft-save$suffix" "$@" arptables-nft-save -c
    tell "iptables-nft-save$suffix" "$@" iptables-nft-save -c
    tell "ip6tables-nft-save$suffix" "$@" ip6tables-nft-save -c
    tell "ebtables-nft-save$suffix" "$@" ebtables-nft-save
    tell "nft.a$suffix" "$@" nft -a list ruleset
    tell "nft.netlink$suffix" "$@" nft --debug=netlink list ruleset
    tell "nft.plain$suffix" "$@" nft list ruleset
    tell "nft.json$suffix" "$@" nft -j list ruleset
    tell "ipset.save$suffix" "$@" ipset save
    # Asking for a table makes it: the namespaces have what they have of the kernel's own.
    tell "ebtables-legacy-save$suffix" "$@" ebtables-legacy-save
    tell "ebtables-legacy-save-c$suffix" "$@" env EBTABLES_SAVE_COUNTER=yes ebtables-legacy-save
}

# When the capture kernel is loaded already. A namespace's own packets (solicitations, reports of
# groups) have ended by then.
rules_arm() {
    sleep 20
    tell iptables.version iptables-nft --version
    tell ebtables.version ebtables-legacy --version
    tell nft.version nft --version
    tell modules cat /proc/modules
    tell_rules .lan in_ns lan
    tell_rules ""
    # What moved meanwhile is told by these and those being different.
    tell iptables-nft-save.again iptables-nft-save -c
    tell ebtables-legacy-save-c.again env EBTABLES_SAVE_COUNTER=yes ebtables-legacy-save
    tar -cf /dev/vda -C /cap .
    sync
}

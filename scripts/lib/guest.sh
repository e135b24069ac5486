# shellcheck shell=bash
# Initramfs, QEMU, and what comes out of the guest. Uses $WORK and $SCRIPTS.

readonly GUEST_SUITE=sid
readonly GUEST_PACKAGES="busybox-static nftables conntrack iproute2 kmod kexec-tools makedumpfile"

guest_tools() {
    # shellcheck disable=SC2086
    tools_root "$GUEST_SUITE" $GUEST_PACKAGES
}

# pack DIRECTORY FILE
pack() {
    (cd "$1" && find . -print0 | LC_ALL=C sort -z |
        cpio --quiet --null -o -H newc --owner=+0:+0) | gzip -1 >"$2"
}

base_initramfs() {
    local directory=$1
    mkdir -p "$directory"/{bin,dev,etc,proc,sys,tmp,run,usr/bin}
    ln -sfn usr/lib "$directory/lib"
    install -m 755 "$SCRIPTS/guest/init.sh" "$directory/init"
}

# capture_initramfs TOOLS DIRECTORY MAKEDUMPFILE-OPTIONS
capture_initramfs() {
    base_initramfs "$2"
    copy_tool "$1" "$2" busybox makedumpfile modprobe
    echo "$3" >"$2/etc/makedumpfile.options"
}

# gateway_initramfs TOOLS DIRECTORY VMLINUZ CAPTURE-INITRD [MODULE-FILE]
gateway_initramfs() {
    local tools=$1 directory=$2 program
    base_initramfs "$directory"
    copy_tool "$tools" "$directory" busybox nft conntrack ip ss tc modprobe kexec
    cp "$SCRIPTS"/guest/{gateway.nft,lan.nft,modules,scenario.sh,network.sh,rules.sh} "$directory/etc/"
    for program in traffic load keepers queues; do
        cc -O2 -Wall -static -s -o "$directory/usr/bin/$program" "$SCRIPTS/guest/$program.c"
    done
    mkdir -p "$directory/crash"
    cp "$3" "$directory/crash/vmlinuz"
    cp "$4" "$directory/crash/initrd"
    [[ -z ${5:-} ]] || cp "$5" "$directory/"
}

# The packages of the programs that make rules, beside the guest's own.
rules_tools() { tools_root "$GUEST_SUITE" iptables ebtables ipset netbase; }

# rules_initramfs TOOLS DIRECTORY: these programs, with what they load by name.
rules_initramfs() {
    local tools=$1 directory=$2
    # Where the others' libraries are, as copy_tool looks there.
    cp -Lu "$tools"/usr/lib/ebtables/libebtc.so.0 "$tools/usr/lib/x86_64-linux-gnu/"
    copy_tool "$tools" "$directory" ipset perl ebtables-legacy \
        {iptables,ip6tables,arptables,ebtables}-nft{,-save}
    cp -R "$tools/usr/lib/x86_64-linux-gnu/xtables" "$directory/usr/lib/x86_64-linux-gnu/"
    cp -Lu "$tools"/usr/lib/x86_64-linux-gnu/lib{m,netfilter_conntrack,nfnetlink,mnl}.so.? \
        "$directory/usr/lib/x86_64-linux-gnu/"
    # A script of perl, which wants these and that path.
    install -m 755 "$tools/usr/sbin/ebtables-legacy-save" "$directory/usr/bin/"
    install -D -m 644 -t "$directory/usr/lib/x86_64-linux-gnu/perl-base" \
        "$tools"/usr/lib/x86_64-linux-gnu/perl-base/{strict,warnings}.pm
    mkdir -p "$directory/usr/sbin"
    ln -s ../bin/ebtables-legacy "$directory/usr/sbin/ebtables"
    # Where its own libraries are by its own word.
    install -D -m 644 -t "$directory/usr/lib/ebtables" "$tools/usr/lib/ebtables/libebtc.so.0"
    cp "$tools"/etc/{ethertypes,protocols,services} "$directory/etc/"
    cp -R "$SCRIPTS/guest/rules" "$directory/etc/rules"
    cat "$SCRIPTS/guest/modules.rules" >>"$directory/etc/modules"
}

# add_program DIRECTORY PROGRAM: with the libraries of this machine that it wants
add_program() {
    local library
    install -D -m 755 "$2" "$1/usr/bin/${2##*/}"
    ldd "$2" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$1$(dirname "$library")"
        [[ -e $1$library ]] || cp "$library" "$1$library"
    done
}

# build_module MODULE KERNEL-BUILD-DIRECTORY DIRECTORY [MAKE-ARGUMENT...]
build_module() {
    local module=$1 kernel=$2 directory=$3
    shift 3
    mkdir -p "$directory"
    cp "$SCRIPTS/guest/$module.c" "$SCRIPTS/guest/ledger.h" "$directory/"
    echo "obj-m := $module.o" >"$directory/Makefile"
    make -s -C "$kernel" M="$directory" "$@" modules >"$directory/build.log" 2>&1 ||
        die "$module does not build: see $directory/build.log"
}

# boot_guest DIRECTORY KERNEL INITRD APPEND QEMU-ARGUMENT...
# Leaves console.log, cap/ and vmcore.disk in DIRECTORY.
boot_guest() {
    local directory=$1 kernel=$2 initrd=$3 append=$4
    shift 4
    rm -rf "$directory"
    mkdir -p "$directory/cap"
    truncate -s 256M "$directory/cap.disk"
    truncate -s 4G "$directory/vmcore.disk"
    log "booting the guest (console: $directory/console.log)"
    timeout "${GUEST_SECONDS:-1800}" qemu-system-x86_64 -accel tcg,thread=multi \
        -nodefaults -display none -no-reboot -serial "file:$directory/console.log" \
        -kernel "$kernel" -initrd "$initrd" -append "console=ttyS0 $append" \
        -drive "file=$directory/cap.disk,format=raw,if=none,id=cap" \
        -device virtio-blk-pci,drive=cap \
        -drive "file=$directory/vmcore.disk,format=raw,if=none,id=vmcore" \
        -device virtio-blk-pci,drive=vmcore \
        "$@" || die "QEMU failed or took too long: see $directory/console.log"
    tar -xf "$directory/cap.disk" -C "$directory/cap" --no-same-owner
    rm "$directory/cap.disk"
}

# run_guest DIRECTORY ...: as boot_guest; leaves vmcore.flat.
run_guest() {
    local directory=$1 size
    boot_guest "$@"
    size=$(sed -n 's/.*guest: vmcore of \([0-9]*\) bytes.*/\1/p' "$directory/console.log")
    [[ -n $size ]] || die "no dump came out: see $directory/console.log"
    truncate -s "$size" "$directory/vmcore.disk"
    mv "$directory/vmcore.disk" "$directory/vmcore.flat"
    log "dumped: $size bytes, flattened"
}

# unflatten TOOLS FLAT FILE
unflatten() {
    rm -f "$3"
    run_tool "$1" makedumpfile -R "$3" <"$2" >&2
}

# last_words TOOLS DUMP DIRECTORY: what the guest wrote to the kernel's log just before the panic.
last_words() {
    rm -f "$3/dmesg.last"
    run_tool "$1" makedumpfile --dump-dmesg "$2" "$3/dmesg.last" >&2
    sed -nE 's/^\[[ 0-9.]*\]( \[ *[TC][0-9]+\])? slabinfo: //p' "$3/dmesg.last" >"$3/slabinfo.last"
    rm "$3/dmesg.last"
}

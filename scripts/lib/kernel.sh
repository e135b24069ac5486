# shellcheck shell=bash
# A Debian kernel as it is packaged: image, modules, headers and vmlinux, unpacked to
# $WORK/kernel-RELEASE. Uses $WORK and what packages.sh has; $tools is guest_tools' directory.

# The image, its modules and what its headers need; since 7.x the image is split.
kernel_packages() {
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
        --no-replaces --no-enhances "linux-image-$1" "linux-headers-$1" |
        grep -E '^linux-(image|binary|modules|base|headers|kbuild)-' | grep -v -e '-unsigned$' | sort -u
    echo "linux-image-$1-dbg"
}

# fetch_kernel RELEASE
fetch_kernel() {
    local root=$WORK/kernel-$1 package deb
    [[ ! -e $root/.complete ]] || return 0
    rm -rf "$root"
    mkdir -p "$root/usr/lib"
    ln -s usr/lib "$root/lib"
    kernel_packages "$1" | while read -r package; do
        deb=$(download "$package")
        case $package in
            *-dbg)
                unpack "$deb" "$root" --wildcards './usr/lib/debug/*vmlinux*' \
                    './usr/lib/debug/*/net/netfilter/*' './usr/lib/debug/*/net/ipv?/netfilter/*'
                ;;
            *) unpack "$deb" "$root" --exclude='./usr/share/*' ;;
        esac
        basename "$deb" >>"$root/.packages"
    done
    relocate_headers "$root"
    touch "$root/.complete"
}

# The headers name each other by absolute paths, and their programs may want a
# newer C library than this machine's.
relocate_headers() { # ROOT
    local root=$1 file
    find "$root/usr/src" -maxdepth 2 -name Makefile -exec \
        sed -i "s#\([ =]\)/usr/src/linux-#\1$root/usr/src/linux-#g" {} +
    find "$root"/usr/lib/linux-kbuild-* "$root"/usr/src/*/ -type f -perm -u+x |
        while read -r file; do
            ldd "$file" 2>&1 | grep -q 'not found' || continue
            mv "$file" "$file.elf"
            cat >"$file" <<WRAPPER
#!/bin/sh
exec "${tools:?}/$LOADER" --library-path "$tools/usr/lib/x86_64-linux-gnu" "$file.elf" "\$@"
WRAPPER
            chmod 755 "$file"
        done
}

# copy_modules RELEASE DIRECTORY MODULE...: with all they depend on; a kernel need
# not have every one
copy_modules() {
    local release=$1 root=$WORK/kernel-$1 directory=$2 module file
    shift 2
    for module in "$@"; do
        run_tool "$tools" modprobe -d "$root" -S "$release" --show-depends "$module" 2>/dev/null |
            awk '$1 == "insmod" { print $2 }' || true
    done | sort -u | while read -r file; do
        install -D -m 644 "$file" "$directory/usr${file#"$root"}" 2>/dev/null ||
            die "no module $file"
    done
    run_tool "$tools" depmod -b "$directory" "$release" 2>/dev/null
}

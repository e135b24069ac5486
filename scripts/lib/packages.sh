# shellcheck shell=bash
# Debian packages of several suites, without installing any: an apt of our own
# (own lists, own cache, an empty package status) which needs no root and
# leaves the machine's apt alone. Uses $WORK. A mirror that stands still is
# good enough, so expired lists are accepted.

# More suites, and whole lines of sources, may be set before.
readonly SUITES="${SUITES:-bullseye bookworm sid}"
readonly SECURITY_SUITES="${SECURITY_SUITES:-bullseye bookworm}"
# Whose packages. Programs of another architecture than amd64 run nowhere here.
ARCHITECTURE="${ARCHITECTURE:-amd64}"
readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror which the machine itself uses for its own suite (or its -security).
mirror_of() {
    local codename
    # shellcheck disable=SC1091
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016
    env -u APT_CONFIG apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v release="$codename$1" '$2 == release && $3 == "main" { print $1; exit }'
}

write_sources() {
    local mirror security suite
    mirror=${VMLEAK_MIRROR:-$(mirror_of '')}
    security=${VMLEAK_SECURITY_MIRROR:-$(mirror_of -security)}
    if [[ -z $mirror || -z $security ]]; then
        die "no Debian mirror in /etc/apt: set VMLEAK_MIRROR and VMLEAK_SECURITY_MIRROR"
    fi
    for suite in $SUITES; do
        echo "deb [signed-by=$KEYRING] $mirror $suite main"
    done
    for suite in $SECURITY_SUITES; do
        echo "deb [signed-by=$KEYRING] $security $suite-security main"
    done
    printf '%s' "${MORE_SOURCES:-}"
}

# Readies $WORK/apt; the lists are fetched again when they are a day old.
apt_init() {
    local apt=$WORK/apt
    [[ $ARCHITECTURE == amd64 ]] || apt=$apt-$ARCHITECTURE
    mkdir -p "$apt"/{apt.conf.d,preferences.d,lists/partial} "$apt/cache/archives/partial" "$WORK/debs"
    : >"$apt/status"
    write_sources >"$apt/sources.list"
    cat >"$apt/apt.conf" <<CONF
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
Dir::Etc "$apt";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
APT::Sandbox::User "$(id -un)";
Acquire::Check-Valid-Until "false";
APT::Install-Recommends "false";
APT::Architecture "$ARCHITECTURE";
APT::Cache-Start "200000000";
quiet "2";
CONF
    export APT_CONFIG=$apt/apt.conf
    if [[ -z $(find "$apt/updated" -mmin -1440 2>/dev/null) ]]; then
        log "fetching package lists"
        apt-get update || log "not every suite could be read; going on with the others"
        touch "$apt/updated"
    fi
}

package_version() { apt-cache policy "$1" | awk '/Candidate:/ { print $2 }'; }

# download PACKAGE[=VERSION]: prints the path of the .deb
download() {
    local package=$1 name version file
    name=${package%%=*}
    version=${package#"$name"}
    version=${version#=}
    version=${version:-$(package_version "$name")}
    if [[ -z $version || $version == "(none)" ]]; then
        die "no package $name in any suite"
    fi
    file=$(find "$WORK/debs" -name "${name}_${version//:/%3a}_*.deb" -print -quit)
    if [[ -z $file ]]; then
        log "downloading $name $version"
        (cd "$WORK/debs" && apt-get download "$name=$version" >&2)
        file=$(find "$WORK/debs" -name "${name}_${version//:/%3a}_*.deb" -print -quit)
    fi
    echo "$file"
}

# unpack DEB DIRECTORY [TAR-ARGUMENT...]
unpack() {
    local deb=$1 directory=$2
    shift 2
    mkdir -p "$directory"
    dpkg-deb --fsys-tarfile "$deb" |
        tar -x -C "$directory" --keep-directory-symlink --no-same-owner "$@"
}

# tools_root SUITE PACKAGE...: the packages with all they depend on, unpacked
# to a directory of their own, whose path it prints.
tools_root() {
    local suite=$1 root deb
    shift
    root=$WORK/tools-$suite-$(printf '%s\n' "$@" | sha256sum | cut -c1-8)
    if [[ ! -e $root/.complete ]]; then
        log "unpacking tools of $suite: $*"
        rm -rf "$root"
        mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root/.debs/partial"
        ln -s usr/bin usr/sbin usr/lib usr/lib64 "$root"
        apt-get -y -t "$suite" --download-only -o Dir::Cache::archives="$root/.debs" install "$@" >&2
        for deb in "$root"/.debs/*.deb; do
            unpack "$deb" "$root" --exclude='./usr/share/*'
        done
        (cd "$root/.debs" && printf '%s\n' *.deb) >"$root/.complete"
        rm -rf "$root/.debs"
    fi
    echo "$root"
}

readonly LOADER=lib64/ld-linux-x86-64.so.2

# run_tool ROOT PROGRAM ARGUMENT...: with the root's own libraries
run_tool() {
    local root=$1 program=$2
    shift 2
    "$root/$LOADER" --library-path "$root/usr/lib/x86_64-linux-gnu" \
        "$(find_tool "$root" "$program")" "$@"
}

find_tool() {
    local directory
    for directory in usr/bin usr/sbin; do
        if [[ -e $1/$directory/$2 ]]; then
            echo "$1/$directory/$2"
            return
        fi
    done
    die "no program $2 in $1"
}

# libraries_of ROOT PROGRAM: nothing for a static one
libraries_of() {
    if readelf -lW "$2" | grep -q INTERP; then
        "$1/$LOADER" --library-path "$1/usr/lib/x86_64-linux-gnu" --list "$2" |
            awk '$2 == "=>" { print $3 }'
    fi
}

# copy_tool ROOT DESTINATION PROGRAM...: programs to usr/bin, with libraries
copy_tool() {
    local root=$1 destination=$2 program path library
    shift 2
    mkdir -p "$destination"/{usr/bin,usr/lib/x86_64-linux-gnu,lib64}
    cp -L "$root/$LOADER" "$destination/$LOADER"
    for program in "$@"; do
        path=$(find_tool "$root" "$program")
        cp -L "$path" "$destination/usr/bin/$program"
        libraries_of "$root" "$path" | while read -r library; do
            cp -Lu "$library" "$destination/usr/lib/x86_64-linux-gnu/"
        done
    done
}

# shellcheck shell=bash
# What every script here needs: messages, checks, the work directory.

shopt -s inherit_errexit

log() { printf '%(%T)T %s\n' -1 "$*" >&2; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# need COMMAND:PACKAGE...
need() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    if ((${#missing[@]})); then
        die "please install: ${missing[*]}"
    fi
}

default_work() { printf '%s/vmleak/guests' "${XDG_CACHE_HOME:-$HOME/.cache}"; }

# build_id ELF
build_id() { readelf -n "$1" 2>/dev/null | sed -n 's/.*Build ID: //p' | head -n 1; }

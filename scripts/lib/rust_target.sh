#!/usr/bin/env bash
# Finds a Rust that can build for TARGET and prints how to call it, as shell assignments:
#
#     settings=$(scripts/lib/rust_target.sh TARGET) || exit 1
#     (eval "$settings"; "$CARGO" build --target TARGET $CARGO_TARGET_ARGUMENTS --package CRATE)
#
# CARGO and CARGO_TARGET_ARGUMENTS are set; RUSTC, RUSTC_BOOTSTRAP and a linker variable are exported where they are needed, so
# keep them in a subshell. In this order:
#   1. the Rust on the PATH, when it has the target's standard library or `rustup target add` can bring it;
#   2. any other Rust with the source of its own standard library (a distribution's rust-src, another rustup toolchain), which
#      is then built along (build-std).
# Otherwise: what to install, on standard error, status 1, and `false` on standard output.
# RUST_TARGET_OFFLINE=1 leaves out `rustup target add`.
set -u

target=${1:-}
if [ -z "$target" ] || [ $# -ne 1 ]; then
    echo "usage: rust_target.sh TARGET        (for example wasm32-unknown-unknown)" >&2
    echo false
    exit 2
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit 1 # rust-toolchain files and overrides of this folder count

# Seconds that `rustup target add` may take: some 30 MB from a server that may not be there.
RUSTUP_SECONDS=120

oldest=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' Cargo.toml | head -n 1)
case "$target" in
    *-none | *-none-*) standard_library=core,alloc ;;
    *) standard_library=std,panic_abort ;;
esac
missing=()

say() { echo "rust_target: $*" >&2; }

new_enough() { # RUSTC
    local version
    version=$("$1" --version 2>/dev/null | sed -n 's/^rustc \([0-9][0-9.]*\).*/\1/p')
    [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ]
}

has_standard_library() { # RUSTC
    local folder
    folder=$("$1" --print target-libdir --target "$target" 2>/dev/null) && compgen -G "$folder/libcore-*.rlib" >/dev/null
}

has_source() { # RUSTC
    local sysroot
    sysroot=$("$1" --print sysroot 2>/dev/null) && [ -f "$sysroot/lib/rustlib/src/rust/library/core/Cargo.toml" ]
}

# Sets `linker` for a target that gcc does not link, empty when rustc brings its own: distributions
# leave out the rust-lld of rustup's toolchains. Libraries alone (no operating system) need none.
find_linker() { # RUSTC
    local sysroot host major name candidate
    linker=
    sysroot=$("$1" --print sysroot)
    host=$("$1" -vV | sed -n 's/^host: //p')
    [ -x "$sysroot/lib/rustlib/$host/bin/rust-lld" ] && return 0
    major=$("$1" -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    case "$target" in wasm32-*) name=wasm-ld ;; *) name=ld.lld ;; esac
    for candidate in rust-lld "$name-$major" "$name" \
        "${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/*/lib/rustlib/*/bin/rust-lld; do
        linker=$(command -v "$candidate") && return 0
    done
    case "$target" in *-none | *-none-*) return 0 ;; esac
    missing+=("a linker for $1: lld-$major (or any newer lld)")
    return 1
}

answer() { # RUSTC, CARGO, extra arguments
    local linker variable
    find_linker "$1" || return 1
    printf 'CARGO=%q\n' "$2"
    printf 'CARGO_TARGET_ARGUMENTS=%q\n' "$3"
    [ "$1" = rustc ] || printf 'export RUSTC=%q\n' "$1"
    [ -z "$3" ] || printf 'export RUSTC_BOOTSTRAP=1\n'
    if [ -n "$linker" ]; then
        variable=CARGO_TARGET_$(printf '%s' "$target" | tr 'a-z-' 'A-Z_')
        printf 'export %s_LINKER=%q\n' "$variable" "$linker"
    fi
}

# 1. The Rust that everybody calls.
if command -v cargo >/dev/null && command -v rustc >/dev/null && new_enough rustc; then
    if has_standard_library rustc; then
        answer rustc cargo "" && exit 0
    elif [ -z "${RUST_TARGET_OFFLINE:-}" ] && command -v rustup >/dev/null; then
        say "the standard library for $target is not installed; asking rustup (at most $RUSTUP_SECONDS s)"
        if timeout "$RUSTUP_SECONDS" rustup target add "$target" >&2 && has_standard_library rustc; then
            answer rustc cargo "" && exit 0
        fi
        say "rustup could not bring it; looking for a Rust with its source"
    fi
fi

# 2. Any Rust with the source of its standard library.
for rustc in /usr/bin/rustc /usr/local/bin/rustc /usr/lib/rust-*/bin/rustc \
    "${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/*/bin/rustc; do
    cargo=${rustc%rustc}cargo
    [ -x "$rustc" ] && [ -x "$cargo" ] && new_enough "$rustc" || continue
    if has_standard_library "$rustc"; then
        answer "$rustc" "$cargo" "" && exit 0
    elif has_source "$rustc"; then
        answer "$rustc" "$cargo" "-Zbuild-std=$standard_library" && exit 0
    else
        missing+=("the source of the standard library of $rustc")
    fi
done

{
    echo "No Rust $oldest or newer here can build for $target. Either of these gives one:"
    echo "    rustup target add $target                              with Rust from https://rustup.rs"
    echo "    apt-get install rustc-web cargo-web rust-web-src lld-22   on Debian 12 (the lld of that Rust's LLVM)"
    echo "    apt-get install rustc cargo rust-src lld               where the distribution's Rust is $oldest or newer"
    if [ "${#missing[@]}" -gt 0 ]; then
        echo "Found, but incomplete; missing:"
        printf '    %s\n' "${missing[@]}"
    fi
} >&2
echo false
exit 1

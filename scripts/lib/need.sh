# Sourced by scripts/run and scripts/test: sees to the programs that a step needs.
#
# need PACKAGE[...] -- installs Debian packages where the rights allow it, otherwise prints the exact command and stops.

# rustup's folder is put on the PATH by login shells only.
if ! command -v cargo-fmt >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo-fmt" ]; then
    export PATH="$HOME/.cargo/bin:$PATH"
fi

say() { printf '%s\n' "$*" >&2; }

# The command prefix that may install packages; empty output and status 1 where there is none.
installer() {
    command -v apt-get >/dev/null 2>&1 || return 1
    if [ "$(id -u)" = 0 ]; then
        return 0
    fi
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        printf 'sudo'
        return 0
    fi
    return 1
}

need() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local prefix
    if ! prefix=$(installer); then
        say "Missing: ${missing[*]}. Install with:"
        say "    sudo apt-get update && sudo apt-get install --yes ${missing[*]}"
        return 1
    fi
    say "Installing ${missing[*]} ..."
    { $prefix apt-get update && DEBIAN_FRONTEND=noninteractive $prefix apt-get install --yes --no-install-recommends "${missing[@]}"; } \
        >"${TMPDIR:-/tmp}/thecal-apt.log" 2>&1 || {
        tail -n 5 "${TMPDIR:-/tmp}/thecal-apt.log" >&2
        say "Could not install: ${missing[*]}. Install with:"
        say "    sudo apt-get update && sudo apt-get install --yes ${missing[*]}"
        return 1
    }
}

# need_command COMMAND PACKAGE: the package, unless the command is there already (however it came).
need_command() {
    command -v "$1" >/dev/null 2>&1 || need "$2"
}

# A Rust that builds for TARGET: what is here, or what the distribution has.
need_rust_target() {
    scripts/lib/rust_target.sh "$1" >/dev/null 2>&1 && return 0
    if apt-cache show rust-src 2>/dev/null | grep -q "^Version: 1\.\(8[5-9]\|9\)"; then
        need rustc cargo rust-src lld
    else
        need rustc-web cargo-web rust-web-src lld
    fi
}

need_rust() {
    command -v cargo >/dev/null 2>&1 && return 0
    say "Missing: Rust 1.89 or newer. Install it from https://rustup.rs"
    return 1
}

# What building the host crates needs: a C compiler for the motor core, libclang for bindgen.
need_host_build() {
    need_rust && need_command cc gcc && need_libclang
}

need_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] || compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null \
        || ldconfig -p 2>/dev/null | grep -q 'libclang[-.]' || need libclang-dev
}

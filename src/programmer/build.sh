#!/usr/bin/env bash
# Builds the phone page into target/page (or $CARGO_TARGET_DIR/page): index.html, styles, modules, WebAssembly.
#
#   src/programmer/build.sh            shows what it does while it does it
set -eu
cd "$(dirname "$0")/../.."

triple=wasm32-unknown-unknown
target=${CARGO_TARGET_DIR:-target}
settings=$(scripts/lib/rust_target.sh "$triple") || exit 1

# In a subshell: the settings may name another Rust than that of everything else. A page is loaded over a phone's network, so that
# it is made small; the checks of integer overflow stay as in every other release build.
(
    eval "$settings"
    export CARGO_PROFILE_RELEASE_OPT_LEVEL=s CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
        CARGO_PROFILE_RELEASE_PANIC=abort CARGO_PROFILE_RELEASE_DEBUG=false
    # shellcheck disable=SC2086 # several words
    "$CARGO" build --release --locked --package programmer --lib --target "$triple" $CARGO_TARGET_ARGUMENTS \
        --target-dir "$target/page-build"
)
cargo run --release --locked --quiet --package bundle -- \
    "$target/page-build/$triple/release/programmer.wasm" src/programmer/page "$target/page"
echo "The page is in $target/page"

//! Makes the bindings of every header in include/thecal, and on hosts builds the C cores.
//!
//! On the device Zephyr's build compiles the C files and links them with the application (src/drivers/CMakeLists.txt);
//! here they would be compiled a second time and for the wrong machine. A browser (wasm) has no motor at all.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// C files that need no device: plain functions over plain structures.
const HOST_SOURCES: [&str; 4] = [
    "motor/interlock.c",
    "motor/motor_core.c",
    "motor/motor_emulated.c",
    "motor/rotor.c",
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let include = folder.join("include");
    make_bindings(
        &include,
        &PathBuf::from(env::var("OUT_DIR")?).join("bindings.rs"),
    )?;

    // Unset for a target that is no operating system's family.
    let family = env::var("CARGO_CFG_TARGET_FAMILY").unwrap_or_default();
    if env::var("CARGO_CFG_TARGET_OS")? != "none" && family != "wasm" {
        build_cores(&folder, &include);
    }
    Ok(())
}

/// One wrapper that includes every header we have, so that a new header needs no change here.
fn make_bindings(include: &Path, output: &Path) -> Result<(), Box<dyn Error>> {
    let headers = include.join("thecal");
    println!("cargo::rerun-if-changed={}", headers.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&headers)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "h") {
            println!("cargo::rerun-if-changed={}", path.display());
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                names.push(name.to_owned());
            }
        }
    }
    // The folder's own order differs between machines; the bindings must not.
    names.sort();
    let wrapper: String = names
        .iter()
        .map(|name| format!("#include <thecal/{name}>\n"))
        .collect();

    bindgen::Builder::default()
        .header_contents("thecal-wrapper.h", &wrapper)
        // The headers use stdint.h and stdbool.h alone, which the compiler brings along: no C library is looked at, so
        // bindings for the device come out right on a machine without its tools. bindgen adds --target itself.
        .clang_args(["-ffreestanding", "-std=c11"])
        .clang_arg(format!("-I{}", include.display()))
        .use_core()
        .allowlist_function("thecal_.*")
        .allowlist_type("thecal_.*")
        .allowlist_var("THECAL_.*")
        .layout_tests(true)
        .derive_copy(true)
        .derive_default(true)
        .derive_eq(true)
        .generate_comments(false)
        .prepend_enum_name(false)
        .generate()?
        .write_to_file(output)?;
    Ok(())
}

fn build_cores(folder: &Path, include: &Path) {
    let mut build = cc::Build::new();
    for source in HOST_SOURCES {
        let path = folder.join(source);
        println!("cargo::rerun-if-changed={}", path.display());
        build.file(path);
    }
    build
        .include(include)
        .std("c11")
        .warnings(true)
        .extra_warnings(true)
        // Also in debug builds: a simulated day is up to ten million steps.
        .opt_level(2)
        .compile("thecal_drivers");
}

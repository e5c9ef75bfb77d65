//! Makes the Kconfig options of this image known as `cfg`s and constants, and refuses to build outside of Zephyr's build.
//!
//! zephyr-lang-rust hands the crates `zephyr`, `zephyr-sys` and `zephyr-build` to Cargo by patching crates.io. The `zephyr` that crates.io itself
//! holds is an unrelated web framework, so three things stand between it and an image: `Cargo.lock` names no source for these crates,
//! `zephyr-build`, which crates.io does not have, is needed to compile this very file, and the variables below come from that build alone.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

/// What the CMake part of zephyr-lang-rust sets for Cargo.
const ENVIRONMENT: [&str; 4] = ["ZEPHYR_BASE", "DOTCONFIG", "ZEPHYR_DTS", "BUILD_DIR"];

/// The options that this crate asks for with `#[cfg(CONFIG_...)]`.
const OPTIONS: [&str; 4] = [
    "CONFIG_BOARD_NATIVE_SIM",
    "CONFIG_LOG",
    "CONFIG_THECAL_LINK",
    "CONFIG_THECAL_FAULT_INJECTION",
];

/// The numbers that this crate reads in `crate::kconfig`, all of them u64.
const NUMBERS: [&str; 1] = ["CONFIG_THECAL_RECOVERY_LIMIT_MS"];

fn main() -> Result<(), Box<dyn Error>> {
    for name in ENVIRONMENT {
        println!("cargo::rerun-if-env-changed={name}");
        if env::var_os(name).is_none() {
            return Err(format!(
                "{name} is not set: the firmware is built by Zephyr's build (west build -b native_sim/native/64 in the \
                 root of the repository), not by cargo alone; see docs/zephyr.md"
            )
            .into());
        }
    }
    let configuration = env::var("DOTCONFIG")?;
    println!("cargo::rerun-if-changed={configuration}");
    let set = zephyr_build::extract_kconfig_bool_options(&configuration)?;
    for option in OPTIONS {
        println!("cargo::rustc-check-cfg=cfg({option})");
        if set.contains(option) {
            println!("cargo::rustc-cfg={option}");
        }
    }
    let text = fs::read_to_string(&configuration)?;
    let mut module = String::new();
    for name in NUMBERS {
        let value: u64 = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .ok_or_else(|| format!("{name} is missing in {configuration}"))?
            .parse()?;
        module.push_str(&format!("pub const {name}: u64 = {value};\n"));
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("kconfig.rs"), module)?;
    Ok(())
}

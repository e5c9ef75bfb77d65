//! Puts the phone page together: `bundle WASM PAGE OUTPUT`.
//!
//! Does what the command `wasm-bindgen --target web` would do, through the library behind it, so that nobody has to install that
//! command in just the right version; then lays the static files of PAGE beside it. OUTPUT is replaced as a whole, and only when
//! everything has gone well.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [wasm, page, output] = arguments.as_slice() else {
        eprintln!("usage: bundle WASM PAGE OUTPUT");
        return ExitCode::from(2);
    };
    match bundle(Path::new(wasm), Path::new(page), Path::new(output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bundle: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bundle(wasm: &Path, page: &Path, output: &Path) -> Result<()> {
    ensure!(
        wasm.is_file(),
        "{}: no such file; build the programmer for wasm32-unknown-unknown first",
        wasm.display()
    );
    ensure!(
        page.join("index.html").is_file(),
        "{}: holds no index.html",
        page.display()
    );
    ensure!(
        !output.exists() || output.join("index.html").is_file(),
        "{}: exists and is no page; it will not be replaced",
        output.display()
    );
    let fresh = beside(output, "new")?;
    remove(&fresh)?;
    fs::create_dir_all(&fresh).with_context(|| fresh.display().to_string())?;
    copy(page, &fresh)?;
    Bindgen::new()
        .input_path(wasm)
        .out_name("programmer")
        .web(true)?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&fresh)
        .with_context(|| format!("{}: wasm-bindgen", wasm.display()))?;
    let old = beside(output, "old")?;
    remove(&old)?;
    if output.exists() {
        fs::rename(output, &old).with_context(|| output.display().to_string())?;
    }
    fs::rename(&fresh, output).with_context(|| output.display().to_string())?;
    remove(&old)
}

/// A path beside `path`, on the same file system.
fn beside(path: &Path, suffix: &str) -> Result<PathBuf> {
    let mut name = path
        .file_name()
        .with_context(|| format!("{}: is no folder's name", path.display()))?
        .to_owned();
    name.push(format!(".{suffix}"));
    Ok(path.with_file_name(name))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    Ok(())
}

/// Copies the files of a folder and of those in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).with_context(|| entry.path().display().to_string())?;
        } else {
            bail!("{}: neither a file nor a folder", entry.path().display());
        }
    }
    Ok(())
}

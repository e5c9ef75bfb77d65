"""Finds a Zephyr workspace the way Zephyr's own tools do: ZEPHYR_BASE, a west topdir, the CMake package registry."""

import os
from pathlib import Path

NOT_FOUND = "no Zephyr workspace (set ZEPHYR_BASE, work inside a west workspace, or run `west zephyr-export`)"


def is_zephyr(path):
    """Whether `path` is a Zephyr tree."""
    return (path / "cmake/modules/zephyr_default.cmake").is_file() and (path / "VERSION").is_file()


def from_environment():
    base = os.environ.get("ZEPHYR_BASE")
    return Path(base) if base and is_zephyr(Path(base)) else None


def from_west_topdir(start):
    for folder in [start, *start.parents]:
        if (folder / ".west/config").is_file() and is_zephyr(folder / "zephyr"):
            return folder / "zephyr"
    return None


def from_cmake_registry():
    registry = Path.home() / ".cmake/packages/Zephyr"
    if not registry.is_dir():
        return None
    for entry in sorted(registry.iterdir()):
        # Each entry names the folder of ZephyrConfig.cmake: <zephyr>/share/zephyr-package/cmake.
        base = Path(entry.read_text().strip()).parent.parent.parent
        if is_zephyr(base):
            return base
    return None


def find(root):
    """The path of the Zephyr tree, or None."""
    return from_environment() or from_west_topdir(root) or from_cmake_registry()

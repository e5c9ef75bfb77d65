"""Flash and RAM of the boards' images, and the table of docs/footprint.md.

    footprint.py BOARD=ELF...              prints the table
    footprint.py --write BOARD=ELF...      and writes it into docs/footprint.md
    footprint.py --crates ELF              code of an image by Rust crate, and what of it is the link's

The builds of scripts/test are at hand: python3 tests/firmware/footprint.py --write nrf52840dk/nrf52840=target/zephyr/nRF52840/zephyr/zephyr.elf ...
"""

import re
import subprocess
import sys
from pathlib import Path

import stack_depth

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/footprint.md"
BEGIN, END = "<!-- table: tests/firmware/footprint.py -->", "<!-- end of table -->"
# The table may lag behind the code by so many bytes.
FLASH_SLACK = 4096
RAM_SLACK = 1024
# What the boards have, KB: slot less the boot loader's share (CONFIG_THECAL_IMAGE_LIMIT_KB), and RAM less the retained KB.
FLASH = {"nrf52840dk/nrf52840": 508}
RAM = {"nrf52840dk/nrf52840": 255}


def measure(elf):
    """(flash bytes, RAM bytes) as the linker's memory report counts them."""
    listing = subprocess.run(["readelf", "-lW", elf], capture_output=True, text=True, check=True).stdout
    flash = ram = 0
    for line in listing.splitlines():
        parts = line.split()
        if parts and parts[0] == "LOAD":
            _, address, physical, in_file, in_memory = (int(part, 16) for part in parts[1:6])
            if address >= 0x2000_0000:
                ram += in_memory
            if physical < 0x1000_0000:
                flash += in_file
    return flash, ram


def row(board, elf):
    flash, ram = measure(elf)
    stacks = ", ".join(f"{entry.removeprefix('thecal_rs_')} {need}/{there}" for entry, need, there, _ in stack_depth.measure(elf))
    return board, flash, ram, stacks


def table(rows):
    lines = ["| board | flash, bytes | of | RAM, bytes | of | stacks: needed/there, bytes |", "|---|---|---|---|---|---|"]
    for board, flash, ram, stacks in rows:
        lines.append(f"| `{board}` | {flash:,} | {share(flash, FLASH[board])} | {ram:,} | {share(ram, RAM[board])} | {stacks} |")
    return "\n".join(lines)


def share(used, room):
    """Of so many KB."""
    return f"{room} KB, {100 * used / (room * 1024):.1f} %"


def written():
    """The table's numbers: {board: (flash, RAM)}."""
    text = PAGE.read_text() if PAGE.is_file() else ""
    found = re.findall(r"^\| `([\w/]+)` \| ([\d,]+) \| [^|]*\| ([\d,]+) \|", text, re.MULTILINE)
    return {board: (int(flash.replace(",", "")), int(ram.replace(",", ""))) for board, flash, ram in found}


def compare(images):
    """What of the table is wrong, for [(board, elf)]."""
    known = written()
    wrong = []
    for board, elf in images:
        flash, ram = measure(elf)
        if board not in known:
            wrong.append(f"{board} is missing")
        elif abs(known[board][0] - flash) > FLASH_SLACK or abs(known[board][1] - ram) > RAM_SLACK:
            wrong.append(f"{board}: the table says {known[board]}, the image has {(flash, ram)}")
    if wrong:
        pairs = " ".join(f"{board}={elf}" for board, elf in images)
        wrong.append(f"write it anew: python3 tests/firmware/footprint.py --write {pairs}")
    return wrong


# What is in an image for the link alone: session, keys and messages, the thread that drives them, cryptography.
LINK = {
    "protocol": "", "rustapp": "link", "curve25519_dalek": "", "x25519_dalek": "", "chacha20": "", "chacha20poly1305": "",
    "poly1305": "", "universal_hash": "", "cipher": "", "aead": "", "sha2": "", "hmac": "", "digest": "", "block_buffer": "",
    "hybrid_array": "", "subtle": "", "crc": "",
}


def crate_of(symbol):
    """The crate of a function, or of the type whose trait it is, by its mangled name; None for C."""
    found = re.match(r"_ZN(\d+)", symbol)
    if not found:
        return "rustapp" if symbol.startswith("thecal_rs_") else None
    first = symbol[found.end():][:int(found.group(1))]
    # A path of its own, or `_<Type as Trait>` with `..` in paths; references and slices have their signs in front.
    return re.search(r"([a-z_]\w*)\.\.", first.replace("$u20$", " ").replace("$LT$", "<").replace("$RF$", "&").replace("$u5b$", "[")
                     .replace("_<", "<") + "..").group(1)


def crates(elf):
    """(bytes of code by Rust crate, bytes of it that are the link's)."""
    listing = subprocess.run(["nm", "-S", elf], capture_output=True, text=True, check=True).stdout
    sizes, link = {}, 0
    for parts in (line.split() for line in listing.splitlines()):
        if len(parts) == 4 and parts[2] in "tT" and (crate := crate_of(parts[3])):
            size = int(parts[1], 16)
            sizes[crate] = sizes.get(crate, 0) + size
            if crate in LINK and LINK[crate] in parts[3]:
                link += size
    return sizes, link


def main(arguments):
    if arguments[:1] == ["--crates"] and len(arguments) == 2:
        sizes, link = crates(arguments[1])
        for crate, size in sorted(sizes.items(), key=lambda found: -found[1]):
            print(f"{size:8,} {crate}")
        print(f"{link:8,} of them for the link")
        return 0
    write = "--write" in arguments
    images = [argument.split("=", 1) for argument in arguments if "=" in argument]
    if not images:
        print(__doc__, file=sys.stderr)
        return 2
    made = table([row(board, elf) for board, elf in images])
    print(made)
    if write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

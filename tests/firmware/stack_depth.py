"""How deep each Rust thread's stack can get on a Cortex-M: from the code of the finished image, without running it.

Reads the disassembly: what every function pushes, and whom it calls. The deepest path from a thread's entry is what the thread needs of
its own code. Calls through pointers cannot be followed (a driver's functions behind a `struct device`, formatting); each counts as
INDIRECT_BYTES. Recursion is followed once around and reported.

    stack_depth.py ELF [--objdump arm-none-eabi-objdump]
"""

import argparse
import re
import subprocess
import sys

# A call through a pointer: a driver's function and what it calls. The deepest of the flash and motor drivers need less.
INDIRECT_BYTES = 400
# What an interrupt puts on the thread's stack before it changes to its own: the processor's frame, with alignment (ARMv7-M, B1.5.6).
EXCEPTION_BYTES = 40
# Zephyr's guard region at the end of a stack (CONFIG_HW_STACK_PROTECTION).
GUARD_BYTES = 32
# Called with the kernel's own frames below them.
ENTRIES = {
    "thecal_rs_delivery": "_k_thread_stack_thecal_delivery",
    "thecal_rs_journal": "_k_thread_stack_thecal_journal",
    "thecal_rs_link": "_k_thread_stack_thecal_link",
}

# What of the link thread's is the session's and the protocol's, each from its function down: a frame taken, an answer put, the keys read.
SESSION = {
    "session, a frame": "_ZN8protocol7session7Session7receive17h",
    "session, an answer": "_ZN8protocol7session7Session14answer_encoded17h",
    "session, the keys": "_ZN8protocol4keys7Keyring4read17h",
}

FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
REGISTERS = re.compile(r"\{(.*?)\}")
CALL = re.compile(r"\t(?:bl|b|b\.w|b\.n|blx)\s+[0-9a-f]+ <([^>+]+)>")


def registers(text):
    """How many registers a list like `r4, r5-r7, lr` names."""
    count = 0
    for part in REGISTERS.search(text).group(1).split(","):
        ends = [part.strip()] if "-" not in part else part.split("-")
        if len(ends) == 1:
            count += 1
        else:
            first, last = (int(end.strip().lstrip("rs")) for end in ends)
            count += last - first + 1
    return count


def read(elf, objdump):
    """Frames and calls by function: {name: [frame bytes, {callees}, indirect calls?]}."""
    functions = {}
    current = None
    listing = subprocess.run([objdump, "-d", "--no-show-raw-insn", elf], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        found = FUNCTION.match(line)
        if found:
            current = functions.setdefault(found.group(1), [0, set(), False])
            continue
        if current is None or "\t" not in line:
            continue
        code = line.split(";")[0]
        if re.search(r"\tpush\b|\tstmdb\s+sp!", code):
            current[0] += 4 * registers(code)
        elif re.search(r"\tvpush\b|\tvstmdb\s+sp!", code):
            current[0] += 8 * registers(code)
        elif found := re.search(r"\tsub(?:w|\.w)?\s+sp, (?:sp, )?#(\d+)", code):
            current[0] += int(found.group(1))
        elif found := re.search(r"\tstr(?:\.w|d)?\s.*\[sp, #-(\d+)\]!", code):
            current[0] += int(found.group(1))
        if found := CALL.search(code):
            if functions.get(found.group(1)) is not current:
                current[1].add(found.group(1))
        elif re.search(r"\tblx\s+(r\d+|ip|lr|sl|fp|r9)", code) or re.search(r"\tbx\s+(r[0-9]|ip)", code):
            current[2] = True
    return functions


class Depth:
    """Deepest path from a function, with memory."""

    def __init__(self, functions):
        self.functions = functions
        self.known = {}
        self.recursive = set()

    def of(self, name, above=()):
        if name in self.known:
            return self.known[name]
        if name in above:
            self.recursive.add(name)
            return 0, (name + " (again)",)
        if name not in self.functions:
            return 0, ()
        frame, callees, indirect = self.functions[name]
        deepest, path = (INDIRECT_BYTES, ("(through a pointer)",)) if indirect else (0, ())
        for callee in callees:
            depth, below = self.of(callee, (*above, name))
            if depth > deepest:
                deepest, path = depth, below
        result = (frame + deepest, (name, *path))
        self.known[name] = result
        return result


def sizes(elf, nm):
    """Sizes of the thread stacks by symbol."""
    listing = subprocess.run([nm, "-S", elf], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in listing.splitlines():
        parts = line.split()
        if len(parts) == 4 and parts[3] in ENTRIES.values():
            found[parts[3]] = int(parts[1], 16)
    return found


def measure(elf, objdump="arm-none-eabi-objdump"):
    """[(entry, bytes needed, bytes there, deepest path)]; entries that the image lacks are left out."""
    sys.setrecursionlimit(10_000)
    functions = read(elf, objdump)
    there = sizes(elf, objdump.replace("objdump", "nm"))
    depth = Depth(functions)
    rows = []
    for entry, stack in ENTRIES.items():
        if entry in functions and stack in there:
            need, path = depth.of(entry)
            rows.append((entry, need + EXCEPTION_BYTES + GUARD_BYTES, there[stack], path))
    return rows


def session(elf, objdump="arm-none-eabi-objdump"):
    """[(what, bytes needed, deepest path)] for SESSION; those that the image lacks are left out."""
    sys.setrecursionlimit(10_000)
    depth = Depth(read(elf, objdump))
    names = {what: next((name for name in depth.functions if name.startswith(start)), None) for what, start in SESSION.items()}
    return [(what, *depth.of(name)) for what, name in names.items() if name]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("elf")
    parser.add_argument("--objdump", default="arm-none-eabi-objdump")
    parser.add_argument("--path", action="store_true", help="show the deepest path")
    arguments = parser.parse_args()
    functions = read(arguments.elf, arguments.objdump) if arguments.path else {}

    def show(path):
        for name in path if arguments.path else ():
            print(f"    {functions.get(name, [0])[0]:6} {name[:110]}")

    good = True
    for entry, need, there, path in measure(arguments.elf, arguments.objdump):
        print(f"{entry}: needs {need} of {there} bytes ({100 * need // there} %)")
        show(path)
        good = good and need <= there
    for what, need, path in session(arguments.elf, arguments.objdump):
        print(f"{what}: {need} bytes of the link thread's")
        show(path)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

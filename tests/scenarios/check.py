"""Runs what a user types: every scenario to its end against its golden summary, and wrong input to its refusal."""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN = [str(ROOT / "scripts/run")]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
THECAL = str(TARGET / "release/thecal")

counts = {"passed": 0, "failed": 0}


def verdict(what, good, details=""):
    counts["passed" if good else "failed"] += 1
    if not good:
        print(f"FAILED {what}\n{details}")


def run(command):
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def scenario(path, folder):
    """A scenario runs to its end, its summary is the golden one, and its report is whole."""
    name = path.stem
    report = folder / name
    done = run([*RUN, "--scenario", str(path), "--report", str(report)])
    verdict(f"{name} runs to its end", done.returncode == 0, done.stderr[-2000:])
    if done.returncode != 0:
        return
    golden = (ROOT / "tests/golden" / f"{name}.summary.json").read_text()
    summary = (report / "summary.json").read_text()
    verdict(f"{name} has its golden summary", summary == golden, f"--- golden\n{golden}\n--- this run\n{summary}")
    page = (report / "report.html").read_text()
    verdict(f"{name}'s report has its picture", "<svg" in page and "</html>" in page)
    with (report / "delivery.csv").open() as table:
        verdict(f"{name}'s delivery.csv has rows", len(list(csv.reader(table))) > 10)
    events = [json.loads(line) for line in (report / "events.jsonl").read_text().splitlines()]
    verdict(f"{name}'s events.jsonl has events", len(events) > 0)
    again = run([*RUN, "--scenario", str(path), "--report", str(report)])
    untouched = (report / "summary.json").read_text() == summary
    verdict(f"{name}'s report is not overwritten", again.returncode != 0 and untouched, again.stdout + again.stderr)


def refused(what, arguments, status, *words):
    """Wrong input ends with this status and an error that says these words."""
    done = run(arguments)
    said = done.stderr + done.stdout
    missing = [word for word in words if word.lower() not in said.lower()]
    good = done.returncode == status and not missing and "panicked" not in said
    verdict(what, good, f"status {done.returncode}, wanted {status}; not said: {missing}\n{said[-1500:]}")


def wrong_scenarios(folder):
    """A scenario with one thing wrong is refused with the field, the value and what is allowed; no report is begun."""
    good = (ROOT / "tests/scenarios/morphine-30-days.toml").read_text()
    cases = [
        ("a dose without its unit", '"2.5 mg/day"', '"2.5"', ["program.dose", "2.5", "mg/day"]),
        ("a dose in another quantity's unit", '"2.5 mg/day"', '"2.5 mL"', ["program.dose", "mL"]),
        ("an unknown drug", '"morphine"', '"morfine"', ["program.drug", "morfine", "baclofen"]),
        ("a concentration of nothing", '"10 mg/mL"', '"0 mg/mL"', ["program.concentration"]),
        ("a misspelt field", "dose =", "doze =", ["doze"]),
        ("a dose below the lowest rate", '"2.5 mg/day"', '"0.1 mg/day"', ["0.048 mL/day"]),
        ("a fill above the capacity", '"20 mL"', '"21 mL"', ["21 mL", "20 mL"]),
    ]
    for what, old, new, words in cases:
        path = folder / "wrong.toml"
        text = good.replace(old, new)
        verdict(f"the case of {what} changes the scenario", text != good)
        path.write_text(text)
        report = folder / "wrong-report"
        refused(what, [THECAL, "run", str(path), "--report", str(report)], 1, *words)
        verdict(f"{what} begins no report", not report.exists())


def hold_magnet(address):
    """Somebody holds a magnet over the virtual pump until it counts."""
    simulation = f"http://{address}/simulation"
    magnet = urllib.request.Request(simulation, b'{"magnet": true}', {"Content-Type": "application/json"})
    urllib.request.urlopen(magnet).close()
    for _ in range(100):
        with urllib.request.urlopen(simulation) as state:
            if json.load(state)["armed"]:
                return
        time.sleep(0.1)
    verdict("the magnet counts", False)


def logs(folder):
    """A pump's log is read from a flash file that is in use and over the link, verified again, and broken where it was broken."""
    flash = folder / "pump.bin"
    pump = subprocess.Popen(
        [THECAL, "serve", "--port", "0", "--flash", str(flash)],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )
    try:
        address = "127.0.0.1:" + pump.stdout.readline().split("127.0.0.1:")[1].split("/")[0]
        clinician = folder / "clinician.key"
        hold_magnet(address)
        done = run([THECAL, "enroll", "--connect", address, "--text", f"{flash}.pack", "--key", str(clinician)])
        verdict("a clinician enrols", done.returncode == 0, done.stdout + done.stderr)
        for attempt in ("the first", "the second"):
            over_link = ["--connect", address, "--key", str(clinician)]
            done = run([THECAL, "log", *over_link, "--output", str(folder / "link")])
            verdict(f"{attempt} reading over the link", done.returncode == 0, done.stdout + done.stderr)
        done = run([THECAL, "log", str(flash), "--output", str(folder / "file"), "--save-log-key", str(folder / "key")])
        verdict("a flash file in use is read", done.returncode == 0, done.stdout + done.stderr)
        done = run([THECAL, "log", str(folder / "link"), "--log-key", str(folder / "key")])
        verdict("the link's head has the file's key", "signature good" in done.stdout, done.stdout + done.stderr)
    finally:
        pump.terminate()
        pump.wait()
    rows = {}
    for name in ("link", "file"):
        with (folder / name / "events.csv").open(newline="") as table:
            rows[name] = list(csv.DictReader(table))
        lines = [json.loads(line) for line in (folder / name / "events.jsonl").read_text().splitlines()]
        same = [str(line["sequence"]) for line in lines] == [row["sequence"] for row in rows[name]]
        verdict(f"the {name}'s CSV and JSON Lines have the same records", same and len(lines) > 2)
    verdict("file and link have the same events", rows["file"][: len(rows["link"])] == rows["link"])
    records = folder / "file/records.bin"
    content = bytearray(records.read_bytes())
    first = 17 + 3 + content[18] + 256 * content[19]
    # The last byte of the second record, a number of a session.
    content[first + 2 + content[first + 1]] ^= 1
    records.write_bytes(content)
    refused("a changed record is named", [THECAL, "log", str(folder / "file")], 3, "record 2 does not follow")
    refused("a file that is no flash", [THECAL, "log", str(records)], 1, "450560", "524288", "1048576")
    refused("no source", [THECAL, "log"], 2, "SOURCE")


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for path in sorted((ROOT / "tests/scenarios").glob("*.toml")):
            scenario(path, folder)
        wrong_scenarios(folder)
        logs(folder)
        refused("a scenario that is not there", [THECAL, "run", "no-such-file.toml"], 1, "no-such-file.toml")
        refused("an unknown option", [THECAL, "run", "--sped", "3"], 2, "--sped")
        refused("a speed that is no number", [THECAL, "serve", "--speed", "fast"], 2, "--speed", "fast")
        refused("a speed out of range", [THECAL, "serve", "--speed", "100001"], 2, "100000")
        refused("a page folder that is not there", [THECAL, "serve", "--page", str(folder / "nothing")], 1, "nothing")
        corrupt = folder / "corrupt.bin"
        corrupt.write_bytes(b"not a flash image")
        refused("a corrupt flash file", [THECAL, "serve", "--flash", str(corrupt), "--port", "0"], 1, "corrupt.bin")
        verdict("a corrupt flash file is not overwritten", corrupt.read_bytes() == b"not a flash image")
        refused("--scenario without a file", [*RUN, "--scenario"], 2, "--scenario needs a FILE")
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())

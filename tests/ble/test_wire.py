"""wire.py against what the protocol crate keeps: its schema, and one of every message. Needs no pump, and no package.

    python3 -m unittest discover -s tests/ble -p test_wire.py

What is expected of a message stands here, in this hand; the bytes are the seeds of the fuzz targets, which the crate's tests write.
"""

import difflib
import hashlib
import re
import unittest
from dataclasses import fields
from pathlib import Path

import history
import wire
from wire import Command, Outcome, Refused

PROTOCOL = Path(__file__).resolve().parents[2] / "src/protocol"
CORPUS = PROTOCOL / "fuzz/corpus"
# The number that every seed bears.
NUMBER = 300

BACLOFEN = wire.continuous("Baclofen", 2_000_000, 250_000, fill_nl=20_000_000)
SHOWN = wire.Shown(200_000, 250_000, 250)
LARGEST_COMPONENT = wire.Component("Baclofen", 2**32 - 1)
LARGEST = wire.Program(
    LARGEST_COMPONENT,
    (LARGEST_COMPONENT,) * 3,
    wire.Mode("Flex", week=wire.FlexWeek("Day", b"\xff" * 7, (255,) * 7, (wire.FlexStep(1_440, 2**28 - 1),) * 96)),
    wire.PatientBolus(2**64 - 1, 2**32 - 1, 2**16 - 1, 255, 2**64 - 1, (wire.PeriodCap(2**16 - 1, 2**16 - 1, 255),) * 4),
    "Stop",
    wire.Dose(2**64 - 1, "Day"),
    wire.Fill(2**32 - 1, top_up=True),
    2**32 - 1,
)

REQUESTS = {
    "interrogate": Command("Interrogate"),
    "stage": Command("Stage", BACLOFEN),
    "read-back": Command("ReadBack"),
    "commit": Command("Commit", wire.Commit(BACLOFEN.digest(3), SHOWN, "Titration")),
    "cancel": Command("Cancel"),
    "reset-status-changed": Command("ResetStatusChanged", mask=0b10_0101),
    "read-log": wire.read_log("Events", 70_000),
    "sign-log": Command("SignLog", log="Critical"),
    "set-clock": wire.set_clock(1_767_607_200_000, 2_000_000),
    "set-time-zone": Command("SetZone", wire.SetZone(-60)),
    "clinician-bolus": Command("ClinicianBolus", wire.ClinicianBolus(8, 50_000, 120, "Titration")),
    "patient-bolus": Command("PatientBolus", number=9),
    "cancel-bolus": Command("CancelBolus"),
    "prime": Command("Prime", wire.Prime(10, "PumpOnly", True, False)),
    "set-catheter": Command("SetCatheter", wire.Catheter(7, 140_000, 810, 2_200, 0)),
    "open-refill": Command("OpenRefill"),
    "refill-aspirated": Command("RefillAspirated", volume_nl=2_000_000),
    "close-refill": Command("CloseRefill"),
    "acknowledge-alarm": Command("AcknowledgeAlarm", alarm="MotorStall"),
    "silence-alarm": Command("SilenceAlarm", alarm="LowReservoir"),
    "set-alarm-intervals": Command("SetAlarmIntervals", wire.AlarmIntervals(10, 60)),
    "test-tone": Command("TestTone", critical=True),
    "MRI-mode": Command("MriMode", minutes=90),
    "emergency-minimum-rate": Command("EmergencyMinimumRate"),
    "commission": Command("Commission", wire.Commissioning("ExternalTrial", 2_500_000, 50_000_000, None, 7)),
    "load-library": Command("LoadLibrary", wire.HospitalLibrary(4, 160, 200, 0xDEAD_BEEF, b"\7" * 40)),
    "read-therapy": Command("ReadTherapy"),
    "read-path": Command("ReadPath"),
    "read-library": Command("ReadLibrary", drug="Ziconotide"),
    "read-refills": Command("ReadRefills", **{"from": 8}),
    "diary-entry": Command("DiaryEntry", wire.DiaryEntry(True, 6)),
    "extend-trial": Command("ExtendTrial", days=3),
    "stage-flex": Command(
        "Stage",
        wire.Program(
            wire.Component("Baclofen", 2_000_000),
            mode=wire.every_day("Hour", [(60 * hour, 15_000 + 1_000 * hour) for hour in range(24)]),
        ),
    ),
    "stage-largest": Command("Stage", LARGEST),
}

REFUSALS = [
    Refused("NotAllowed"),
    Refused("NothingStaged"),
    Refused("DigestMismatch"),
    Refused("StageExpired"),
    Refused("NotDone"),
    Refused("Busy"),
    Refused("OutOfRange", field="FlowNanolitresPerDay", value=30_000, lowest=48_000, highest=24_000_000),
    Refused("BadMessage", wire.Malformed("Undecodable")),
    Refused("UnknownVersion", version=9, known=0),
    Refused("StaleIdentifier", last=3),
    Refused("OverLimit", limit_kind="DayNanograms", drug="Morphine", value=31_000_000, limit=30_000_000),
    Refused("ReasonNeeded"),
    Refused("ShownDiffers", shown=SHOWN, pump=wire.Shown(None, 1, None)),
    Refused("WrongOrder", expected="Open"),
    Refused("KindForbids", kind="ConstantRate"),
    Refused("TooSoon", left_s=4_000),
    Refused("NotNow", why="NotProgrammed"),
    Refused("NoPath"),
    Refused("BridgeNeeded", lowest_ng_per_day=480_000, highest_ng_per_day=240_000_000),
    Refused("TooManyChanges"),
    Refused("ScheduleInvalid", pattern=2, step=11, fault="NotADay"),
    Refused("LibraryInvalid", fault=wire.LibraryFault("Checksum")),
]

LOCKOUT = wire.BolusDenial("Lockout", left_s=7_200)
TOTAL = wire.DrugTotal("Baclofen", 250_000)
STAGED = wire.Staged(
    BACLOFEN, 125_000, 200_000, 250_000, 250, (TOTAL,), None, (), False, None, 0, False, BACLOFEN.digest(3), 120_000
)
STATUS = wire.Status(
    boot=3,
    pump_time_ms=86_400_000,
    clock=wire.Clock("Known", wall=1_795_000_000_000, uncertainty=2_000_000),
    program_number=2,
    program=BACLOFEN,
    delivery="Running",
    flow_nl_per_day=125_000,
    counted_steps=49_999,
    at_most_steps=50_000,
    deficit_steps=0,
    step_volume_fl=2_500_000,
    reservoir_fl=19_875_000_000_000,
    filled_fl=20_000_000_000_000,
    delivered_since_fill_fl=125_000_000_000,
    staged=False,
    committing=False,
    status_changed=0b10_0101,
    limits=wire.Limits(48_000, 24_000_000, 20_000_000, 2_500_000),
    faults=0,
    powered_s=90_000,
    records_lost=0,
)
THERAPY = wire.TherapyStatus(
    kind="ProgrammableImplant",
    response="Normal",
    fault_policy="HoldLast",
    last_number=8,
    storing=False,
    job=wire.JobStatus(8, "PatientBolus", 12_000, 25_000, 180),
    bolus=wire.BolusAvailability(1, 4, 7_200, LOCKOUT),
    bridge=wire.BridgeStatus(100_000, 86_400, 100_000),
    mass_24h=(TOTAL,),
    alarms=(wire.AlarmState("LowReservoir", True, False),),
    sounding="LowReservoir",
    refill=wire.RefillDates(2_268, 2_247, 2_240, "Volume", 1_321_056, 1_814_400),
    refill_open_s=None,
    last_discrepancy_tenths_percent=139,
    service=wire.ServiceStatus("Good", 4_700, 4_776, 4_790, 2_555, False),
    trial=wire.TrialStatus(518_400, True, 5, 7),
    mri_left_s=None,
    zone_min=60,
    library_version=3,
)
OUTCOMES = {
    "status": Outcome("Status", STATUS),
    "staged": Outcome("Staged", STAGED),
    "committed": Outcome("Committed", program_number=3),
    "cancelled": Outcome("Cancelled"),
    "statuschangedreset": Outcome("StatusChangedReset", flags=1),
    "refused": Outcome("Refused", Refused("Busy")),
    "stoppednotrecorded": Outcome("StoppedNotRecorded"),
    "logpart": Outcome("LogPart", wire.LogPart(70_001, 70_000, b"\2\0\7\x08")),
    "loghead": Outcome("LogHead", head=None),
    "clockset": Outcome("ClockSet", clock=wire.Clock("Lost")),
    "bolusstarted": Outcome("BolusStarted", number=8),
    "bolusrefused": Outcome("BolusRefused", denial=LOCKOUT),
    "done": wire.DONE,
    "therapy": Outcome("Therapy", THERAPY),
    "path": Outcome("Path", wire.PathStatus(318_200, (wire.Slug(178_200, (wire.Component("Baclofen", 2_000_000),)),))),
    "alreadydone": Outcome("AlreadyDone", number=8),
    **{f"refused-{number:02}": Outcome("Refused", refused) for number, refused in enumerate(REFUSALS)},
}
# Read whole and written again, with nothing else expected of them.
ONLY_READ = {"library", "refills", "staged-largest"}


def seeds(target):
    found = {path.name: path.read_bytes() for path in sorted((CORPUS / target).iterdir())}
    assert found, f"no seeds in {CORPUS / target}"
    return found


class Schema:
    """schema.txt, from the types of wire.py."""

    def __init__(self):
        self.seen = set()
        self.text = f"Thecal protocol, version {wire.VERSION}: every message, in postcard. Written by the tests of src/protocol.\n"

    def describe(self, kind):
        """Writes the paragraph of a type behind those of the types in it."""
        if isinstance(kind, wire.Option | wire.Several):
            self.describe(kind.of)
        elif isinstance(kind, wire.Named | wire.Choice | type) and kind.name not in self.seen:
            self.seen.add(kind.name)
            lines = list(self.paragraph(kind))
            self.text += "\n" + "\n".join([kind.name, *lines]) + "\n"

    def inside(self, named, indent):
        for name, kind in named.items():
            self.describe(kind)
            yield f"{indent}{name}: {kind.name}"

    def paragraph(self, kind):
        if isinstance(kind, wire.Named):
            self.describe(kind.of)
            yield f"  {kind.of.name}"
        elif isinstance(kind, wire.Choice):
            yield from (f"  {number} {name}" for number, name in enumerate(kind.names))
        elif issubclass(kind, wire.Struct):
            yield from self.inside({field.name: field.type for field in fields(kind)}, "  ")
        else:
            for number, (case, contents) in enumerate(kind.CASES.items()):
                if isinstance(contents, dict):
                    yield f"  {number} {case}"
                    yield from self.inside(contents, "      ")
                elif contents is None:
                    yield f"  {number} {case}"
                else:
                    self.describe(contents)
                    yield f"  {number} {case}: {contents.name}"


def schema():
    whole = Schema()
    for kind in (wire.Request, wire.Answer, wire.Info):
        whole.describe(kind)
    return whole.text


class WireTest(unittest.TestCase):
    maxDiff = None

    def test_types_fields_and_variants_are_those_of_the_schema(self):
        kept = (PROTOCOL / "schema.txt").read_text()
        lines = difflib.unified_diff(kept.splitlines(), schema().splitlines(), "schema.txt", "wire.py", lineterm="", n=4)
        self.assertEqual("\n".join(lines), "")

    def test_the_hash_of_the_schema_is_that_of_the_crate(self):
        kept = re.search(r"SCHEMA_HASH: u64 = (0x[0-9a-f_]+);", (PROTOCOL / "src/lib.rs").read_text())[1]
        self.assertEqual(hashlib.sha256(schema().encode()).hexdigest()[:16], f"{int(kept, 16):016x}")

    def test_every_request_is_written_and_read_byte_for_byte(self):
        """Requirement: AC-10"""
        found = seeds("request")
        self.assertEqual(set(found), set(REQUESTS))
        self.assertEqual({command.case for command in REQUESTS.values()}, set(Command.CASES))
        for name, data in found.items():
            with self.subTest(name):
                request = wire.Request(NUMBER, REQUESTS[name])
                self.assertEqual(wire.encode(wire.Request, request).hex(), data.hex())
                self.assertEqual(wire.decode(wire.Request, data), request)

    def test_every_answer_is_read_and_written_byte_for_byte(self):
        found = seeds("answer")
        info = found.pop("info")
        self.assertEqual(set(found), set(OUTCOMES) | ONLY_READ)
        read = set()
        for name, data in found.items():
            with self.subTest(name):
                answer = wire.decode(wire.Answer, data)
                read.add(answer.outcome.case)
                self.assertEqual(wire.encode(wire.Answer, answer).hex(), data.hex())
                if name in OUTCOMES:
                    self.assertEqual(answer, wire.Answer(NUMBER, OUTCOMES[name]))
        self.assertEqual(read, set(Outcome.CASES))
        kept = re.search(r"SCHEMA_HASH: u64 = (0x[0-9a-f_]+);", (PROTOCOL / "src/lib.rs").read_text())[1]
        self.assertEqual(wire.decode(wire.Info, info), wire.Info(0, int(kept, 16), 7, b"eight by", "InService", False))

    def test_an_outcome_that_is_one_value_is_that_value(self):
        answers = {name: wire.decode_answer(b"\0" + data) for name, data in seeds("answer").items() if name in OUTCOMES}
        self.assertEqual(answers["status"], (NUMBER, STATUS))
        self.assertEqual(answers["refused-11"], (NUMBER, Refused("ReasonNeeded")))
        self.assertEqual(answers["committed"], (NUMBER, Outcome("Committed", program_number=3)))
        self.assertEqual(answers["done"], (NUMBER, wire.DONE))

    def test_a_commit_says_what_was_read_back(self):
        """Requirement: AC-12"""
        self.assertEqual(STAGED.commit("Titration"), REQUESTS["commit"])

    def test_a_message_has_the_bytes_reckoned_by_hand(self):
        # Request 1, command 24, an implant, 2,500,000 fL, 20,000,000 nL, neither fixed rate nor trial.
        implant = wire.Commissioning("ProgrammableImplant", 2_500_000, 20_000_000)
        data = wire.encode(wire.Request, wire.Request(1, Command("Commission", implant)))
        self.assertEqual(data.hex(" "), "01 18 00 a0 cb 98 01 80 da c4 09 00 00")

    def test_what_the_documents_do_not_allow_is_refused(self):
        whole = seeds("request")["stage"]
        refused = {
            "cut": whole[:-1],
            "too long": whole + b"\0",
            "padded": b"\xac\x82\0" + whole[2:],
            "no such command": b"\x01\x20",
            "no such drug": whole[:3] + b"\x08" + whole[4:],
            "neither yes nor no": whole[:-1] + b"\2",
        }
        for name, data in refused.items():
            with self.subTest(name), self.assertRaises(wire.WireError):
                wire.decode(wire.Request, data)
        for kind, most in ((wire.AMOUNT, 2**42 - 1), (wire.U8, 255), (wire.U32, 2**32 - 1)):
            with self.subTest(kind.name):
                self.assertEqual(wire.decode(kind, wire.encode(kind, most)), most)
                with self.assertRaises(wire.WireError):
                    wire.encode(kind, most + 1)
        with self.assertRaises(wire.WireError):
            wire.decode(wire.AMOUNT, wire.varint(2**42))

    def test_signed_numbers_are_zigzag(self):
        for value, data in ((0, "00"), (-1, "01"), (1, "02"), (-60, "77"), (60, "78"), (-(2**15), "ffff03")):
            self.assertEqual(wire.encode(wire.I16, value).hex(), data)
            self.assertEqual(wire.decode(wire.I16, bytes.fromhex(data)), value)

    def test_a_part_of_a_log_comes_apart_into_records(self):
        part = wire.LogPart(3, 2, bytes((2, 0, 7, 8, 0, 0, 1, 0, 9)))
        self.assertEqual(part.split(), [b"\7\x08", b"", b"\x09"])
        with self.assertRaises(wire.WireError):
            wire.LogPart(1, 0, b"\3\0\1").split()

    def test_frames_come_together_again_at_every_mtu(self):
        for mtu in (23, 64, 185, 247):
            for number, command in enumerate(REQUESTS.values(), 1):
                collector = wire.Collector()
                message = wire.encode_request(number, command)
                frames = wire.fragment(message, mtu - 3, 250)
                self.assertTrue(all(len(frame) <= mtu - 3 for frame in frames))
                *before, (_, last) = [collector.take(frame) for frame in frames]
                self.assertTrue(all(taken is None for _, taken in before))
                self.assertEqual(last, message[:-4])


class RecordsTest(unittest.TestCase):
    def test_kinds_and_places_are_those_of_the_table(self):
        table = (PROTOCOL.parent / "pump/src/record.rs").read_text()
        # A number, a constant, a variant, a place, a title: the head of each row.
        head = r'^    (\d+) [A-Z_]+ \w+ (\w+) "([^"]+)" \{'
        field = r"[^}]*\w+: [^,]*(?:\([^)]*\))?[^,]*,\n"
        rows = re.findall(rf"{head}((?:{field})*)\s*\}}", table, re.MULTILINE)
        kept = {}
        for number, place, title, inside in rows:
            if place in ("Event", "Critical"):
                kept[int(number)] = (title, place == "Critical", re.findall(r"^        (\w+): ", inside, re.MULTILINE))
        self.assertGreater(len(kept), 40)
        ours = {number: (kind.title, kind.critical, list(kind.fields)) for number, kind in history.KINDS.items()}
        self.assertEqual(ours, kept)

    def test_a_body_is_a_session_and_fields(self):
        implant = wire.Commissioning("ProgrammableImplant", 2_500_000, 20_000_000)
        body = bytes.fromhex("07 00 a0cb9801 80dac409 00 00")
        self.assertEqual(history.KINDS[61].read(body), (7, {"record": implant}))
        body = bytes.fromhex("00 02 07 80897a 02 00 90a10f 00 01 00")
        with self.assertRaises(wire.WireError):
            history.KINDS[2].read(body + b"\0")
        session, committed = history.KINDS[2].read(body[:-2] + b"\0")
        self.assertEqual(session, 0)
        self.assertEqual((committed["number"], committed["mode"], committed["total_ng"]), (2, "SimpleContinuous", 250_000))

    def test_the_chain_of_the_document_holds(self):
        """The vectors of docs/journal.md."""
        chain = history.Chain()
        for frame, state in (
            ("00 12 0000 00000000000000000000000000000000 01 01 01 5a 901c a097eeca06 01 05 6669727374", "3df933c2788abe94ce6c7c40e15152e2"),
            ("01 02 f615 01 01 01 5a 901c a097eeca06 01 00", "a3ffcb9a5bc567e644d8c3ccaf8d1399"),
            ("02 02 6c95 01 01 01 5a 901c a097eeca06 01 04 02000000", "21f1799f50ef963d1d045a2855202209"),
        ):
            record = chain.take(bytes.fromhex(frame))
            self.assertEqual(chain.state.hex(), state)
            self.assertEqual(record.clock, wire.Clock("Known", wall=1_767_607_200_000, uncertainty=1_000_000))
            self.assertEqual(record.monotonic_us, 3_600 * 10**6)


if __name__ == "__main__":
    unittest.main()

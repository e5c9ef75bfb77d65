"""Messages as docs/messages.md has them, against the schema and the vectors that the pump's crate keeps.

What is expected of a message stands here; the bytes are those of src/protocol/vectors/v1.
"""

import difflib
import hashlib
import re
from pathlib import Path

import pytest

import bedside
import programs
from thecal import client, frames, messages, postcard, programming
from thecal.messages import Command, Outcome, Refused

PROTOCOL = Path(__file__).resolve().parents[2] / "src/protocol"
VECTORS = PROTOCOL / "vectors/v1"
# The id that every vector bears, and the command number of those that bear one.
ID, NUMBER = 7, 42

BACLOFEN = programs.continuous("Baclofen", 2_000_000, 250_000, fill_nl=20_000_000)
SHOWN = messages.Shown(200_000, 250_000, 250)
LARGEST_COMPONENT = messages.Component("Baclofen", 2**32 - 1)
LARGEST = messages.Program(
    LARGEST_COMPONENT,
    (LARGEST_COMPONENT,) * 3,
    messages.Mode.Flex(week=messages.FlexWeek("Day", b"\xff" * 7, (255,) * 7, (messages.FlexStep(1_440, 2**28 - 1),) * 96)),
    messages.PatientBolus(2**64 - 1, 2**32 - 1, 2**16 - 1, 255, 2**64 - 1, (messages.PeriodCap(2**16 - 1, 2**16 - 1, 255),) * 4),
    "Stop",
    messages.Dose(2**64 - 1, "Day"),
    messages.Fill(2**32 - 1, top_up=True),
    2**32 - 1,
)

REQUESTS = {
    "interrogate": Command.Interrogate,
    "stage": Command.Stage(BACLOFEN),
    "read-back": Command.ReadBack,
    "commit": Command.Commit(messages.Commit(programming.digest(BACLOFEN, 3), SHOWN, "Titration")),
    "cancel": Command.Cancel,
    "reset-status-changed": Command.ResetStatusChanged(mask=0b10_0101),
    "read-log": Command.ReadLog("Events", 70_000),
    "sign-log": Command.SignLog(log="Critical"),
    "set-clock": programs.set_clock(1_767_607_200_000, 2_000_000),
    "set-time-zone": Command.SetZone(messages.SetZone(-60)),
    "clinician-bolus": Command.ClinicianBolus(messages.ClinicianBolus(8, 50_000, 120, "Titration")),
    "patient-bolus": Command.PatientBolus(number=9),
    "cancel-bolus": Command.CancelBolus,
    "prime": Command.Prime(messages.Prime(10, "PumpOnly", True, False)),
    "set-catheter": Command.SetCatheter(messages.Catheter(7, 140_000, 810, 2_200, 0)),
    "open-refill": Command.OpenRefill,
    "refill-aspirated": Command.RefillAspirated(volume_nl=2_000_000),
    "close-refill": Command.CloseRefill,
    "acknowledge-alarm": Command.AcknowledgeAlarm(alarm="MotorStall"),
    "silence-alarm": Command.SilenceAlarm(alarm="LowReservoir"),
    "set-alarm-intervals": Command.SetAlarmIntervals(messages.AlarmIntervals(10, 60)),
    "test-tone": Command.TestTone(critical=True),
    "MRI-mode": Command.MriMode(minutes=90),
    "emergency-minimum-rate": Command.EmergencyMinimumRate,
    "commission": Command.Commission(messages.Commissioning("ExternalTrial", 2_500_000, 50_000_000, None, 7)),
    "load-library": Command.LoadLibrary(messages.HospitalLibrary(4, 160, 200, 0xDEAD_BEEF, b"\7" * 40)),
    "read-therapy": Command.ReadTherapy,
    "read-path": Command.ReadPath,
    "read-library": Command.ReadLibrary(drug="Ziconotide"),
    "read-refills": Command.ReadRefills(from_=8),
    "diary-entry": Command.DiaryEntry(messages.DiaryEntry(True, 6)),
    "extend-trial": Command.ExtendTrial(days=3),
    "grant-key": Command.GrantKey(messages.KeyGrant(1, "Patient", b"\6" * 32, b"\7" * 32)),
    "revoke-key": Command.RevokeKey(slot=1),
    "read-keys": Command.ReadKeys,
    "stage-flex": Command.Stage(
        messages.Program(
            messages.Component("Baclofen", 2_000_000),
            (),
            programs.every_day("Hour", [(60 * hour, 15_000 + 1_000 * hour) for hour in range(24)]),
        ),
    ),
    "stage-largest": Command.Stage(LARGEST),
}

REFUSALS = [
    Refused.NotAllowed(because=messages.NotAllowed.Role(role="Patient")),
    Refused.NothingStaged,
    Refused.DigestMismatch,
    Refused.StageExpired,
    Refused.NotDone,
    Refused.Busy,
    Refused.OutOfRange(field="FlowNanolitresPerDay", value=30_000, lowest=48_000, highest=24_000_000),
    Refused.BadMessage(messages.Malformed.Undecodable),
    Refused.NumberUsed(last=3),
    Refused.OverLimit(limit_kind="DayNanograms", drug="Morphine", value=31_000_000, limit=30_000_000),
    Refused.ReasonNeeded,
    Refused.ShownDiffers(shown=SHOWN, pump=messages.Shown(None, 1, None)),
    Refused.WrongOrder(expected="Open"),
    Refused.KindForbids(kind="ConstantRate"),
    Refused.TooSoon(left_s=4_000),
    Refused.NotNow(why="NotProgrammed"),
    Refused.NoPath,
    Refused.BridgeNeeded(lowest_ng_per_day=480_000, highest_ng_per_day=240_000_000),
    Refused.TooManyChanges,
    Refused.ScheduleInvalid(pattern=2, step=11, fault="NotADay"),
    Refused.LibraryInvalid(fault=messages.LibraryFault.Checksum),
]

LOCKOUT = messages.BolusDenial.Lockout(left_s=7_200)
TOTAL = messages.DrugTotal("Baclofen", 250_000)
STAGED = messages.Staged(
    BACLOFEN, 125_000, 200_000, 250_000, 250, (TOTAL,), None, (), False, None, 0, False, programming.digest(BACLOFEN, 3), 120_000
)
STATUS = messages.Status(
    boot=3,
    pump_time_ms=86_400_000,
    clock=messages.Clock.Known(wall=1_795_000_000_000, uncertainty=2_000_000),
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
    limits=messages.Limits(48_000, 24_000_000, 20_000_000, 2_500_000),
    faults=0,
    powered_s=90_000,
    records_lost=0,
)
THERAPY = messages.TherapyStatus(
    kind="ProgrammableImplant",
    response="Normal",
    fault_policy="HoldLast",
    last_number=8,
    storing=False,
    job=messages.JobStatus(8, "PatientBolus", 12_000, 25_000, 180),
    bolus=messages.BolusAvailability(1, 4, 7_200, LOCKOUT),
    bridge=messages.BridgeStatus(100_000, 86_400, 100_000),
    mass_24h=(TOTAL,),
    alarms=(messages.AlarmState("LowReservoir", True, False),),
    sounding="LowReservoir",
    refill=messages.RefillDates(2_268, 2_247, 2_240, "Volume", 1_321_056, 1_814_400),
    refill_open_s=None,
    last_discrepancy_tenths_percent=139,
    service=messages.ServiceStatus("Good", 4_700, 4_776, 4_790, 2_555, False),
    trial=messages.TrialStatus(518_400, True, 5, 7),
    mri_left_s=None,
    zone_min=60,
    library_version=3,
)
OUTCOMES = {
    "Status": Outcome.Status(STATUS),
    "Staged": Outcome.Staged(STAGED),
    "Committed": Outcome.Committed(program_number=3),
    "Cancelled": Outcome.Cancelled,
    "StatusChangedReset": Outcome.StatusChangedReset(flags=1),
    "Refused": Outcome.Refused(Refused.Busy),
    "StoppedNotRecorded": Outcome.StoppedNotRecorded,
    "LogPart": Outcome.LogPart(messages.LogPart(70_001, 70_000, b"\2\0\7\x08")),
    "LogHead": Outcome.LogHead(head=None),
    "ClockSet": Outcome.ClockSet(clock=messages.Clock.Lost),
    "BolusStarted": Outcome.BolusStarted(number=8),
    "BolusRefused": Outcome.BolusRefused(denial=LOCKOUT),
    "Done": bedside.DONE,
    "Therapy": Outcome.Therapy(THERAPY),
    "Path": Outcome.Path(messages.PathStatus(318_200, (messages.Slug(178_200, (messages.Component("Baclofen", 2_000_000),)),))),
    "AlreadyDone": Outcome.AlreadyDone(number=8),
    "Keys": Outcome.Keys((messages.KeyEntry(0, "Clinician", bytes(range(1, 9)), 12),)),
    **{f"Refused-{number:02}-{refused.case}": Outcome.Refused(refused) for number, refused in enumerate(REFUSALS)},
}

def vectors(name):
    """Name to bytes, as a file of vectors has them."""
    lines = [line.split(" ", 1) for line in (VECTORS / name).read_text().splitlines() if not line.startswith("#")]
    return {name: bytes.fromhex(value) for name, value in lines}


class Schema:
    """schema.txt, from the types that were read from docs/messages.md."""

    def __init__(self):
        self.seen = set()
        self.text = f"Thecal protocol, version {messages.VERSION}: every message, in postcard. Written by the tests of src/protocol.\n"

    def describe(self, kind):
        """Writes the paragraph of a type behind those of the types in it."""
        if isinstance(kind, postcard.Option | postcard.List):
            self.describe(kind.inner)
        elif isinstance(kind, postcard.Alias | postcard.Fields | postcard.Names | postcard.Choice) and kind.name not in self.seen:
            self.seen.add(kind.name)
            lines = list(self.paragraph(kind))
            self.text += "\n" + "\n".join([kind.name, *lines]) + "\n"

    def inside(self, fields, indent):
        for name, kind in fields.items():
            self.describe(kind)
            yield f"{indent}{name.rstrip('_')}: {kind.name}"

    def paragraph(self, kind):
        if isinstance(kind, postcard.Alias):
            self.describe(kind.inner)
            yield f"  {kind.inner.name}"
        elif isinstance(kind, postcard.Names):
            yield from (f"  {number} {name}" for number, name in enumerate(kind.names))
        elif isinstance(kind, postcard.Fields):
            yield from self.inside(kind.fields, "  ")
        else:
            for number, variant in enumerate(kind.variants):
                if list(variant.fields) == ["content"]:
                    self.describe(variant.fields["content"])
                    yield f"  {number} {variant.name}: {variant.fields['content'].name}"
                else:
                    yield f"  {number} {variant.name}"
                    yield from self.inside(variant.fields, "      ")


def schema():
    whole = Schema()
    for name in ("Request", "Answer", "Info", "Welcome", "Denied", "EmergencyCard"):
        whole.describe(messages.codec(name))
    return whole.text


def test_types_fields_and_variants_are_those_of_the_schema():
    kept = (PROTOCOL / "schema.txt").read_text()
    lines = difflib.unified_diff(kept.splitlines(), schema().splitlines(), "schema.txt", "messages.md", lineterm="", n=4)
    assert "\n".join(lines) == ""


def test_the_hash_of_the_schema_is_that_of_the_crate():
    kept = re.search(r"SCHEMA_HASH: u64 = (0x[0-9a-f_]+);", (PROTOCOL / "src/lib.rs").read_text())[1]
    assert hashlib.sha256(schema().encode()).hexdigest()[:16] == f"{int(kept, 16):016x}"


def test_every_request_is_written_and_read_byte_for_byte():
    """Requirement: AC-10"""
    found = vectors("requests.txt")
    assert set(found) == set(REQUESTS)
    assert {command.case for command in REQUESTS.values()} == set(Command.cases)
    for name, data in found.items():
        command = REQUESTS[name]
        request = messages.Request(ID, NUMBER if command.case in client.NUMBERED else 0, command)
        assert messages.encode("Request", request).hex() == data.hex(), name
        assert messages.decode("Request", data) == request, name


def test_every_answer_is_read_and_written_byte_for_byte():
    found = vectors("answers.txt")
    assert set(OUTCOMES) <= set(found)
    read = set()
    for name, data in found.items():
        answer = messages.decode("Answer", data)
        read.add(answer.outcome.case)
        assert messages.encode("Answer", answer).hex() == data.hex(), name
        if name in OUTCOMES:
            assert answer == messages.Answer(ID, OUTCOMES[name]), name
        else:
            # Its name says what it is, and that is what was read.
            outer, *inner = name.split("-")
            assert answer.outcome.case == outer
            contents = {"Refused": lambda outcome: outcome.content.case, "BolusRefused": lambda outcome: outcome.denial.case}
            if outer in contents:
                assert contents[outer](answer.outcome) == inner[-1]
    assert read == set(Outcome.cases)
    refusals = {name.split("-")[2] for name in found if name.startswith("Refused-")}
    assert refusals == set(Refused.cases)


def test_what_travels_outside_of_a_seal_is_read_and_written():
    found = vectors("open.txt")
    for name, data in found.items():
        kind = name.split("-")[0]
        assert messages.encode(kind, messages.decode(kind, data)).hex() == data.hex(), name
    kept = re.search(r"SCHEMA_HASH: u64 = (0x[0-9a-f_]+);", (PROTOCOL / "src/lib.rs").read_text())[1]
    assert messages.SCHEMA_HASH == int(kept, 16)
    info = messages.Info(1, messages.SCHEMA_HASH, 1, b"eight by", "InService", False)
    assert messages.decode("Info", found["Info"]) == info
    assert messages.decode("Welcome", found["Welcome-patient"]) == messages.Welcome("Patient", 300)
    assert messages.decode("Denied", found["Denied-Repeated"]) == messages.Denied.Repeated(last=3)
    denied = {messages.decode("Denied", data).case for name, data in found.items() if name.startswith("Denied")}
    assert denied == set(messages.Denied.cases)
    card = messages.decode("EmergencyCard", found["EmergencyCard"])
    assert (card.delivery, card.drugs, card.reservoir_nl) == ("Running", (BACLOFEN.primary,), 19_875_000)
    assert card.last_bolus == messages.CardBolus(50_000, 95)


def test_a_commit_says_what_was_read_back():
    """Requirement: AC-12"""
    assert programming.commit(STAGED, "Titration") == REQUESTS["commit"]


def test_a_message_has_the_bytes_reckoned_by_hand():
    # Request 1, command number 2, command 24, an implant, 2,500,000 fL, 20,000,000 nL, neither fixed rate nor trial.
    implant = messages.Commissioning("ProgrammableImplant", 2_500_000, 20_000_000)
    data = messages.encode("Request", messages.Request(1, 2, Command.Commission(implant)))
    assert data.hex(" ") == "01 02 18 00 a0 cb 98 01 80 da c4 09 00 00"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda whole: whole[:-1], id="cut"),
        pytest.param(lambda whole: whole + b"\0", id="too long"),
        pytest.param(lambda whole: b"\x87\0" + whole[1:], id="padded"),
        pytest.param(lambda _: b"\x01\0\x23", id="no such command"),
        pytest.param(lambda whole: whole[:3] + b"\x08" + whole[4:], id="no such drug"),
        pytest.param(lambda whole: whole[:-1] + b"\2", id="neither yes nor no"),
    ],
)
def test_what_the_documents_do_not_allow_is_refused(change):
    whole = vectors("requests.txt")["stage"]
    with pytest.raises(postcard.WireError):
        messages.decode("Request", change(whole))


def test_numbers_have_their_ranges():
    for text, most in (("Amount", 2**42 - 1), ("u8", 255), ("u32", 2**32 - 1), ("u16, at most 1440", 1_440)):
        assert messages.decode(text, messages.encode(text, most)) == most
        with pytest.raises(postcard.WireError):
            messages.encode(text, most + 1)
    with pytest.raises(postcard.WireError):
        messages.decode("Amount", messages.encode("u64", 2**42))
    with pytest.raises(postcard.WireError):
        messages.decode("u16", messages.encode("u32", 2**16))


def test_signed_numbers_are_zigzag():
    for value, data in ((0, "00"), (-1, "01"), (1, "02"), (-60, "77"), (60, "78"), (-(2**15), "ffff03")):
        assert messages.encode("i16", value).hex() == data
        assert messages.decode("i16", bytes.fromhex(data)) == value


def test_a_part_of_a_log_comes_apart_into_records():
    part = messages.LogPart(3, 2, bytes((2, 0, 7, 8, 0, 0, 1, 0, 9)))
    assert messages.records(part) == [b"\7\x08", b"", b"\x09"]
    with pytest.raises(postcard.WireError):
        messages.records(messages.LogPart(1, 0, b"\3\0\1"))


def test_frames_come_together_again_at_every_mtu():
    for mtu in (23, 64, 185, 247):
        for command in REQUESTS.values():
            joiner = frames.Joiner()
            message = messages.encode("Request", messages.Request(7, 0, command))
            cut = frames.cut(message, mtu, 250)
            assert all(len(frame) <= mtu - 3 for frame in cut)
            *before, last = [joiner.take(frame) for frame in cut]
            assert all(taken is None for taken in before)
            assert last == message

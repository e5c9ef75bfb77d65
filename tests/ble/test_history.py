"""history.py against the table of records, and the chain against its document. Needs no pump, and no package.

    python3 -m unittest discover -s tests/ble -p test_history.py
"""

import re
import unittest
from pathlib import Path

import history
from thecal import messages
from thecal.postcard import WireError

SOURCES = Path(__file__).resolve().parents[2] / "src"


class RecordsTest(unittest.TestCase):
    def test_kinds_and_places_are_those_of_the_table(self):
        table = (SOURCES / "pump/src/record.rs").read_text()
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
        implant = messages.Commissioning("ProgrammableImplant", 2_500_000, 20_000_000)
        body = bytes.fromhex("07 00 a0cb9801 80dac409 00 00")
        self.assertEqual(history.KINDS[61].read(body), (7, {"record": implant}))
        body = bytes.fromhex("00 02 07 80897a 02 00 90a10f 00 01 00")
        with self.assertRaises(WireError):
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
            self.assertEqual(record.clock, messages.Clock.Known(wall=1_767_607_200_000, uncertainty=1_000_000))
            self.assertEqual(record.monotonic_us, 3_600 * 10**6)


if __name__ == "__main__":
    unittest.main()

"""Tests of requirements.py, numbers_to_sign.py and of the citations of tree_rules.py, on small trees made for them."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import numbers_to_sign
import requirements
import tree_rules

LISTED = """needed = ["AC-1"]
[requirements.AC-1]
says = "first"
[requirements.TH-x]
says = "second"
later = "next year"
"""

RUST = """/// Says something.
///
/// Requirement: AC-1
#[test]
#[allow(clippy::all)]
fn it_is_shown() {}
"""

CONSTANTS = '''//! A module.
//!
//! | number | source |
//! |---|---|
//! | 2 mL, settable | \\[GK\\] somewhere |
//! | 7 years | \\[S12\\] |

/// How long it is \\[P\\] (see [`OTHER`]),
/// at most.
pub const LONGEST: Duration = Duration::from_minutes(90);

/// Nothing of interest.
const OTHER: u32 = 5;

/// Both \\[P\\].
#[derive(
    Debug,
)]
pub(crate) struct Pair;

/// From and to \\[P\\].
const RANGE: core::ops::RangeInclusive<u32> =
    1_000..=20_000;

#[cfg(test)]
mod tests {
    /// Not this one \\[P\\].
    const IN_A_TEST: u32 = 1;
}
'''

HAZARD = "| H-01 | hazard | how | control | `src/therapy/src/a.rs` | `it_is_shown` | rest |\n"


class Tree(unittest.TestCase):
    """A tree of one crate, one listed requirement that is needed, and its test."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for inside in ["scripts", "tests"]:
            (self.root / inside).mkdir()
        self.write("docs/requirements.toml", LISTED)
        self.write("docs/hazards.md", HAZARD)
        self.write("docs/clinical-review.md", f"before\n{numbers_to_sign.BEGIN}old\n{numbers_to_sign.END}\nafter\n")
        self.write("src/therapy/src/a.rs", CONSTANTS + RUST)
        self.write("src/therapy/src/tests.rs", RUST)
        self.write("src/units/src/lib.rs", "")

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def run_it(self, *arguments):
        """Exit status and output."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = requirements.main(list(arguments), self.root)
        return status, said.getvalue()

    def test_pages_are_written_and_then_hold(self):
        """Requirement: AC-25"""
        status, said = self.run_it()
        self.assertEqual(status, 1)
        self.assertIn("docs/requirements.md is not what the tree says", said)
        self.assertIn(requirements.WRITE, said)
        self.assertEqual(self.run_it("--write"), (0, ""))
        self.assertEqual(self.run_it(), (0, ""))
        page = (self.root / "docs/requirements.md").read_text()
        self.assertIn("| AC-1 | first | therapy: `it_is_shown` |", page)
        self.assertIn("| TH-x | second | next year |", page)

    def test_a_needed_requirement_without_a_test_fails(self):
        """Requirement: AC-25"""
        for name in ["a", "tests"]:
            self.write(f"src/therapy/src/{name}.rs", RUST.replace("AC-1", "TH-x"))
        status, said = self.run_it("--write")
        self.assertEqual((status, said), (1, "AC-1 has no test: first\n"))

    def test_an_unknown_requirement_fails(self):
        self.write("src/therapy/src/tests.rs", RUST.replace("AC-1", "AC-1, AC-99"))
        _, said = self.run_it("--write")
        self.assertIn("src/therapy/src/tests.rs:6: it_is_shown names AC-99", said)

    def test_a_requirement_that_stands_at_no_test_fails(self):
        self.write("src/therapy/src/tests.rs", "/// Requirement: AC-1\nfn helper() {}\n\n" + RUST)
        _, said = self.run_it("--write")
        self.assertIn("src/therapy/src/tests.rs:1: names a requirement, and is no test", said)

    def test_every_language_names_its_tests(self):
        for path, text, name in [
            ("tests/a.py", 'async def test_it(rig):\n    """Requirement: AC-1"""\n', "test_it"),
            ("tests/a.mjs", '// Requirement: AC-1\ntest("it is", async () => {});\n', "it is"),
            ("tests/a.c", "/* Requirement: AC-1 */\nstatic void it_is(void)\n{\n}\n", "it_is"),
            ("tests/b.c", "/*\n * Requirement: AC-1\n */\nZTEST(suite, test_it)\n{\n}\n", "test_it"),
            ("src/a.rs", "proptest! {\n    /// Requirement: AC-1\n    #[test]\n    fn it_is(x in 0..1) {}\n}\n", "it_is"),
        ]:
            tests, problems = requirements.tests_of(Path(path), text)
            self.assertEqual([(test.name, test.shows) for test in tests], [(name, ["AC-1"])], path)
            self.assertEqual(problems, [])

    def test_hazards_name_what_is_there(self):
        self.run_it("--write")
        for change, said in [
            (("`it_is_shown`", "`it_was_shown`"), "names it_was_shown, which is no test"),
            (("a.rs", "b.rs"), "names src/therapy/src/b.rs, which is not in the tree"),
            (("H-01", "H-02"), "does not follow H-00"),
            (("| rest |", "|"), "has 6 columns"),
            (("`it_is_shown`", "later"), "names no test"),
        ]:
            self.write("docs/hazards.md", HAZARD.replace(*change))
            status, output = self.run_it()
            self.assertEqual(status, 1, change)
            self.assertIn(said, output)
        self.write("docs/hazards.md", HAZARD.replace("`it_is_shown`", "none: no sensor"))
        self.assertEqual(self.run_it(), (0, ""))

    def test_numbers_are_collected_with_item_value_and_mark(self):
        self.assertEqual(
            list(numbers_to_sign.rows(self.root)),
            [
                (Path("therapy/src/a.rs"), "module", "2 mL, settable: [GK] somewhere", "", "[GK]"),
                (Path("therapy/src/a.rs"), "LONGEST", "How long it is [P] (see `OTHER`), at most.", "90 min", "[P]"),
                (Path("therapy/src/a.rs"), "Pair", "Both [P].", "", "[P]"),
                (Path("therapy/src/a.rs"), "RANGE", "From and to [P].", "1000 to 20000", "[P]"),
            ],
        )
        self.run_it("--write")
        page = (self.root / "docs/clinical-review.md").read_text()
        self.assertTrue(page.startswith("before\n") and page.endswith(f"{numbers_to_sign.END}\nafter\n"))
        self.assertNotIn("old", page)

    def test_citations_are_found_over_lines_and_in_strings(self):
        text = '/// (docs/a.md, "One",\n    /// "Two"): x\n * docs/b.md "The\n * third"; "see docs/c.md, \\"Four\\" and"'
        self.assertEqual(list(tree_rules.citations(text)), [("a.md", "One"), ("a.md", "Two"), ("b.md", "The third"), ("c.md", "Four")])
        self.assertEqual(list(tree_rules.citations('read("docs/a.md", "x")')), [])


if __name__ == "__main__":
    unittest.main()

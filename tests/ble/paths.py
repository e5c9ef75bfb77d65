"""Lets the tests find the client, tests/client/thecal: imported before anything of it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "client"))

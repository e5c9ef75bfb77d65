"""What a commit names (docs/protocol.md, "Programming")."""

import hashlib

from thecal import messages
from thecal.messages import Command
from thecal.postcard import U32


def digest(program, program_number):
    """What the pump calls a program that would bear this number."""
    return hashlib.sha256(messages.encode("Program", program) + U32.encode(program_number)).digest()


def commit(staged, reason=None):
    """The commit by somebody who was shown exactly this."""
    shown = messages.Shown(staged.old_day_total_ng, staged.new_day_total_ng, staged.change_tenths_percent)
    return Command.Commit(messages.Commit(staged.digest, shown, reason))

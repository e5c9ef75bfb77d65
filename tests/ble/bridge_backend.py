#!/usr/bin/env python3
"""A pump on native_sim for the page in Chromium: the JSON lines of tests/browser/bridge.mjs on one side, Bumble on the other.

    bridge_backend.py COMMAND [ARGUMENT...]

Boots a pump (THECAL_NATIVE_SIM) with blank flash and a magnet held to it, runs the command with THECAL_BRIDGE=tcp://127.0.0.1:PORT and
THECAL_PACK (the text of its sterile pack) in its environment, and ends with its exit status. This side pairs, as an operating system does. The pump ends with it, however that comes about.

    bridge_backend.py node --test tests/browser/web_bluetooth.test.mjs
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile

from bumble.att import ATT_Error

import phone as air
from pump import PumpError

# The command may take this long, in seconds.
TIME_LIMIT_S = 170

ATTRIBUTES = {2: air.INFO, 3: air.COMMAND, 4: air.RESPONSE, 5: air.DATA, 6: air.STATUS_CHANGED, 7: air.EMERGENCY_CARD}
UNLIKELY_ERROR = 0x0E
ATTRIBUTE_NOT_FOUND = 0x0A


class BridgeError(Exception):
    """What was asked cannot be done; `code` is the ATT error that says so."""

    def __init__(self, text, code=UNLIKELY_ERROR):
        super().__init__(text)
        self.code = code


class Bridge:
    """One test at the other end of one TCP connection."""

    def __init__(self, rig, reader, writer):
        self.rig = rig
        self.reader = reader
        self.writer = writer
        self.phone = None

    async def serve(self):
        try:
            while line := await self.reader.readline():
                question = json.loads(line)
                try:
                    answer = await self.do(question)
                except ATT_Error as error:
                    answer = {"error": str(error), "code": int(error.error_code)}
                except BridgeError as error:
                    answer = {"error": str(error), "code": error.code}
                except (TimeoutError, PumpError) as error:
                    answer = {"error": f"{type(error).__name__}: {error}", "code": UNLIKELY_ERROR}
                self.say({"id": question["id"], **answer})
                await self.writer.drain()
        except ConnectionError:
            pass
        finally:
            await self.close()
            self.writer.close()

    def say(self, line):
        if not self.writer.is_closing():
            self.writer.write(json.dumps(line).encode() + b"\n")

    async def do(self, question):
        match question:
            case {"operation": "open"}:
                await self.open()
                return {"name": "Thecal"}
            case {"operation": "read", "attribute": attribute}:
                value = await self.opened().read_whole(self.identifier(attribute))
                return {"value": value.hex()}
            case {"operation": "write", "attribute": 3, "value": value}:
                await self.opened().write(bytes.fromhex(value))
                return {}
            case {"operation": "close"}:
                await self.close()
                return {}
        raise BridgeError(f"unknown operation: {question}")

    async def open(self):
        await self.close()
        phone = await self.rig.connect_bonded()
        self.phone = phone
        phone.gone.add_done_callback(lambda gone: self.lost(phone, gone.result()))

    def lost(self, phone, reason):
        # Not when it was this side that ended it.
        if self.phone is phone:
            self.phone = None
            self.say({"event": "lost", "reason": f"disconnected, reason {reason}"})

    async def close(self):
        phone, self.phone = self.phone, None
        if phone is not None and not phone.gone.done():
            await phone.disconnect()

    def opened(self):
        if self.phone is None:
            raise BridgeError("there is no connection")
        return self.phone

    def identifier(self, attribute):
        identifier = ATTRIBUTES.get(attribute)
        if identifier not in self.opened().characteristics:
            raise BridgeError(f"the pump has no attribute {attribute}", ATTRIBUTE_NOT_FOUND)
        return identifier


async def run(command):
    with tempfile.TemporaryDirectory(prefix="thecal-bridge-") as folder:
        async with air.Rig(folder) as rig:
            server = await asyncio.start_server(lambda *ends: Bridge(rig, *ends).serve(), "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            environment = {**os.environ, "THECAL_BRIDGE": f"tcp://127.0.0.1:{port}", "THECAL_PACK": rig.pack.text()}
            child = await asyncio.create_subprocess_exec(*command, env=environment, start_new_session=True)
            try:
                return await asyncio.wait_for(child.wait(), TIME_LIMIT_S)
            except TimeoutError:
                print(f"{command[0]} took more than {TIME_LIMIT_S} s", file=sys.stderr)
                return 1
            finally:
                if child.returncode is None:
                    # With its browser and whatever else it has started: they are one session.
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGKILL)
                    await child.wait()
                server.close()


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return asyncio.run(run(sys.argv[1:]))
    except PumpError as error:
        print(f"bridge_backend.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

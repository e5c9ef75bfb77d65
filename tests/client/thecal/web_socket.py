"""The virtual pump's carrier (docs/protocol.md, "The virtual pump's carrier"): attribute values in binary messages."""

import asyncio

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from thecal import client


class AttributeRefused(Exception):
    """What GATT would have answered."""

    def __init__(self, attribute, code):
        super().__init__(f"attribute {attribute}: error {code:#04x}")
        self.code = code


class WebSocketPhone(client.Client):
    """A phone at the virtual pump.

    async with WebSocketPhone.at(port, mtu=247) as phone:
        await phone.open_session(credentials)
    """

    def __init__(self, socket, mtu):
        super().__init__()
        self.mtu = mtu
        self.socket = socket
        self.fragments = asyncio.Queue()
        self.flags = None
        self.reads = {}
        self.reader = asyncio.create_task(self.listen())

    @classmethod
    def at(cls, port, mtu=247):
        return _Connection(cls, port, mtu)

    async def listen(self):
        """Gives what comes to whoever waits for it."""
        try:
            async for message in self.socket:
                attribute, value = message[0], message[1:]
                if attribute == 0:
                    self.resolve(value[0], AttributeRefused(*value))
                    continue
                if attribute == client.STATUS_CHANGED:
                    self.flags = int.from_bytes(value, "little")
                if not self.resolve(attribute, value) and attribute == client.RESPONSE:
                    self.fragments.put_nowait(value)
        except ConnectionClosed:
            pass
        for waiting in self.reads.values():
            if not waiting.done():
                waiting.set_exception(self.lost())
        self.fragments.put_nowait(None)

    def lost(self):
        return ConnectionError(f"the pump has closed the connection: {self.socket.close_code} {self.socket.close_reason}")

    def resolve(self, attribute, what):
        waiting = self.reads.pop(attribute, None)
        if waiting is None or waiting.done():
            return False
        if isinstance(what, Exception):
            waiting.set_exception(what)
        else:
            waiting.set_result(what)
        return True

    async def read(self, attribute):
        waiting = asyncio.get_running_loop().create_future()
        self.reads[attribute] = waiting
        await self.socket.send(bytes([attribute]))
        return await asyncio.wait_for(waiting, 10)

    async def write(self, frame, with_response=True):
        await self.socket.send(bytes([client.COMMAND]) + frame)

    async def next_fragment(self, patience):
        fragment = await asyncio.wait_for(self.fragments.get(), patience)
        if fragment is None:
            self.fragments.put_nowait(None)
            raise self.lost()
        return fragment

    async def ended(self, patience=10):
        """Waits until the pump has ended the connection; the close code."""
        await asyncio.wait_for(self.reader, patience)
        return self.socket.close_code


class _Connection:
    def __init__(self, kind, port, mtu):
        self.kind = kind
        self.connecting = connect(f"ws://127.0.0.1:{port}/link?mtu={mtu}", compression=None)
        self.mtu = mtu
        self.phone = None

    async def __aenter__(self):
        socket = await self.connecting.__aenter__()
        self.phone = self.kind(socket, self.mtu)
        return self.phone

    async def __aexit__(self, *trace):
        await self.connecting.__aexit__(*trace)
        await asyncio.wait_for(self.phone.reader, 10)

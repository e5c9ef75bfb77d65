"""The virtual pump's carrier (docs/protocol.md, "The virtual pump's carrier"): values of attributes in binary messages."""

import asyncio

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from thecal import client

ERROR = 0


class AttributeRefused(Exception):
    """What the Attribute Protocol would have answered."""

    def __init__(self, attribute, code):
        super().__init__(f"attribute {attribute}: error {code:#04x}")
        self.code = code


class Closed(Exception):
    """The link has ended."""

    def __init__(self, code, reason):
        super().__init__(f"{code} {reason}")
        self.code = code


class WebSocket(client.Client):
    """A phone at the virtual pump: `async with WebSocket(port) as phone`."""

    def __init__(self, port, mtu=247):
        super().__init__()
        self.port, self.mtu = port, mtu
        self.flags = None
        self.fragments = asyncio.Queue()
        self.reads = {}

    async def __aenter__(self):
        self.socket = await connect(f"ws://127.0.0.1:{self.port}/link?mtu={self.mtu}", compression=None)
        self.listening = asyncio.create_task(self.listen())
        return self

    async def __aexit__(self, *trace):
        await self.socket.close()
        await self.listening

    def closed(self):
        return Closed(self.socket.close_code, self.socket.close_reason)

    async def listen(self):
        """Gives what comes to whoever waits for it."""
        try:
            async for data in self.socket:
                self.take(data[0], data[1:])
        except ConnectionClosed:
            pass
        for waiting in self.reads.values():
            waiting.cancelled() or waiting.set_exception(self.closed())
        self.fragments.put_nowait(self.closed())

    def take(self, attribute, value):
        refused = AttributeRefused(*value) if attribute == ERROR else None
        waiting = self.reads.pop(value[0] if refused else attribute, None)
        if attribute == client.STATUS_CHANGED:
            self.flags = int.from_bytes(value, "little")
        if waiting is not None and not waiting.cancelled():
            waiting.set_exception(refused) if refused else waiting.set_result(value)
        elif refused or attribute == client.RESPONSE:
            self.fragments.put_nowait(refused or value)

    async def send_value(self, attribute, value=b""):
        try:
            await self.socket.send(bytes([attribute]) + value)
        except ConnectionClosed:
            raise self.closed() from None

    async def read(self, attribute):
        await self.send_value(attribute)
        self.reads[attribute] = asyncio.get_running_loop().create_future()
        return await self.reads[attribute]

    async def write(self, frame, with_response=True):
        await self.send_value(client.COMMAND, frame)

    async def next_fragment(self, patience):
        fragment = await asyncio.wait_for(self.fragments.get(), patience)
        if isinstance(fragment, Exception):
            raise fragment
        return fragment

    async def ended(self, patience=10):
        """Waits until the pump has ended the connection; the close code."""
        await asyncio.wait_for(asyncio.shield(self.listening), patience)
        return self.socket.close_code

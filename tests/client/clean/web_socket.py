"""The virtual pump's carrier: values of attributes over a loopback WebSocket."""

import asyncio

import websockets
from websockets.asyncio.client import connect

INFO, COMMAND, RESPONSE, STATUS_CHANGED, CARD, ERROR = 2, 3, 4, 6, 7, 0


class Error(Exception):
    """What the Attribute Protocol would have answered."""

    def __init__(self, attribute, code):
        super().__init__(f"error {code:#04x} of attribute {attribute}")
        self.attribute, self.code = attribute, code


class Closed(Exception):
    """The link has ended."""

    def __init__(self, code, reason):
        super().__init__(f"closed: {code} {reason}")
        self.code, self.reason = code, reason


class WebSocket:
    """`async with WebSocket(port) as carrier`. Fragments that come by themselves wait in `indications`."""

    def __init__(self, port, mtu=247):
        self.port, self.mtu = port, mtu
        self.indications, self.notifications = asyncio.Queue(), asyncio.Queue()
        self._reads = {}

    async def __aenter__(self):
        self._socket = await connect(f"ws://127.0.0.1:{self.port}/link?mtu={self.mtu}")
        self._task = asyncio.create_task(self._receive())
        return self

    async def __aexit__(self, *_):
        await self._socket.close()
        await self._task

    async def _receive(self):
        try:
            async for data in self._socket:
                self._take(data[0], data[1:])
        except websockets.ConnectionClosed:
            pass
        closed = Closed(self._socket.close_code, self._socket.close_reason)
        for waiting in self._reads.values():
            if not waiting.done():
                waiting.set_exception(closed)
        self.indications.put_nowait(closed)

    def _take(self, attribute, value):
        if attribute == ERROR:
            error = Error(*value)
            if waiting := self._waiting(error.attribute):
                waiting.set_exception(error)
            else:
                self.indications.put_nowait(error)
        elif waiting := self._waiting(attribute):
            waiting.set_result(value)
        elif attribute == RESPONSE:
            self.indications.put_nowait(value)
        elif attribute == STATUS_CHANGED:
            self.notifications.put_nowait(int.from_bytes(value, "little"))

    def _waiting(self, attribute):
        """The read that this value answers; None for one that comes by itself."""
        waiting = self._reads.pop(attribute, None)
        return waiting if waiting and not waiting.done() else None

    async def _send(self, data):
        try:
            await self._socket.send(data)
        except websockets.ConnectionClosed:
            raise Closed(self._socket.close_code, self._socket.close_reason) from None

    async def read(self, attribute):
        await self._send(bytes([attribute]))
        waiting = self._reads[attribute] = asyncio.get_running_loop().create_future()
        return await waiting

    async def write(self, frame):
        await self._send(bytes([COMMAND]) + frame)

    async def indication(self):
        """The next fragment that comes by itself."""
        fragment = await self.indications.get()
        if isinstance(fragment, Exception):
            raise fragment
        return fragment

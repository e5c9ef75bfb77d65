"""A phone and the air between it and the pump: a real Bluetooth host over virtual controllers (Bumble).

    async with Rig(folder) as rig:          # the pump boots
        phone = await rig.connect(mtu=185)
        status = await phone.interrogate()
        number = await phone.program(wire.continuous("Baclofen", 2_000_000, 250_000))

The phone speaks the protocol of wire.py: each command is one message, its answer comes by indications or by polling.
"""

import asyncio
import socket
import time
from contextlib import asynccontextmanager

from bumble import att
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import Device, Peer
from bumble.hci import Address, HCI_Command_Complete_Event, HCI_ErrorCode, HCI_StatusReturnParameters
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.tcp_server import open_tcp_server_transport_with_socket

import wire
from pump import Pump

BASE = "6a3e{:04x}-1f0d-4b59-9c1e-7d5a0c9be4f2"
SERVICE, INFO, COMMAND, RESPONSE, DATA, STATUS_CHANGED, EMERGENCY_CARD = (BASE.format(n) for n in range(1, 8))

# The longest that any one thing may take on a busy machine, in seconds.
PATIENCE = 20

# What native_sim is made by the technical service: an implant with nominal numbers.
IMPLANT = wire.Commissioning("ProgrammableImplant", step_volume_fl=2_500_000, capacity_nl=20_000_000)


class PumpController(Controller):
    """The pump's radio, at the other end of its socket."""

    def on_packet(self, packet):
        # The process sends its packets one by one, and its kernel holds each back until the one before is acknowledged: at
        # once, or every round trip takes 40 ms more. Linux forgets this setting, so it is made each time.
        pump = self.host.transport
        if pump is not None:
            pump.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        super().on_packet(packet)

    def on_hci_host_number_of_completed_packets_command(self, _command):
        # Zephyr counts packets with a command that this Bumble does not know; it is harmless.
        return None

    def on_hci_le_remove_device_from_resolving_list_command(self, command):
        # Nor does it know this one, with which a bond is forgotten, and Zephyr waits for the answer.
        self.send_hci_packet(
            HCI_Command_Complete_Event(
                num_hci_command_packets=1,
                command_opcode=command.op_code,
                return_parameters=HCI_StatusReturnParameters(HCI_ErrorCode.SUCCESS),
            )
        )


class Phone:
    """One connection of the phone. `mtu` is what it asks for; 23 is what there is without asking."""

    def __init__(self, connection, mtu):
        self.connection = connection
        self.peer = Peer(connection)
        self.client = self.peer.gatt_client
        self.mtu = mtu
        self.characteristics = {}
        self.collector = wire.Collector()
        self.indications = asyncio.Queue()
        self.flags = asyncio.Queue()
        self.polling = False
        self.number = 0
        self.sequence = 0
        self.round_trips = []
        self.gone = asyncio.get_running_loop().create_future()
        connection.on("disconnection", lambda reason: self.gone.done() or self.gone.set_result(reason))

    async def open(self, polling):
        """Discovers the service, agrees on the MTU, and subscribes unless it is to poll."""
        if self.mtu > 23:
            agreed = await self.peer.request_mtu(self.mtu)
            assert agreed == self.mtu, f"asked for an MTU of {self.mtu}, got {agreed}"
        services = await self.peer.discover_service(UUID(SERVICE))
        assert services, "the pump has not the service"
        for characteristic in await services[0].discover_characteristics():
            self.characteristics[str(characteristic.uuid).lower()] = characteristic
        self.polling = polling
        if not polling:
            await self.peer.discover_descriptors(self.characteristics[RESPONSE])
            await self.peer.subscribe(self.characteristics[RESPONSE], self.indications.put_nowait)

    async def subscribe_status_changed(self):
        await self.peer.discover_descriptors(self.characteristics[STATUS_CHANGED])
        await self.peer.subscribe(self.characteristics[STATUS_CHANGED], self.flags.put_nowait)

    async def read(self, uuid, offset=0):
        """One read, from an offset by "read blob"; at most MTU - 1 bytes."""
        handle = self.characteristics[uuid].handle
        if offset == 0:
            request = att.ATT_Read_Request(attribute_handle=handle)
        else:
            request = att.ATT_Read_Blob_Request(attribute_handle=handle, value_offset=offset)
        answer = await asyncio.wait_for(self.client.send_request(request), PATIENCE)
        if answer.op_code == att.Opcode.ATT_ERROR_RESPONSE:
            raise att.ATT_Error(error_code=answer.error_code, message=str(answer))
        return bytes(answer.attribute_value if offset == 0 else answer.part_attribute_value)

    async def read_whole(self, uuid):
        """A value of any length: a read, and as many reads from an offset as it takes."""
        value = await self.read(uuid)
        while len(value) and len(value) % (self.mtu - 1) == 0:
            part = await self.read(uuid, offset=len(value))
            if not part:
                break
            value += part
        return value

    async def info(self):
        return wire.decode(wire.Info, await self.read_whole(INFO))

    async def write(self, frame, with_response=True):
        await asyncio.wait_for(
            self.characteristics[COMMAND].write_value(frame, with_response=with_response), PATIENCE
        )

    def frames(self, message):
        """A message's frames, numbered on from the last."""
        frames = wire.fragment(message, self.mtu - 3, self.sequence)
        self.sequence = self.sequence + len(frames) & 0xFF
        return frames

    async def next_fragment(self):
        """The next fragment of Response, indicated or found by polling."""
        if not self.polling:
            return await asyncio.wait_for(self.indications.get(), PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            fragment = await self.read_whole(RESPONSE)
            if fragment and fragment[1] != self.collector.seen:
                return fragment
            await asyncio.sleep(0.02)
        raise TimeoutError("no new fragment in Response")

    async def message(self, with_response=True):
        """Reads one whole message, acknowledging its fragments."""
        lengths = []
        while True:
            fragment = await self.next_fragment()
            lengths.append(len(fragment))
            acknowledgement, message = self.collector.take(fragment)
            if acknowledgement:
                await self.write(acknowledgement, with_response)
            if message is not None:
                # The same message cut by this hand: the pump makes use of the MTU, and keeps to it.
                expected = [len(frame) for frame in wire.fragment(wire.with_check(message), self.mtu - 3, 0)]
                assert lengths == expected, f"fragments of {lengths} bytes at an MTU of {self.mtu}"
                return message

    async def say(self, command, with_response=True):
        """Says a command, under the next number, and does not wait for its answer."""
        self.number += 1
        for frame in self.frames(wire.encode_request(self.number, command)):
            await self.write(frame, with_response)

    async def command(self, command, with_response=True):
        """Says a command and returns what came of it."""
        begun = time.monotonic()
        await self.say(command, with_response)
        number, outcome = wire.decode_answer(await self.message(with_response))
        assert number == self.number, f"an answer to request {number} instead of {self.number}"
        self.round_trips.append(time.monotonic() - begun)
        return outcome

    async def interrogate(self):
        status = await self.command(wire.Command("Interrogate"))
        assert isinstance(status, wire.Status), status
        return status

    async def therapy(self):
        therapy = await self.command(wire.Command("ReadTherapy"))
        assert isinstance(therapy, wire.TherapyStatus), therapy
        return therapy

    async def commission(self, as_what=IMPLANT):
        """Makes a new pump one of a kind; it stays so for ever."""
        assert await self.command(wire.Command("Commission", as_what)) == wire.DONE

    async def stage(self, program):
        """Stages; a pump that comes from the factory is commissioned first."""
        outcome = await self.command(wire.Command("Stage", program))
        if outcome == wire.NOT_COMMISSIONED:
            await self.commission()
            outcome = await self.command(wire.Command("Stage", program))
        return outcome

    async def program(self, program, reason="Titration"):
        """Stages, compares with what the pump reads back, commits; the new program's number. The reason is given where one is needed."""
        before = await self.interrogate()
        staged = await self.stage(program)
        assert isinstance(staged, wire.Staged), staged
        again = await self.command(wire.Command("ReadBack"))
        assert (again.program, again.digest) == (staged.program, staged.digest)
        assert staged.program == program
        assert staged.digest == program.digest(before.program_number + 1), "the digest is not that of the program shown"
        committed = await self.command(staged.commit(reason if staged.needs_reason else None))
        assert committed == wire.Outcome("Committed", program_number=before.program_number + 1), committed
        return committed.program_number

    async def disconnect(self):
        await asyncio.wait_for(self.connection.disconnect(), PATIENCE)


class Rig:
    """A pump, a phone, and the air."""

    def __init__(self, folder, path=None):
        self.pump = Pump(folder, path)
        self.link = None
        self.phone_controller = None
        self.pump_controller = None
        self.transport = None
        self.device = None

    async def __aenter__(self):
        self.link = LocalLink()
        self.phone_controller = Controller("phone", link=self.link)
        host = Host(self.phone_controller, self.phone_controller)
        self.device = Device(name="phone", address=Address("F0:F1:F2:F3:F4:F5"), host=host)
        try:
            await asyncio.wait_for(self.device.power_on(), PATIENCE)
            await self.boot()
        except BaseException:
            await self.cut_power()
            raise
        return self

    async def __aexit__(self, kind, error, _trace):
        try:
            if kind is None:
                self.pump.check()
        finally:
            await self.cut_power()
            if kind is not None:
                print(f"---- the pump's log ends with:\n{self.pump.tail()}")

    async def boot(self):
        """Starts the pump with a fresh radio: the socket is there before the process looks for it."""
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport = await open_tcp_server_transport_with_socket(listener)
        self.pump_controller = PumpController(
            "pump", host_source=self.transport.source, host_sink=self.transport.sink, link=self.link
        )
        self.pump.start(listener.getsockname()[1])

    async def cut_power(self):
        """Kills the process; the phone notices as phones do."""
        self.pump.cut_power()
        if self.pump_controller is not None:
            self.pump_controller.le_legacy_advertiser.stop()
            self.link.remove_controller(self.pump_controller)
            self.pump_controller = None
            self.lose_link()
        if self.transport is not None:
            self.transport.server.close()
            if self.transport.sink.transport is not None:
                self.transport.sink.transport.close()
            self.transport = None
        await asyncio.sleep(0)

    def lose_link(self):
        """Out of range: each side that is still there sees a supervision time-out."""
        for controller in (self.phone_controller, self.pump_controller):
            if controller is not None:
                for connection in list(controller.le_connections.values()):
                    controller.on_le_disconnected(connection, HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

    @asynccontextmanager
    async def scan(self, on_advertisement):
        self.device.on("advertisement", on_advertisement)
        await self.device.start_scanning(active=False, filter_duplicates=False)
        try:
            yield
        finally:
            await self.device.stop_scanning()
            self.device.remove_listener("advertisement", on_advertisement)

    async def find(self, patience=PATIENCE):
        """The first advertisement with our service in it."""
        found = asyncio.get_running_loop().create_future()

        def look(advertisement):
            uuids = advertisement.data.get(AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS) or []
            if UUID(SERVICE) in uuids and not found.done():
                found.set_result(advertisement)

        async with self.scan(look):
            deadline = time.monotonic() + patience
            while not found.done():
                self.pump.check()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the pump does not advertise; its log:\n{self.pump.tail()}")
                await asyncio.wait([found], timeout=0.2)
        return found.result()

    async def connect(self, mtu=247, polling=False):
        """Finds the pump, connects and discovers its service."""
        advertisement = await self.find()
        connection = await asyncio.wait_for(self.device.connect(advertisement.address), PATIENCE)
        phone = Phone(connection, mtu)
        await asyncio.wait_for(phone.open(polling), PATIENCE)
        return phone

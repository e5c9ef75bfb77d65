"""A phone and the air between it and the pump: a real Bluetooth host over virtual controllers (Bumble).

    async with Rig(folder) as rig:          # the pump boots
        phone = await rig.connect(mtu=185)  # paired, enrolled, in a session as a clinician
        status = await phone.interrogate()
        number = await phone.program(continuous("Baclofen", 2_000_000, 250_000))

The phone is the client of tests/client with Bluetooth as its carrier.
"""

import asyncio
import secrets
import socket
import time
from contextlib import asynccontextmanager

from bumble import att
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import ConnectionParametersPreferences, Device, Peer
from bumble.hci import Address, HCI_Command_Complete_Event, HCI_ErrorCode, HCI_StatusReturnParameters, Phy
from bumble.host import Host
from bumble.keys import MemoryKeyStore
from bumble.link import LocalLink
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport.tcp_server import open_tcp_server_transport_with_socket

import paths  # noqa: F401
from bedside import Bedside
from pump import Pump
from thecal import keys

BASE = "6a3e{:04x}-1f0d-4b59-9c1e-7d5a0c9be4f2"
SERVICE, INFO, COMMAND, RESPONSE, DATA, STATUS_CHANGED, EMERGENCY_CARD = (BASE.format(n) for n in range(1, 8))

# The longest that any one thing may take on a busy machine, in seconds.
PATIENCE = 20

ATTRIBUTES = dict(zip(range(2, 8), (INFO, COMMAND, RESPONSE, DATA, STATUS_CHANGED, EMERGENCY_CARD), strict=True))


# The pump counts connection events, each as long as this says, while this radio carries a packet as fast as the machine can: at 100 ms the
# pump's 5 s are what decides, on a slow machine too.
PACE = {Phy.LE_1M: ConnectionParametersPreferences(connection_interval_min=100, connection_interval_max=100)}


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


class Keyboard(PairingDelegate):
    """Somebody who types the passkey of the implant card."""

    def __init__(self, passkey):
        super().__init__(PairingDelegate.KEYBOARD_INPUT_ONLY)
        self.passkey = passkey

    async def get_number(self):
        return self.passkey


class Phone(Bedside):
    """One connection of the phone. `mtu` is what it asks for; 23 is what there is without asking."""

    def __init__(self, connection, mtu):
        super().__init__()
        self.connection = connection
        self.peer = Peer(connection)
        self.client = self.peer.gatt_client
        self.mtu = mtu
        self.characteristics = {}
        self.indications = asyncio.Queue()
        self.flags = asyncio.Queue()
        self.polling = False
        self.repeat_after = PATIENCE
        self.gone = asyncio.get_running_loop().create_future()
        connection.on("disconnection", lambda reason: self.gone.done() or self.gone.set_result(reason))

    async def open(self, polling):
        """Discovers the service, agrees on the MTU, and subscribes unless it is to poll or may not yet."""
        if self.mtu > 23:
            agreed = await self.peer.request_mtu(self.mtu)
            assert agreed == self.mtu, f"asked for an MTU of {self.mtu}, got {agreed}"
        services = await self.peer.discover_service(UUID(SERVICE))
        assert services, "the pump has not the service"
        for characteristic in await services[0].discover_characteristics():
            self.characteristics[str(characteristic.uuid).lower()] = characteristic
        self.polling = polling
        if not polling:
            await self.subscribe()

    async def subscribe(self):
        await self.peer.discover_descriptors(self.characteristics[RESPONSE])
        await self.peer.subscribe(self.characteristics[RESPONSE], self.indications.put_nowait)

    async def subscribe_status_changed(self):
        await self.peer.discover_descriptors(self.characteristics[STATUS_CHANGED])
        await self.peer.subscribe(self.characteristics[STATUS_CHANGED], self.flags.put_nowait)

    async def read_once(self, uuid, offset=0):
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

    async def read(self, attribute, offset=0):
        """An attribute of the client's, whole; or one read of a characteristic by its UUID."""
        if attribute in ATTRIBUTES:
            return await self.read_whole(ATTRIBUTES[attribute])
        return await self.read_once(attribute, offset)

    async def read_whole(self, uuid):
        """A value of any length: a read, and as many reads from an offset as it takes."""
        value = await self.read_once(uuid)
        while len(value) and len(value) % (self.mtu - 1) == 0:
            part = await self.read_once(uuid, offset=len(value))
            if not part:
                break
            value += part
        return value

    async def write(self, frame, with_response=True):
        await asyncio.wait_for(
            self.characteristics[COMMAND].write_value(frame, with_response=with_response), PATIENCE
        )

    async def next_fragment(self, patience=PATIENCE):
        """The next fragment of Response, indicated or found by polling."""
        if not self.polling:
            return await asyncio.wait_for(self.indications.get(), patience)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            fragment = await self.read_whole(RESPONSE)
            if fragment and fragment[1] != self.joiner.last:
                return fragment
            await asyncio.sleep(0.02)
        raise TimeoutError("no new fragment in Response")

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
        # What the production line gave the pump, and this phone's key once it is enrolled.
        private = keys.random()
        self.pack = keys.Pack(keys.public_key(private), keys.random(), keys.random(), 1 + secrets.randbelow(999_999))
        if path is None:
            self.pump.page = self.pack.page(private)
        self.key = None
        self.bonded = False
        self.keystore = MemoryKeyStore()

    async def __aenter__(self):
        self.link = LocalLink()
        self.phone_controller = Controller("phone", link=self.link)
        host = Host(self.phone_controller, self.phone_controller)
        self.device = Device(name="phone", address=Address("F0:F1:F2:F3:F4:F5"), host=host)
        self.device.keystore = self.keystore
        self.device.pairing_config_factory = lambda _connection: PairingConfig(
            delegate=Keyboard(self.pack.passkey), identity_address_type=PairingConfig.AddressType.RANDOM
        )
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

    async def connect_only(self, mtu=247, polling=True, encrypted=False):
        """Finds the pump, connects and discovers its service; not in a session, and not encrypted unless that is wanted."""
        connection = await self.connection()
        if encrypted:
            # Before anything else, as phones do that have a bond: the pump counts the connection events until then.
            await asyncio.wait_for(connection.encrypt(), PATIENCE)
        phone = Phone(connection, mtu)
        await asyncio.wait_for(phone.open(polling), PATIENCE)
        return phone

    async def connection(self):
        """Finds the pump and connects, and no more."""
        advertisement = await self.find()
        return await asyncio.wait_for(
            self.device.connect(advertisement.address, connection_parameters_preferences=PACE), PATIENCE
        )

    async def armed(self, mtu=247):
        """A connection while the presence window is open: somebody holds a magnet after the boot (--magnet-at), and the pump says when it has been long enough.

        It does not try again and again: that is what the pump counts, and rests after.
        """
        await self.find()
        deadline = time.monotonic() + PATIENCE
        while "link: armed" not in self.pump.log_of_this_boot():
            assert time.monotonic() < deadline, f"nobody holds a magnet to the pump (--magnet-at):\n{self.pump.tail()}"
            await asyncio.sleep(0.1)
        phone = await self.connect_only(mtu)
        info = await phone.info()
        assert info.armed, "the presence window is over"
        return phone

    async def connect_bonded(self, mtu=247):
        """Connected and encrypted, not in a session; the first time it pairs, with the passkey of the implant card."""
        if self.bonded:
            return await self.connect_only(mtu, encrypted=True)
        phone = await self.armed(mtu)
        await asyncio.wait_for(phone.connection.pair(), PATIENCE)
        self.bonded = True
        return phone

    async def enrol(self):
        """Makes this phone the first clinician."""
        phone = await self.connect_bonded()
        self.key = await phone.enrol(self.pack)
        # The pump ends an enrolment by itself.
        await asyncio.wait_for(phone.gone, PATIENCE)

    async def connect(self, mtu=247, polling=False):
        """Finds the pump and opens a session with it as a clinician; the first time, pairs and enrols before."""
        if self.key is None:
            await self.enrol()
        phone = await self.connect_bonded(mtu)
        phone.polling = polling
        if not polling:
            await asyncio.wait_for(phone.subscribe(), PATIENCE)
        welcome = await phone.open_session(self.key)
        assert welcome.role == "Clinician", welcome
        return phone

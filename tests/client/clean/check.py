"""Checks every vector, and programs a virtual pump: `check.py VECTORS [PORT PACK]`."""

import asyncio
import json
import pathlib
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from clean import client, frames, keys, messages, noise, session, web_socket
from clean.messages import *


def vectors(folder, name):
    lines = (pathlib.Path(folder) / f"{name}.txt").read_text().splitlines()
    return dict(line.split() for line in lines if not line.startswith("#"))


def check(folder):
    for file, kind in ("requests", "Request"), ("answers", "Answer"), ("open", None):
        for name, digits in vectors(folder, file).items():
            value = messages.decode(kind or name.split("-")[0], bytes.fromhex(digits))
            assert messages.encode(kind or name.split("-")[0], value).hex() == digits, name
            assert kind != "Request" or client.numbered(value.command) == (value.number != 0), name
    for name in "enrolled", "enrolment":
        of = {key.split(".")[1]: bytes.fromhex(value) for key, value in vectors(folder, "handshakes").items() if key.startswith(name + ".")}
        info, key = messages.decode("Info", of["info"]), keys.Key(of["pump_public"], of["phone_private"], of["preshared"], of["slot"][0])
        handshake = noise.Handshake(key, info, of["phone_ephemeral_private"])
        assert noise.prologue(info) == of["prologue"]
        assert session.message(session.HELLO, handshake.hello()) == of["hello"]
        content, *two = handshake.welcome(session.parse(of["welcome"], session.WELCOME))
        assert [content, *two] == [of["welcome_content"], of["requests_key"], of["answers_key"]]
        opened = session.Session(messages.decode("Welcome", content), *two)
        request = messages.decode("Request", of["request_content"])
        assert opened.seal(request.command, request.number) == of["request"]
        assert messages.encode("Answer", messages.Answer(1, opened.open(of["answer"]))) == of["answer_content"]
    texts = vectors(folder, "texts")
    for name, kind in ("pack", keys.Pack), ("implant-card", keys.ImplantCard), ("key", keys.Key):
        assert kind.read(texts[name].lower().replace(":", " :\n")).write() == texts[name]
    assert keys.fingerprint(keys.Pack.read(texts["pack"]).pump) == texts["fingerprint"]
    cut = vectors(folder, "frames")
    for name in "short", "medium", "longest":
        message = bytes.fromhex(cut[name + ".message"])
        for mtu in 23, 247:
            expected = [bytes.fromhex(digits) for key, digits in cut.items() if key.startswith(f"{name}.mtu-{mtu}.")]
            joiner = frames.Joiner()
            assert frames.cut(message, mtu, expected[0][1]) == expected
            assert [joiner.take(frame) for frame in expected][-1] == message


def simulation(port, **change):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/simulation", json.dumps(change).encode() if change else None, {"Content-Type": "application/json"}
    )
    return json.load(urllib.request.urlopen(request))


async def program(port, text):
    pack = keys.Pack.read(text)
    simulation(port, magnet=True)
    while not simulation(port)["armed"]:
        await asyncio.sleep(0.2)
    key = keys.Key.new(pack.pump, 0)
    async with web_socket.WebSocket(port, mtu=23) as carrier:
        phone = client.Client(carrier, polls=True)
        print(await phone.card(), await phone.open(pack.way_in))
        print(await phone.ask(Command.GrantKey(KeyGrant(0, Role.Clinician, key.public, key.preshared))))
    async with web_socket.WebSocket(port) as carrier:
        phone = client.Client(carrier)
        await phone.open(key)
        bolus = PatientBolus(100_000, 300, 240, 3)
        dose = Mode.SimpleContinuous(Dose(1_000_000, Per.Day))
        wanted = Program(Component(Drug.Morphine, 10_000_000), (), dose, bolus, fill=Fill(20_000_000, False))
        print(await phone.program(wanted, print))
        therapy = (await phone.ask(Command.ReadTherapy)).value
        print(await phone.ask(Command.ClinicianBolus(ClinicianBolus(therapy.last_number + 1, 50_000, 300))))
        at = 0
        while (part := (await phone.ask(Command.ReadLog(LogName.Events, at))).value).next != at:
            at = part.next
            print(at, part.records.hex())
        print(await phone.ask(Command.Interrogate))


check(sys.argv[1])
if len(sys.argv) > 2:
    asyncio.run(program(int(sys.argv[2]), sys.argv[3]))

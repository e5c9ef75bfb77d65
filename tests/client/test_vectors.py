"""The kept vectors of handshakes, frames and texts (src/protocol/vectors/v1), made again by this hand from what the documents say."""

import pytest

from test_messages import VECTORS, vectors
from thecal import frames, keys, messages, noise, session
from thecal.postcard import decode, encode


def handshake(name):
    front = f"{name}."
    return {field.removeprefix(front): value for field, value in vectors("handshakes.txt").items() if field.startswith(front)}


@pytest.fixture(params=["enrolled", "enrolment"])
def kept(request):
    return handshake(request.param)


def phone(kept):
    """A phone that says hello with the vector's random bytes."""
    credentials = keys.Credentials(kept["slot"][0], kept["phone_private"], kept["preshared"], kept["pump_public"])
    info = decode(messages.Info, kept["info"])
    return session.Session(info, credentials, kept["phone_ephemeral_private"])


def test_every_step_of_the_handshake_has_the_bytes_of_the_vector(kept):
    assert noise.public_key(kept["pump_private"]) == kept["pump_public"]
    assert noise.public_key(kept["phone_private"]) == kept["phone_public"]
    info = decode(messages.Info, kept["info"])
    assert session.prologue(info) == kept["prologue"]
    assert session.gate_key(kept["preshared"]) == kept["gate_key"]
    ours = phone(kept)
    assert ours.shake.message == kept["first_noise_message"]
    assert ours.hello == kept["hello"]
    assert kept["gate"] in ours.hello
    welcome = ours.take_welcome(kept["welcome"])
    assert welcome == decode(messages.Welcome, kept["welcome_content"])
    assert (ours.requests, ours.answers) == (kept["requests_key"], kept["answers_key"])
    request = decode(messages.Request, kept["request_content"])
    assert ours.seal(request) == kept["request"]
    assert ours.open(kept["answer"]) == decode(messages.Answer, kept["answer_content"])


def test_the_pumps_side_of_the_handshake_has_the_bytes_of_the_vector(kept):
    body, requests, answers = noise.answer(
        kept["prologue"],
        kept["pump_private"],
        kept["phone_public"],
        kept["preshared"],
        kept["first_noise_message"],
        kept["pump_ephemeral_private"],
        kept["welcome_content"],
    )
    assert bytes([messages.VERSION, session.WELCOME]) + body == kept["welcome"]
    assert (requests, answers) == (kept["requests_key"], kept["answers_key"])


@pytest.mark.parametrize("field", ["welcome", "answer"])
def test_a_changed_bit_is_found(field):
    kept = handshake("enrolled")
    for bit in range(16, 8 * len(kept[field])):
        changed = bytearray(kept[field])
        changed[bit // 8] ^= 1 << bit % 8
        ours = phone(kept)
        with pytest.raises((noise.NotTheirs, ValueError)):
            if field == "welcome":
                ours.take_welcome(bytes(changed))
            else:
                ours.take_welcome(kept["welcome"])
                ours.open(bytes(changed))


def test_another_nonce_another_hello():
    kept = handshake("enrolled")
    info = decode(messages.Info, kept["info"])
    credentials = keys.Credentials(kept["slot"][0], kept["phone_private"], kept["preshared"], kept["pump_public"])
    other = messages.Info(info.version, info.schema_hash, info.capabilities, bytes(8), info.lifecycle, info.armed)
    ours = session.Session(other, credentials, kept["phone_ephemeral_private"])
    assert ours.hello != kept["hello"]
    assert encode(messages.Info, info) == kept["info"]


def test_denied_is_read_for_what_it_says():
    for name, data in vectors("open.txt").items():
        if name.startswith("Denied"):
            with pytest.raises(session.DeniedError) as error:
                session.body_of(bytes([messages.VERSION, session.DENIED]) + data, session.WELCOME)
            assert error.value.denied.case == name.split("-")[1]


@pytest.mark.parametrize("mtu", [23, 247])
@pytest.mark.parametrize("name", ["short", "medium", "longest"])
def test_frames_are_cut_and_put_together_as_in_the_vector(name, mtu):
    found = vectors("frames.txt")
    message = found[f"{name}.message"]
    whole = frames.with_check(message)
    assert whole == message + found[f"{name}.check"]
    kept = [data for field, data in found.items() if field.startswith(f"{name}.mtu-{mtu}.")]
    assert frames.fragment(whole, mtu, kept[0][1]) == kept
    collector = frames.Collector()
    taken = [collector.take(frame) for frame in kept]
    assert [acknowledgement for acknowledgement, _ in taken] == [frames.acknowledge(frame[1]) for frame in kept]
    assert [message for _, message in taken if message is not None] == [message]


def test_texts_are_read_and_written():
    lines = (VECTORS / "texts.txt").read_text().splitlines()
    found = dict(line.split(" ", 1) for line in lines if not line.startswith("#"))
    pack = keys.Pack.parse(found["pack"])
    assert pack.text() == found["pack"]
    assert keys.pack_of_page(bytes.fromhex(found["page"])) == pack
    private = bytes.fromhex(found["page"])[12:44]
    assert keys.page(private, pack.one_time, pack.recovery, pack.passkey).hex() == found["page"]
    assert pack.implant_card().text() == found["implant-card"]
    assert keys.ImplantCard.parse(found["implant-card"]) == pack.implant_card()
    assert keys.Credentials.parse(found["key"]).text() == found["key"]
    assert keys.fingerprint_text(pack.pump) == found["fingerprint"]
    # As somebody copies it by hand.
    by_hand = f" {found['pack'][:30].lower()} \n{found['pack'][30:]}\n"
    assert keys.Pack.parse(by_hand) == pack
    for wrong in (found["pack"][:-1] + ("1" if found["pack"][-1] == "0" else "0"), found["pack"][:-2], found["pack"].replace("THECAL1", "THECAL2"), "THECAL1:XY"):
        with pytest.raises(keys.TextError):
            keys.Pack.parse(wrong)

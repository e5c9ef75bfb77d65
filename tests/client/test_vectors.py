"""Handshakes, sealed messages, frames, pages and texts of the vectors (src/protocol/vectors/v1), made again from what the documents say."""

import pytest

from test_messages import VECTORS, vectors
from thecal import frames, keys, messages, noise, session
from thecal.postcard import WireError


def handshake(name):
    front = f"{name}."
    return {field.removeprefix(front): value for field, value in vectors("handshakes.txt").items() if field.startswith(front)}


@pytest.fixture(params=["enrolled", "enrolment"])
def kept(request):
    return handshake(request.param)


def phone(kept, info=None):
    """A phone that says hello with the vector's random bytes."""
    key = keys.Key(kept["pump_public"], kept["phone_private"], kept["preshared"], kept["slot"][0])
    return noise.Handshake(key, info or messages.decode("Info", kept["info"]), kept["phone_ephemeral_private"])


def opened(kept, welcome):
    """The session that this Welcome opens."""
    return session.Session(*phone(kept).welcome(session.body_of(welcome, session.WELCOME)))


def test_every_step_of_the_handshake_has_the_bytes_of_the_vector(kept):
    assert keys.public_key(kept["pump_private"]) == kept["pump_public"]
    assert keys.public_key(kept["phone_private"]) == kept["phone_public"]
    assert noise.prologue(messages.decode("Info", kept["info"])) == kept["prologue"]
    assert noise.gate_key(kept["preshared"]) == kept["gate_key"]
    hello = phone(kept).hello
    assert session.message(session.HELLO, hello) == kept["hello"]
    assert hello.endswith(kept["gate"] + kept["first_noise_message"])
    content, requests, answers = phone(kept).welcome(session.body_of(kept["welcome"], session.WELCOME))
    assert (content, requests, answers) == (kept["welcome_content"], kept["requests_key"], kept["answers_key"])
    ours = opened(kept, kept["welcome"])
    assert ours.welcome == messages.decode("Welcome", kept["welcome_content"])
    request = messages.decode("Request", kept["request_content"])
    assert ours.seal(request.command, request.number) == kept["request"]
    assert ours.open(kept["answer"]) == messages.decode("Answer", kept["answer_content"]).outcome


def test_a_changed_bit_of_welcome_is_found():
    kept = handshake("enrolled")
    for bit in range(16, 8 * len(kept["welcome"])):
        with pytest.raises(noise.NotTheirs):
            opened(kept, changed(kept["welcome"], bit))


def test_a_changed_bit_of_an_answer_is_found():
    kept = handshake("enrolled")
    ours = opened(kept, kept["welcome"])
    ours.seal(messages.decode("Request", kept["request_content"]).command, 0)
    for bit in range(16, 8 * len(kept["answer"])):
        # As if it had not come: the request is said again.
        assert ours.open(changed(kept["answer"], bit)) is None
    assert ours.open(kept["answer"]) is not None


def changed(data, bit):
    data = bytearray(data)
    data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def test_another_nonce_another_hello():
    kept = handshake("enrolled")
    info = messages.decode("Info", kept["info"])
    other = messages.Info(info.version, info.schema_hash, info.capabilities, bytes(8), info.lifecycle, info.armed)
    assert phone(kept, other).hello != phone(kept, info).hello


def test_denied_is_read_for_what_it_says():
    for name, data in vectors("open.txt").items():
        if name.startswith("Denied"):
            with pytest.raises(session.DeniedError) as error:
                session.body_of(session.message(session.DENIED, data), session.WELCOME)
            assert error.value.denied.case == name.split("-")[1]


@pytest.mark.parametrize("mtu", [23, 247])
@pytest.mark.parametrize("name", ["short", "medium", "longest"])
def test_frames_are_cut_and_joined_as_in_the_vector(name, mtu):
    found = vectors("frames.txt")
    message = found[f"{name}.message"]
    assert frames.check(message) == found[f"{name}.check"]
    kept = [data for field, data in found.items() if field.startswith(f"{name}.mtu-{mtu}.")]
    assert frames.cut(message, mtu, kept[0][1]) == kept
    joiner = frames.Joiner()
    # Each twice, as somebody gets them who is told and reads.
    assert [taken for frame in kept for taken in (joiner.take(frame), joiner.take(frame)) if taken is not None] == [message]


def test_texts_are_read_and_written():
    lines = (VECTORS / "texts.txt").read_text().splitlines()
    found = dict(line.split(" ", 1) for line in lines if not line.startswith("#"))
    pack = keys.Pack.read(found["pack"])
    assert pack.text() == found["pack"]
    page = bytes.fromhex(found["page"])
    assert keys.Pack.of_page(page + b"\xff" * 100) == pack
    assert pack.page(page[12:44]) == page
    assert pack.implant_card().text() == found["implant-card"]
    assert keys.ImplantCard.read(found["implant-card"]) == pack.implant_card()
    assert keys.Key.read(found["key"]).text() == found["key"]
    assert keys.fingerprint_text(pack.pump) == found["fingerprint"]
    # As somebody copies it by hand.
    by_hand = f" {found['pack'][:30].lower()} \n{found['pack'][30:]}\n"
    assert keys.Pack.read(by_hand) == pack
    last = "1" if found["pack"][-1] == "0" else "0"
    for wrong in (found["pack"][:-1] + last, found["pack"][:-2], found["pack"].replace("THECAL1", "THECAL2"), "THECAL1:XY"):
        with pytest.raises(keys.TextError):
            keys.Pack.read(wrong)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda cut: [cut[0], *cut[2:]], id="a frame is missing"),
        pytest.param(lambda cut: cut[1:], id="no beginning"),
        pytest.param(lambda cut: [*cut[:-1], changed(cut[-1], 16)], id="a bit"),
        pytest.param(lambda cut: [*cut[:-1], cut[-1] + b"\0"], id="longer"),
        pytest.param(lambda cut: [*cut[:-1], cut[-1][:-1]], id="shorter"),
        pytest.param(lambda cut: [bytes([0x10]) + cut[0][1:]], id="flags"),
    ],
)
def test_frames_that_are_no_message_are_not_taken(change):
    joiner = frames.Joiner()
    with pytest.raises(WireError):
        for frame in change(frames.cut(bytes(range(60)), 23, 200)):
            joiner.take(frame)
    # The next message is none the worse for it.
    assert [joiner.take(frame) for frame in frames.cut(b"again", 23, 240)] == [b"again"]


def test_a_missing_frame_is_noticed_at_the_next_and_not_at_the_last():
    first, _, third, _ = frames.cut(bytes(60), 23, 254)
    joiner = frames.Joiner()
    joiner.take(first)
    with pytest.raises(WireError):
        joiner.take(third)

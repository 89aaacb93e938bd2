"""Messages are transmitted bit-identically; invalid frames are rejected with a typed error."""

from __future__ import annotations

import tracemalloc
import zlib
from io import BytesIO

import msgpack
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from protocol import PROTOCOL_MAJOR
from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.tasks.task import View
from protocol.wire import codec
from protocol.wire.arrays import ArrayRef
from protocol.wire.codec import MAGIC, PREFIX, ArraySink, decode, encode, request_id_of
from protocol.wire.messages import KIND_OF, KINDS, Busy, Done, Failure, LeaseSpecs, Observation, Observe, SendReports
from tests.support.wire import messages

POSE = Pose((1.0, 1.5, -2.0), (1.0, 0.0, 0.0, 0.0))


def observation(array: np.ndarray, codec_name: str = "raw") -> list:
    sink = ArraySink()
    return encode(b"id", Observation(View(POSE, Camera(), sink.add(array, codec_name))), sink.blobs)


def with_ref(blobs: list, **ref) -> list:
    """Frames of an OBSERVATION with an arbitrary array reference, as a malicious peer may send."""
    full = {"index": 0, "dtype": "uint8", "shape": [2, 2, 3], "codec": "raw", **ref}
    header = msgspec.to_builtins(Observation(View(POSE, Camera(), ArrayRef(0, "uint8", (2, 2, 3)))))
    header["view"]["rgb"] = full
    return [PREFIX, b"OBSERVATION", b"id", msgpack.packb(header), *blobs]


def decode_error(frames: list) -> VantageError:
    with pytest.raises(VantageError) as caught:
        decode(frames)
    return caught.value


# ----------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_every_kind_round_trips(kind, data):
    message, sink, arrays = data.draw(messages(KINDS[kind]))
    frames = encode(b"r" * 16, message, sink.blobs)
    packet = decode([bytes(frame) for frame in frames])
    assert packet.message == message
    assert packet.request_id == b"r" * 16
    refs = list(codec._walk(packet.message))
    assert [ref.index for ref in refs] == list(range(len(arrays)))
    for ref, array in zip(refs, arrays):
        received = packet.array(ref)
        assert received.dtype == array.dtype
        assert received.shape == array.shape
        assert received.tobytes() == np.asarray(array, order="C").tobytes()


def test_kinds_and_structs_are_one_to_one():
    assert len(KIND_OF) == len(KINDS)


@pytest.mark.parametrize("dtype", codec.DTYPES)
def test_raw_arrays_are_not_copied(dtype):
    array = np.ones((3, 5), dtype)
    frames = observation(array)
    assert np.shares_memory(np.frombuffer(frames[4], np.uint8), array)
    received = decode(frames).array(decode(frames).message.view.rgb)
    assert np.shares_memory(received, array)
    assert not received.flags.writeable
    np.testing.assert_array_equal(received, array)


@pytest.mark.parametrize(
    "array",
    [np.arange(24.0).reshape(4, 6)[::2, ::-1], np.arange(6, dtype=">i4").reshape(2, 3), np.zeros((0, 3)), np.array(7)],
    ids=["strided", "big-endian", "empty", "scalar"],
)
def test_any_memory_layout_round_trips(array):
    packet = decode(observation(array))
    received = packet.array(packet.message.view.rgb)
    np.testing.assert_array_equal(received, array)
    assert received.shape == array.shape


def test_an_unaligned_frame_gives_an_aligned_array():
    frames = observation(np.arange(4, dtype=np.float64))
    buffer = bytearray(33)
    buffer[1:] = frames[4]
    packet = decode([*frames[:4], memoryview(buffer)[1:]])
    received = packet.array(packet.message.view.rgb)
    assert received.flags.aligned
    np.testing.assert_array_equal(received, np.arange(4.0))


@pytest.mark.parametrize(("name", "tolerance"), [("png", 0), ("webp", 0), ("jpeg", 6)])
def test_image_codecs(name, tolerance):
    ramp = np.linspace(0, 255, 48 * 40).reshape(48, 40)
    image = np.stack([ramp, ramp[::-1], np.full_like(ramp, 90)], axis=-1).astype(np.uint8)
    packet = decode(observation(image, name))
    received = packet.array(packet.message.view.rgb)
    assert np.abs(received.astype(int) - image).max() <= tolerance
    assert received.dtype == np.uint8
    assert not received.flags.writeable


def test_png_supports_masks():
    mask = (np.arange(12).reshape(3, 4) * 20).astype(np.uint8)
    packet = decode(observation(mask, "png"))
    np.testing.assert_array_equal(packet.array(packet.message.view.rgb), mask)


# ----------------------------------------------------------------------------- other encodings of a message


def test_unknown_fields_are_ignored_and_missing_fields_have_defaults():
    newer = msgpack.packb({"code": "internal", "message": "m", "severity": [1, {"a": b"x"}]})
    assert decode([PREFIX, b"FAILURE", b"", newer]).message == Failure("internal", "m", False)


def test_long_forms_and_integers_for_floats_are_accepted():
    header = (
        b"\xdf\x00\x00\x00\x04"  # map32 of 4
        + b"\xdb\x00\x00\x00\x07learner\xd9\x01x"  # str32, str8
        + b"\xa5count\xd3\x00\x00\x00\x00\x00\x00\x00\x05"  # int64
        + b"\xaepolicy_version\xcf\x00\x00\x00\x00\x00\x00\x00\x07"  # uint64
        + b"\xa7lease_s\x03"  # an int for a float
    )
    assert decode([PREFIX, b"LEASE", b"", header]).message == LeaseSpecs("x", 5, 7, 3.0)


# ----------------------------------------------------------------------------- errors of decode

DONE = [PREFIX, b"DONE", b"id", b"\x80"]
INVALID = {
    "no frames": ([], "4 to"),
    "three frames": (DONE[:3], "4 to"),
    "too many frames": ([*DONE, *[b""] * (codec.MAX_BLOBS + 1)], "4 to"),
    "no magic": ([b"HTTP/", *DONE[1:]], "magic"),
    "long prefix": ([PREFIX + b"x", *DONE[1:]], "magic"),
    "unknown kind": ([PREFIX, b"NOPE", *DONE[2:]], "unknown message kind"),
    "kind in another case": ([PREFIX, b"done", *DONE[2:]], "unknown message kind"),
    "huge kind": ([PREFIX, b"D" * 10**6, *DONE[2:]], "unknown message kind"),
    "long request id": ([PREFIX, b"DONE", b"i" * 65, b"\x80"], "request id"),
    "long header": ([PREFIX, b"DONE", b"", b"\x80" * (codec.MAX_HEADER_BYTES + 1)], "header has"),
    "empty header": ([PREFIX, b"DONE", b"", b""], "not valid"),
    "trailing bytes": ([PREFIX, b"DONE", b"", b"\x80\x80"], "not valid"),
    "array for a struct": ([PREFIX, b"DONE", b"", b"\x90"], "not valid"),
    "wrong type": ([PREFIX, b"BUSY", b"", msgpack.packb({"retry_after_s": "1"})], "not valid"),
    "bool for a number": ([PREFIX, b"BUSY", b"", msgpack.packb({"retry_after_s": True})], "not valid"),
    "missing field": ([PREFIX, b"BUSY", b"", b"\x80"], "not valid"),
    "bytes for text": ([PREFIX, b"LOADING", b"", msgpack.packb({b"deadline_s": 1.0})], "not valid"),
    "broken text": ([PREFIX, b"FAILURE", b"", b"\x82\xa4code\xa1\xff\xa7message\xa1x"], "not valid"),
    "unhashable key": ([PREFIX, b"DONE", b"", b"\x81\x91\x01\x01"], "not valid"),
    "nesting bomb": ([PREFIX, b"DONE", b"", b"\x81\xa1a" + b"\x91" * 10**6], "not valid"),
    "map bomb": ([PREFIX, b"DONE", b"", b"\x81\xa1a" * 10**5], "not valid"),
    "array32 of 4 billion": ([PREFIX, b"REPORTS", b"", b"\x81\xa7reports\xdd\xff\xff\xff\xff"], "not valid"),
    "map32 of 4 billion": ([PREFIX, b"DONE", b"", b"\xdf\xff\xff\xff\xff"], "not valid"),
    "str32 of 4 GB": ([PREFIX, b"DONE", b"", b"\x81\xdb\xff\xff\xff\xff"], "not valid"),
    "bin32 of 4 GB": ([PREFIX, b"DONE", b"", b"\x81\xa1a\xc6\xff\xff\xff\xff"], "not valid"),
    "ext32 of 4 GB": ([PREFIX, b"DONE", b"", b"\x81\xa1a\xc9\xff\xff\xff\xff\x05"], "not valid"),
    "ext for a number": ([PREFIX, b"BUSY", b"", b"\x81\xadretry_after_s\xd4\x05\x00"], "not valid"),
    "rule of a struct": (
        [PREFIX, b"DESCRIBE", b"", msgpack.packb({"scene": {"seed": 1, "split": "val"}})],
        "belongs to the train split",
    ),
    "array without frame": (with_ref([]), "index 0"),
    "frame without array": ([*DONE, b"x"], "0 array frames|1 array frames"),
    "one frame described, two sent": (with_ref([b"x" * 12, b""]), "2 array frames"),
    "negative index": (with_ref([b"x" * 12], index=-1), "index -1"),
    "frame too short": (with_ref([b"x" * 11]), "11 bytes"),
    "frame too long": (with_ref([b"x" * 13]), "13 bytes"),
    "object dtype": (with_ref([b"x" * 12], dtype="object"), "dtype"),
    "void dtype": (with_ref([b"x" * 12], dtype="V1"), "dtype"),
    "struct dtype": (with_ref([b"x" * 12], dtype="u1,u1"), "dtype"),
    "unknown codec": (with_ref([b"x" * 12], codec="gif"), "codec"),
    "negative shape": (with_ref([b"x" * 12], shape=[-2, -2, 3]), "negative"),
    "nine dimensions": (with_ref([b"x"], shape=[1] * 9), "dimensions"),
    "overflowing shape": (with_ref([b""], shape=[2**63, 2**63, 4]), "above the limit"),
    "huge image in a small file": (with_ref([b"x"], shape=[16000, 16000, 3], codec="png"), "above the limit"),
    "float image": (with_ref([b"x"], dtype="float32", codec="png"), "carries uint8"),
    "grey jpeg": (with_ref([b"x"], shape=[2, 2], codec="jpeg"), "carries uint8"),
    "wide image": (with_ref([b"x"], shape=[1, 20000, 3], codec="png"), "carries uint8"),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_frames_are_rejected(name):
    frames, phrase = INVALID[name]
    error = decode_error(frames)
    assert error.code == "bad_request"
    assert any(part in error.message for part in phrase.split("|")), error.message


def test_another_major_version_is_rejected():
    error = decode_error([MAGIC + bytes([PROTOCOL_MAJOR + 1]), *DONE[1:]])
    assert error.code == "version"
    assert str(PROTOCOL_MAJOR + 1) in error.message


def test_an_array_frame_may_be_referenced_once():
    frames = observation(np.zeros((2, 2, 3), np.uint8))
    header = msgpack.unpackb(frames[3])
    header["view"]["depth"] = header["view"]["rgb"]
    assert "array frames" in decode_error([*frames[:3], msgpack.packb(header), frames[4]]).message


def test_frame_and_message_size_limits(monkeypatch):
    frames = observation(np.zeros((4, 4, 3), np.uint8))
    monkeypatch.setattr(codec, "MAX_BLOB_BYTES", 40)
    assert "the limit is" in decode_error(frames).message
    monkeypatch.setattr(codec, "MAX_FRAME_BYTES", 40)
    assert "the limit is" in decode_error(frames).message


@pytest.mark.parametrize("header", [b"\x81\xa7reports\xdd\xff\xff\xff\xff", b"\x81\xa1a\xc6\xff\xff\xff\xff"])
def test_huge_claimed_lengths_allocate_nothing(header):
    decode_error([PREFIX, b"REPORTS", b"", header])
    tracemalloc.start()
    decode_error([PREFIX, b"REPORTS", b"", header])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


# ----------------------------------------------------------------------------- invalid image files


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims this size but has almost no data."""
    chunk = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    data = b"IDAT" + zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (len(part) - 4).to_bytes(4, "big") + part + zlib.crc32(part).to_bytes(4, "big") for part in (chunk, data)
    )


def file_of(format_name: str, size=(2, 2), mode: str = "RGB") -> bytes:
    file = BytesIO()
    Image.new(mode, size).save(file, format_name)
    return file.getvalue()


IMAGE_FILES = {
    "not an image": (b"x" * 50, "png"),
    "empty": (b"", "png"),
    "another format": (file_of("jpeg"), "png"),
    "unsupported format": (file_of("bmp"), "png"),
    "bomb": (png_header(30000, 30000), "png"),
    "huge bomb": (png_header(2**31 - 1, 2**31 - 1), "png"),
    "other size": (file_of("png", (2, 3)), "png"),
    "other mode": (file_of("png", mode="RGBA"), "png"),
    "palette": (file_of("png", mode="P"), "png"),
    "cut short": (file_of("png")[:45], "png"),
    "no pixels": (png_header(2, 2)[:33], "png"),
    "cut jpeg": (file_of("jpeg")[:100], "jpeg"),
    "cut webp": (file_of("webp")[:20], "webp"),
}


@pytest.mark.parametrize("name", IMAGE_FILES)
@pytest.mark.filterwarnings("error")
def test_invalid_image_files_are_rejected(name):
    data, codec_name = IMAGE_FILES[name]
    packet = decode(with_ref([data], codec=codec_name))
    with pytest.raises(VantageError) as caught:
        packet.array(packet.message.view.rgb)
    assert caught.value.code == "bad_request"


# ----------------------------------------------------------------------------- errors of encode


def test_encode_rejects_invalid_messages():
    sink = ArraySink()
    with pytest.raises(VantageError, match="dtype"):
        sink.add(np.array([None]))
    with pytest.raises(VantageError, match="dtype"):
        sink.add(np.zeros(3, complex))
    with pytest.raises(VantageError, match="codec"):
        sink.add(np.zeros((2, 2, 3), np.uint8), "gif")
    with pytest.raises(VantageError, match="carries uint8"):
        sink.add(np.zeros((2, 2, 4), np.uint8), "png")
    with pytest.raises(VantageError, match="array frames"):
        encode(b"", Done(), [b"stray"])
    with pytest.raises(VantageError, match="request id"):
        encode(b"i" * 65, Done())
    with pytest.raises(VantageError, match="not a message"):
        encode(b"", POSE)
    with pytest.raises(VantageError, match="encoded"):
        encode(b"", LeaseSpecs("x", 2**70, 1))
    with pytest.raises(VantageError, match="encoded"):
        encode(b"", Failure("internal", "\ud800"))
    with pytest.raises(VantageError, match="header has"):
        encode(b"", Failure("internal", "x" * codec.MAX_HEADER_BYTES))


def test_an_observe_request_is_small():
    frames = encode(b"r" * 16, Observe(SceneSpec(), Camera(), POSE))
    assert sum(len(frame) for frame in frames) < 700


def test_request_id_of_an_invalid_message():
    assert request_id_of([PREFIX, b"NOPE", b"id", b""]) == b"id"
    assert request_id_of([PREFIX]) == b""
    assert request_id_of([PREFIX, b"NOPE", b"i" * 65]) == b""


def test_empty_and_small_messages_round_trip():
    assert decode(encode(b"", SendReports(()))).message == SendReports(())
    assert decode(encode(b"", Busy(0.5))).message == Busy(0.5)

"""Messages to frames and back: `[magic+major, kind, request_id, header, blob…]`.

The header is MessagePack, validated strictly into the struct of its kind; arrays travel as frames of their own,
described in the header by `ArrayRef`. For any input, `decode` returns a `Packet` or raises VantageError with
code "bad_request" or "version". Raw arrays are not copied.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Union, get_args, get_type_hints

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from protocol import PROTOCOL_MAJOR
from protocol.errors import VantageError
from protocol.wire.arrays import ArrayRef
from protocol.wire.messages import KIND_OF, KINDS

Blob = Union[bytes, memoryview]

MAGIC = b"VNTG"
PREFIX = MAGIC + bytes([PROTOCOL_MAJOR])

# Limits of one message. A frame may hold a float32 image of the largest camera, 4096 x 4096.
MAX_REQUEST_ID_BYTES = 64
MAX_HEADER_BYTES = 4 * 2**20
MAX_BLOBS = 1024
MAX_FRAME_BYTES = 64 * 2**20
MAX_BLOB_BYTES = 512 * 2**20  # all blobs of a message together
MAX_DIMENSIONS = 8
MAX_IMAGE_SIDE_PX = 16383  # WebP's own limit

# Name -> little-endian dtype. Complex, object, string and date types are not carried.
DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64"),
    )
}
_DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}  # NumPy computes dtype.name on every access
# Images are uint8, [H, W, 3] or, in PNG, also [H, W]. WebP is written lossless.
IMAGE_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"compress_level": 1},
    "webp": {"lossless": True, "quality": 0, "method": 0},
    "jpeg": {"quality": 95, "subsampling": 0},
}
CODECS = ("raw", *IMAGE_SAVE_OPTIONS)

_DECODERS = {kind.encode(): msgspec.msgpack.Decoder(cls) for kind, cls in KINDS.items()}


def bad(message: str) -> VantageError:
    return VantageError("bad_request", message)


class Packet(msgspec.Struct, frozen=True):
    """One decoded message. Arrays stay in their frames until `array` is called."""

    request_id: bytes
    message: Any  # a struct of protocol.wire.messages
    blobs: list[memoryview]

    def array(self, ref: ArrayRef) -> NDArray[Any]:
        """The array that `ref` describes, read-only, with `ref.shape`.

        Codec "raw" gives a view into the received frame; the image codecs are decoded now. Raises VantageError
        ("bad_request") if the frame does not match the reference.
        """
        _check_ref(ref, self.blobs)
        blob = self.blobs[ref.index]
        if ref.codec != "raw":
            return _decode_image(blob, ref)
        array = np.frombuffer(blob, dtype=DTYPES[ref.dtype]).reshape(ref.shape)
        if not array.flags.aligned:  # a small frame can start anywhere in the receive buffer
            array = array.copy()
        array.flags.writeable = False
        return array

    def check_file(self, ref: ArrayRef) -> None:
        """Check the header of an encoded image without decoding it. Raises VantageError("bad_request")."""
        if ref.codec != "raw":
            with _opened(self.blobs[ref.index], ref):
                pass


class ArraySink:
    """Collects the arrays of a message under construction."""

    def __init__(self) -> None:
        self.blobs: list[Blob] = []

    def add(self, array: NDArray[Any], codec: str = "raw") -> ArrayRef:
        """Append `array` as the next blob and return its reference.

        With codec "raw", a contiguous little-endian array is not copied: do not change it until it is sent.
        Image codecs take uint8 [H, W, 3], and "png" also [H, W]. Raises VantageError("bad_request") on an unsupported
        dtype, shape or codec.
        """
        name = _DTYPE_NAMES.get(array.dtype) or array.dtype.name
        ref = ArrayRef(index=len(self.blobs), dtype=name, shape=tuple(array.shape), codec=codec)
        _check_layout(ref)
        if codec == "raw":
            self.blobs.append(np.asarray(array, dtype=DTYPES[name], order="C").reshape(-1).view(np.uint8).data)
        else:
            file = BytesIO()
            Image.fromarray(np.asarray(array, order="C")).save(file, codec, **IMAGE_SAVE_OPTIONS[codec])
            self.blobs.append(file.getvalue())
        return ref


def encode(request_id: bytes, message: msgspec.Struct, blobs: Sequence[Blob] = ()) -> list[Blob]:
    """Frames of `message`. Raises VantageError("bad_request") if it exceeds a limit that the receiver checks."""
    kind = KIND_OF.get(type(message))
    if kind is None:
        raise bad(f"{type(message).__name__} is not a message; send one of protocol.wire.messages.KINDS")
    try:
        header = msgspec.msgpack.encode(message)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise bad(f"a field of {kind} cannot be encoded: {error}") from None
    _check_sizes(len(request_id), len(header), [memoryview(blob).nbytes for blob in blobs])
    _check_refs(message, blobs)
    return [PREFIX, kind.encode(), request_id, header, *blobs]


def decode(frames: Sequence[Blob]) -> Packet:
    """The message in `frames`. Its blobs refer to the memory of the frames.

    Raises VantageError: "version" for another protocol major, "bad_request" with the violated rule for any other fault.
    """
    if not 4 <= len(frames) <= 4 + MAX_BLOBS:
        raise bad(f"a message has 4 to {4 + MAX_BLOBS} frames, not {len(frames)}")
    prefix, kind, request_id, header, *blobs = (memoryview(frame) for frame in frames)
    _check_prefix(prefix)
    _check_sizes(len(request_id), len(header), [blob.nbytes for blob in blobs])
    decoder = _DECODERS.get(bytes(kind[:64]))
    if decoder is None:
        raise bad(f"unknown message kind {bytes(kind[:64])!r}; this is protocol major {PROTOCOL_MAJOR}")
    try:
        message = decoder.decode(header)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise bad(f"the header of {bytes(kind).decode()} is not valid: {error}") from None
    _check_refs(message, blobs)
    return Packet(bytes(request_id), message, blobs)


def request_id_of(frames: Sequence[Blob]) -> bytes:
    """The id for the answer to a message that `decode` rejected; empty if it has no usable one."""
    if len(frames) > 2 and len(memoryview(frames[2])) <= MAX_REQUEST_ID_BYTES:
        return bytes(frames[2])
    return b""


def _check_prefix(prefix: memoryview) -> None:
    if prefix == PREFIX:
        return
    if len(prefix) == len(PREFIX) and prefix[:-1] == MAGIC:
        raise VantageError(
            "version", f"the peer uses protocol major {prefix[-1]} and this side {PROTOCOL_MAJOR}; update the older one"
        )
    raise bad("the first frame is not the Vantage magic; only Vantage peers may connect to this socket")


def _check_sizes(request_id_bytes: int, header_bytes: int, blob_bytes: Sequence[int]) -> None:
    if request_id_bytes > MAX_REQUEST_ID_BYTES:
        raise bad(f"the request id has {request_id_bytes} bytes; the limit is {MAX_REQUEST_ID_BYTES}")
    if header_bytes > MAX_HEADER_BYTES:
        raise bad(f"the header has {header_bytes} bytes; the limit is {MAX_HEADER_BYTES}: ask for less at once")
    if len(blob_bytes) > MAX_BLOBS:
        raise bad(f"the message has {len(blob_bytes)} arrays; the limit is {MAX_BLOBS}: ask for fewer views at once")
    if blob_bytes and (max(blob_bytes) > MAX_FRAME_BYTES or sum(blob_bytes) > MAX_BLOB_BYTES):
        raise bad(
            f"the arrays have {sum(blob_bytes)} bytes; the limit is {MAX_FRAME_BYTES} for one and {MAX_BLOB_BYTES} "
            "together: ask for fewer or smaller views at once"
        )


def _check_refs(message: msgspec.Struct, blobs: Sequence[Blob]) -> None:
    """Check that every blob is described by exactly one reference and matches it."""
    indices = []
    for ref in _walk(message):
        _check_ref(ref, blobs)
        indices.append(ref.index)
    if sorted(indices) != list(range(len(blobs))):
        raise bad(f"the header describes arrays {sorted(indices)[:16]} but {len(blobs)} array frames follow it")


def _check_ref(ref: ArrayRef, blobs: Sequence[Blob]) -> None:
    _check_layout(ref)
    if not 0 <= ref.index < len(blobs):
        raise bad(f"array index {ref.index} is outside the {len(blobs)} array frames")
    length = memoryview(blobs[ref.index]).nbytes
    if ref.codec == "raw" and length != _array_bytes(ref):
        raise bad(
            f"array {ref.index} is {ref.dtype} {list(ref.shape)[:MAX_DIMENSIONS]} but its frame has {length} bytes"
        )


def _check_layout(ref: ArrayRef) -> None:
    if ref.dtype not in DTYPES:
        raise bad(f"arrays of dtype {ref.dtype[:32]!r} are not carried; use one of {', '.join(DTYPES)}")
    if ref.codec not in CODECS:
        raise bad(f"unknown array codec {ref.codec[:32]!r}; use one of {', '.join(CODECS)}")
    if len(ref.shape) > MAX_DIMENSIONS or min(ref.shape, default=0) < 0:
        raise bad(f"an array has at most {MAX_DIMENSIONS} dimensions, none negative")
    # Applies to image codecs too: a small file must not decompress into a huge image.
    if _array_bytes(ref) > MAX_FRAME_BYTES:
        raise bad(f"an array of {_array_bytes(ref)} bytes is above the limit of {MAX_FRAME_BYTES}")
    if ref.codec == "raw":
        return
    is_image = (len(ref.shape) == 3 and ref.shape[2] == 3) or (len(ref.shape) == 2 and ref.codec == "png")
    if ref.dtype != "uint8" or not is_image or not 1 <= min(ref.shape) <= max(ref.shape) <= MAX_IMAGE_SIDE_PX:
        raise bad(
            f"codec {ref.codec} carries uint8 [H, W, 3] (png also [H, W]) with sides of 1..{MAX_IMAGE_SIDE_PX} px, "
            f"not {ref.dtype} {list(ref.shape)}"
        )


def _array_bytes(ref: ArrayRef) -> int:
    return math.prod(ref.shape) * DTYPES[ref.dtype].itemsize


def _decode_image(blob: memoryview, ref: ArrayRef) -> NDArray[np.uint8]:
    with _opened(blob, ref) as image:
        array = np.asarray(image)
    array.flags.writeable = False
    return array


@contextmanager
def _opened(blob: memoryview, ref: ArrayRef) -> Iterator[Image.Image]:
    """The image file in `blob`, whose header matches `ref`. Faults in the block count as faults of the file."""
    height_px, width_px = ref.shape[:2]
    mode = "RGB" if len(ref.shape) == 3 else "L"
    try:
        with Image.open(BytesIO(blob), formats=[ref.codec]) as image:
            # Opening reads the header only; nothing is decompressed before the declared size is checked.
            if image.size != (width_px, height_px) or image.mode != mode:
                raise bad(f"array {ref.index} is declared {list(ref.shape)} but its {ref.codec} file differs")
            yield image
    except VantageError:
        raise
    except Exception as error:  # Pillow raises nearly every built-in exception on broken files
        raise bad(f"array {ref.index} is not a valid {ref.codec} file: {error}") from None


def _walk(value: Any) -> Iterator[ArrayRef]:
    if isinstance(value, ArrayRef):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _walk(item)
    elif isinstance(value, msgspec.Struct):
        for name in _ref_fields(type(value)):
            yield from _walk(getattr(value, name))


@functools.cache
def _ref_fields(cls: type) -> tuple[str, ...]:
    """Fields of a struct under which an ArrayRef can stand; long headers are walked only there."""
    return tuple(name for name, hint in get_type_hints(cls).items() if _can_hold_ref(hint))


def _can_hold_ref(hint: Any) -> bool:
    if get_args(hint):
        return any(_can_hold_ref(part) for part in get_args(hint))
    return hint is ArrayRef or (isinstance(hint, type) and issubclass(hint, msgspec.Struct) and bool(_ref_fields(hint)))

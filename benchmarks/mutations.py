"""Valid messages with a few mutations, generated as fast as a service can refuse them; deterministic for a seed.

tests/chaos/test_malformed.py does the same with hypothesis, which finds smaller examples but is a hundred times slower.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np

from protocol.wire.arrays import ArrayRef
from protocol.wire.codec import ArraySink, encode
from protocol.wire.messages import KINDS

STOCK = 24  # valid messages per kind
NUMBERS = (0, 1, -1, 2, 7, 1000, 2**31, 2**63 - 1, 0.0, 0.5, -3.25, 1e300, float("inf"), float("nan"))
WORDS = ("", "a", "rgb", "rooms", "train", "turn_left", "object_color", "natural", "ä" * 40, "\0", "x" * 5000)
VALUES = (None, True, *NUMBERS, *WORDS, b"", b"\xff" * 9, [], {}, [[]], {"seed": -1}, [1.0] * 4, ["rgb", "depth"])


class Mutator:
    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._stock = [frames for kind in sorted(KINDS) for frames in self._valid(KINDS[kind])]
        self._kinds = [kind.encode() for kind in sorted(KINDS)]

    def messages(self, count: int) -> Iterator[list[bytes]]:
        for _ in range(count):
            frames = list(self._chance.choice(self._stock))
            frames[2:3] = [self._chance.randbytes(8)]  # a fresh id, or the reply cache would answer
            for _ in range(self._chance.randint(1, 3)):
                if frames:
                    self._change(frames)
            yield frames

    def _change(self, frames: list[bytes]) -> None:
        chance = self._chance
        index = chance.randrange(len(frames))
        frame = frames[index]
        kind = chance.randrange(9)
        if kind == 0 and frame:
            at = chance.randrange(len(frame))
            frames[index] = frame[:at] + bytes([frame[at] ^ 1 << chance.randrange(8)]) + frame[at + 1 :]
        elif kind == 1 and frame:
            frames[index] = frame[: chance.randrange(len(frame))]
        elif kind == 2:
            frames[index] = frame + chance.randbytes(chance.randint(1, 8))
        elif kind == 3:
            del frames[index]
        elif kind == 4:
            frames.insert(index, frame)
        elif kind == 5:
            frames[index], frames[-1] = frames[-1], frames[index]
        elif kind == 6 and len(frames) > 1:
            frames[1] = chance.choice(self._kinds)
        elif kind == 7 and len(frames) > 3:
            frames[3] = self._changed_value(frames[3])
        elif kind == 8:
            frames[index] = chance.randbytes(chance.randint(0, 40))

    def _changed_value(self, header: bytes) -> bytes:
        """The header with one value replaced by another one, of any type."""
        chance = self._chance
        try:
            root = msgspec.msgpack.decode(header)
        except Exception:  # an earlier mutation broke it
            return chance.randbytes(12)
        node, place = root, None
        while isinstance(node, (dict, list)) and node and (place is None or chance.random() < 0.7):
            key = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
            place = (node, key)
            node = node[key]
        value = chance.choice(VALUES)
        if place is None:
            return msgspec.msgpack.encode(value)
        place[0][place[1]] = value
        return msgspec.msgpack.encode(root)

    def _valid(self, cls: type[msgspec.Struct]) -> Iterator[list[bytes]]:
        made = 0
        while made < STOCK:
            sink = ArraySink()
            try:
                message = self._value(cls, sink)
            except ValueError:  # refused by the struct's own checks
                continue
            yield [bytes(frame) for frame in encode(b"", message, sink.blobs)]
            made += 1

    def _value(self, hint: Any, sink: ArraySink) -> Any:
        chance = self._chance
        parts = get_args(hint)
        if hint is ArrayRef:
            return sink.add(np.zeros((chance.randint(1, 4), 2, 3), np.uint8))
        if get_origin(hint) is Union:
            return self._value(parts[0], sink) if chance.random() < 0.5 else None
        if get_origin(hint) is tuple:
            if parts[-1] is Ellipsis:
                return tuple(self._value(parts[0], sink) for _ in range(chance.randint(0, 2)))
            return tuple(self._value(part, sink) for part in parts)
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            fields = {field.name: field for field in msgspec.structs.fields(hint)}
            given = {
                name: self._value(type_, sink)
                for name, type_ in get_type_hints(hint).items()
                if fields[name].required or chance.random() < 0.3
            }
            return hint(**given)
        values = {int: chance.choice((0, 1, 3, 16, 640)), float: chance.uniform(0.1, 2.5), bool: chance.random() < 0.5}
        return values.get(hint, chance.choice(WORDS[:-1]))

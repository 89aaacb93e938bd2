"""An oracle for composed questions: it reads the English sentence and answers it from masks and sampled boxes.

It shares no code with the composer, and does not see the program. Objects and their places come from the description,
the id image and the camera; boxes are sampled by points, so that distances are right to a few centimetres.
"""

from __future__ import annotations

import re
from typing import Callable, Optional, Sequence

import numpy as np

from protocol.tasks.nouns import plural
from protocol.tasks.scene import SceneDescription, Vec3

_SIDE = 7  # points along an edge of a box
_EXTREMES = {
    "leftmost": ("u", 0),
    "rightmost": ("u", 1),
    "highest": ("v", 0),
    "lowest": ("v", 1),
    "longest": ("size", 1),
}
_RELATIONS = {  # phrase -> measure, and whether it is larger
    "to the left of": ("u", False),
    "to the right of": ("u", True),
    "higher than": ("v", False),
    "lower than": ("v", True),
    "longer than": ("size", True),
}
_WORDS = re.compile(r"[a-z]+")


class Unread(Exception):
    """The sentence has no meaning to the oracle."""


class Views:
    """The objects of one or two images: ids int32 [N, H, W], and the position of the first camera."""

    def __init__(self, description: SceneDescription, ids: np.ndarray, eye_m: Vec3) -> None:
        keys = [set(np.unique(image).tolist()) for image in ids]
        self.objects = {item.id: item for item in description.objects if item.id in keys[0]}
        self.second = keys[1] if len(keys) > 1 else set()
        self.eye = np.array(eye_m)
        height, width = ids.shape[1:]
        self.u, self.v, self.points, self.size = {}, {}, {}, {}
        for key, item in self.objects.items():
            rows, columns = np.nonzero(ids[0] == key)
            self.u[key], self.v[key] = (columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height
            self.points[key] = _surface(item.box)
            self.size[key] = 2 * max(item.box.half_extents_m)

    def apart(self, a: int, b: int) -> float:
        gaps = self.points[a][:, None, :] - self.points[b][None, :, :]
        return float(np.sqrt((gaps**2).sum(-1)).min())

    def from_eye(self, key: int) -> float:
        return float(np.sqrt(((self.points[key] - self.eye) ** 2).sum(-1)).min())


def _surface(box) -> np.ndarray:
    """Points on the sides of a box in the world, [P, 3] m."""
    steps = np.linspace(-1, 1, _SIDE)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    local = grid[np.abs(grid).max(-1) == 1] * box.half_extents_m
    w, axis = box.rotation_wxyz[0], np.array(box.rotation_wxyz[1:])
    turned = local + 2 * np.cross(axis, np.cross(axis, local) + w * local)
    return turned + box.centre_m


Test = Callable[[int], bool]


class Reader:
    """Reads one sentence by recursive descent over its words."""

    def __init__(self, views: Views) -> None:
        self.views = views
        self.words: list[str] = []
        self.at = 0

    def answer(self, text: str, options: Sequence[str]) -> str:
        """The answer as the simulator writes it. Raises Unread."""
        bare = re.sub(r" ?\bin the (first )?image\b,?", "", text.lower())
        self.words, self.at = _WORDS.findall(bare), 0
        found = self.sentence(options)
        if self.at < len(self.words):
            raise Unread(f"{text!r}: what is {' '.join(self.words[self.at :])!r}?")
        return found

    # ------------------------------------------------------------------------- words

    def take(self, phrase: str) -> bool:
        wanted = phrase.split()
        if self.words[self.at : self.at + len(wanted)] != wanted:
            return False
        self.at += len(wanted)
        return True

    def need(self, *phrases: str) -> str:
        for phrase in phrases:
            if self.take(phrase):
                return phrase
        raise Unread(f"expected {phrases} at {' '.join(self.words[self.at :])!r}")

    # ------------------------------------------------------------------------- sentences

    def sentence(self, options: Sequence[str]) -> str:
        if self.take("how many"):
            items = self.noun(many=True)
            if self.take("are there") or self.take("does the image show"):
                return str(len(items))
            self.need("are")
            return str(len(list(filter(self.tests(), items))))
        if self.take("what is the number of"):
            return str(len(self.clause()))
        if self.take("do the"):
            first = self.clause()
            self.need("outnumber the")
            return _yes(len(first) > len(self.clause()))
        if self.take("does the image show") or self.take("is there"):
            self.need("an", "a")
            items = self.noun(many=False)
            return _yes(bool(list(filter(self.tests(), items)) if self.take("that is") else items))
        if self.take("what color is") or self.take("what is the color of"):
            return self.views.objects[self.item()].color
        if self.take("which of these"):
            _ = self.take("two objects") or self.take("objects")
            self.need("is")
            return self.which(options)
        if self.take("are"):
            a, _, b = self.item(), self.need("and"), self.item()
            self.need("closer to each other than")
            c, _, d = self.item(), self.need("and"), self.item()
            return _yes(self.views.apart(a, b) < self.views.apart(c, d))
        self.need("is")
        return self.is_it(self.item())

    def is_it(self, first: int) -> str:
        if self.take("left or right of") or self.take("to the left or to the right of"):
            return "left" if self.views.u[first] < self.views.u[self.item()] else "right"
        start = self.at
        if self.take("closer to") and not self.take("the camera"):
            second, _, third = self.item(), self.need("than"), self.item()
            if self.take("is to"):
                return _yes(self.views.apart(first, second) < self.views.apart(third, self.item()))
        self.at = start
        return _yes(self.test()(first))

    def which(self, options: Sequence[str]) -> str:
        keys = [key for key, item in self.views.objects.items() if f"{item.color} {item.category}".strip() in options]
        if len(keys) != len(options):
            raise Unread("the options do not name objects")
        adjective = self.need_any("the longest", "longer", "lowest", "lower", "highest", "higher", "")
        plain = {"the longest": "longest", "longer": "longest", "lower": "lowest", "higher": "highest"}
        if adjective:
            measure, most = _EXTREMES[plain.get(adjective, adjective)]
            values = getattr(self.views, measure)
            best = (max if most else min)(keys, key=values.__getitem__)
        else:
            best = self.extreme(keys)
        item = self.views.objects[best]
        return f"{item.color} {item.category}".strip()

    def need_any(self, *phrases: str) -> str:
        return next(phrase for phrase in phrases if not phrase or self.take(phrase))

    # ------------------------------------------------------------------------- phrases

    def item(self) -> int:
        """The object that a phrase with "the" means."""
        self.need("the")
        for word, (measure, most) in _EXTREMES.items():
            if self.take(f"{word} object"):
                values = getattr(self.views, measure)
                return (max if most else min)(self.views.objects, key=values.__getitem__)
        if self.take("object"):
            self.take("that is")
            return self.extreme(list(self.views.objects))
        fitting = [key for key, item in self.views.objects.items() if self.starts(f"{item.color} {item.category}")]
        if len(fitting) != 1:
            raise Unread(f"{len(fitting)} objects fit {' '.join(self.words[self.at : self.at + 3])!r}")
        item = self.views.objects[fitting[0]]
        self.take(f"{item.color} {item.category}".strip())
        return fitting[0]

    def starts(self, phrase: str) -> bool:
        wanted = phrase.split()
        return self.words[self.at : self.at + len(wanted)] == wanted

    def extreme(self, keys: Sequence[int]) -> int:
        """The object among these that is closest to, or farthest from, something."""
        if self.take("farthest to the") or self.take("farther to the"):
            side = self.need("left", "right")
            return (min if side == "left" else max)(keys, key=self.views.u.__getitem__)
        far = self.need("closest to", "closer to", "farthest from", "farther from").startswith("far")
        best = max if far else min
        if self.take("the camera"):
            return best(keys, key=self.views.from_eye)
        other = self.item()
        return best((key for key in keys if key != other), key=lambda key: self.views.apart(key, other))

    def noun(self, many: bool) -> list[int]:
        """The objects that a noun without article applies to."""
        objects = self.views.objects
        nouns = {"object": list(objects)}
        for key, item in objects.items():
            nouns.setdefault(item.category, []).append(key)
            nouns.setdefault(f"{item.color} object", []).append(key)
        for noun in sorted(nouns, key=len, reverse=True):
            if self.take(plural(noun) if many else noun):
                return nouns[noun]
        raise Unread(f"no noun at {' '.join(self.words[self.at :])!r}")

    def clause(self) -> list[int]:
        items = self.noun(many=True)
        return list(filter(self.tests(), items)) if self.take("that are") else items

    def tests(self) -> Test:
        first = self.test()
        joint = self.need_any("and", "or", "but not", "")
        if not joint:
            return first
        second = self.test()
        if joint == "or":
            self.need("or both")
            return lambda key: first(key) or second(key)
        if joint == "and":
            return lambda key: first(key) and second(key)
        return lambda key: first(key) and not second(key)

    def test(self) -> Test:
        views = self.views
        if self.take("also visible in the second"):
            self.take("image")
            return lambda key: key in views.second
        if self.take("not visible in the second"):
            self.take("image")
            return lambda key: key not in views.second
        phrase = self.need_any(*_RELATIONS, "")
        if phrase:
            name, larger = _RELATIONS[phrase]
            measure: dict[int, float] = getattr(views, name)
            than = self.item()
            return lambda key: (measure[key] > measure[than]) if larger else (measure[key] < measure[than])
        far = self.need("closer to", "farther from") == "farther from"
        if self.take("the camera than"):
            than = self.item()
            return lambda key: key != than and (views.from_eye(key) > views.from_eye(than)) == far
        to = self.item()
        self.need("than")
        if self.take("to"):
            other = self.item()
            return lambda key: key not in (to, other) and (views.apart(key, to) > views.apart(key, other)) == far
        than = self.item()
        self.need("is")
        return lambda key: key not in (to, than) and (views.apart(key, to) > views.apart(than, to)) == far


def answer(text: str, options: Sequence[str], views: Views) -> Optional[str]:
    """The oracle's answer; None if it cannot read the sentence."""
    try:
        return Reader(views).answer(text, options)
    except Unread:
        return None


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"

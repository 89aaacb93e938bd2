"""Which forms ask the same: forms with equal answers over sampled scenes are one kind.

The scenes are boxes at random places around a camera. They are the same in every process, so that a form has the same
kind everywhere.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
from collections import Counter
from typing import Optional

from proposer.composer.forms import Form, Which, depth, encode_form, slots, words
from proposer.composer.looks import Look
from proposer.composer.meaning import Unclear, read
from proposer.composer.programs import program
from protocol.seeds import pick, rng_for
from protocol.tasks.kinds import Kind, kind_name
from protocol.tasks.scene import Camera, OrientedBox, Pose, SceneDescription, SceneObject, SceneSpec
from protocol.tasks.task import ObjectTruth

SOURCE = "composed"
_SCENES = 24
_OBJECTS = 6
_LEAST_ANSWERED = 8  # scenes with an answer
_MOST_COMMON = 0.9  # a form with one answer in more scenes than this is a constant
_FOCAL = 0.714  # of the width of the image, for the default camera
_COLORS = ("red", "green", "blue", "yellow", "white", "black")
_CATEGORIES = ("chair", "table", "lamp", "plant", "ball", "box")


def kind_of(form: Form, parent: str = "") -> Optional[Kind]:
    """The kind of a form; None if it has hardly any answer over the sampled scenes, or always the same."""
    named, said = slots(form.question), words(form.question)
    orders = list(itertools.permutations(range(len(named)))) if len(named) <= 3 else [tuple(range(len(named)))]
    answers = {order: _answers(form, order, len(said)) for order in orders}
    first = [one for one in answers[orders[0]] if one]
    if len(first) < _LEAST_ANSWERED:
        return None
    common = Counter(first).most_common(1)[0][1] / len(first)
    if common > _MOST_COMMON:
        return None
    # Slots have no order: of the forms that differ in it, the smallest answers stand for all.
    text = "\0".join((min("\1".join(one) for one in answers.values()), str(form.margin), str(len(named))))
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    chance = 1 / len(form.question.slots) if isinstance(form.question, Which) else common
    template = program(form.question, range(len(named)), [("category", "chair")] * len(said))
    return Kind(kind_name(SOURCE, template, chance, digest), encode_form(form), depth(form), parent)


def _answers(form: Form, order: tuple[int, ...], count: int) -> list[str]:
    """The answer in each scene, "" if there is none; an option counts as its object."""
    found = []
    for look, said in _looks():
        try:
            found.append(read(form.question, look, [key + 1 for key in order], said[:count]).text)
        except Unclear:
            found.append("")
    return found


@functools.lru_cache(maxsize=1)
def _looks() -> tuple[tuple[Look, tuple[tuple[str, str], ...]], ...]:
    return tuple(_look(number) for number in range(_SCENES))


def _look(number: int) -> tuple[Look, tuple[tuple[str, str], ...]]:
    """A scene of boxes in front of a camera at the origin, seen in two views, and words that apply to some of them."""
    rng = rng_for(0, "sampled scenes", number)
    objects, seen = [], []
    for key in range(1, _OBJECTS + 1):
        half = tuple(float(value) for value in rng.uniform(0.15, 1.0, 3))
        x, z = float(rng.uniform(-3, 3)), float(rng.uniform(-7, -1.5))
        turn = float(rng.uniform(0, math.pi))
        box = OrientedBox((x, half[1], z), half, (math.cos(turn / 2), 0.0, math.sin(turn / 2), 0.0))  # type: ignore[arg-type]
        category, color = pick(_CATEGORIES, rng), _COLORS[key - 1]
        objects.append(SceneObject(key, category, box, color, 1))
        u, v = 0.5 + _FOCAL * x / -z, 0.5 + _FOCAL * (1.4 - half[1]) / -z
        seen.append(ObjectTruth(key, category, color, 400, u, v, -z, 1.0))
    pose = Pose((0.0, 1.4, 0.0), (1.0, 0.0, 0.0, 0.0))
    second = [truth for truth in seen if rng.random() < 0.6]
    description = SceneDescription(f"sample {number}", "boxes", (), (), tuple(objects))
    look = Look.of(SceneSpec(number), Camera(), description, [(pose, seen), (pose, second)])
    said = tuple(("category", pick(objects, rng).category) for _ in range(4))
    return look, said

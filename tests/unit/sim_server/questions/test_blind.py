"""The image-blind baseline finds answers that the words give away, and nothing where there is nothing to find."""

from __future__ import annotations

from typing import Any, Callable

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from protocol.seeds import rng_for
from protocol.tasks.scene import SceneSpec
from protocol.tasks.specs import World
from protocol.tasks.task import Mention, Question
from sim_server import cli
from sim_server.backends.base import Capabilities
from sim_server.backends.rooms import RoomsBackend
from sim_server.questions.audit import run
from sim_server.questions.audit.blind import ENOUGH, BlindScore, blind_score
from sim_server.questions.families.single.image import ViewDirection
from sim_server.questions.family import Findings
from tests.support.questions.fake_scene import FakeScene

NOUNS = ("chair", "table", "sofa", "bed", "lamp", "plant", "box", "ball")
Make = Callable[[int, np.random.Generator], Question]


def _question(text: str, noun: str, answer: str, **fields: Any) -> Question:
    start = text.index(noun)
    given: dict[str, Any] = {"answer_type": "choice", "mentions": (Mention(1, start, start + len(noun)),), **fields}
    return Question(skill="f", level=0, text=text, answer=answer, program="", **given)


def _score(make: Make, count: int = 300) -> BlindScore:
    rng = np.random.default_rng(0)
    return blind_score([(number // 3, make(number, rng)) for number in range(count)])[0]


def _nouns(rng: np.random.Generator, count: int) -> list[str]:
    return [str(noun) for noun in rng.choice(NOUNS, count, replace=False)]


def _random_side(_: int, rng: np.random.Generator) -> Question:
    (noun,) = _nouns(rng, 1)
    return _question(f"Where is the {noun}?", noun, ("left", "right")[rng.integers(2)], options=("left", "right"))


def _side_by_noun(_: int, rng: np.random.Generator) -> Question:
    (noun,) = _nouns(rng, 1)
    side = NOUNS.index(noun) % 2 if rng.uniform() < 0.8 else int(rng.integers(2))
    return _question(f"Where is the {noun}?", noun, ("left", "right")[side], options=("left", "right"))


def _nearest(by: Callable[[str, str, str], bool]) -> Make:
    def make(_: int, rng: np.random.Generator) -> Question:
        anchor, one, two = _nouns(rng, 3)
        answer = one if by(anchor, one, two) else two
        return _question(f"What is closest to the {anchor}?", anchor, answer, options=(one, two))

    return make


def _size(spread: float) -> Make:
    def make(_: int, rng: np.random.Generator) -> Question:
        (noun,) = _nouns(rng, 1)
        cm = 40 + 40 * NOUNS.index(noun)
        answer = f"{cm * np.exp(rng.normal(0, spread)):.0f}"
        return _question(f"How long is the {noun}?", noun, answer, answer_type="number", unit="cm")

    return make


def _order(known: bool) -> Make:
    def make(_: int, rng: np.random.Generator) -> Question:
        names = _nouns(rng, 3)
        answer = ", ".join(sorted(names) if known else names)
        told = sorted(names, key=lambda _: rng.uniform())
        text = f"In which order do you see the {told[0]}, the {told[1]}, the {told[2]}?"
        return _question(text, names[0], answer, answer_type="sequence")

    return make


SHORTCUTS = {
    "an answer by noun": (_side_by_noun, True),
    "an option that is always right": (_nearest(lambda _, one, two: NOUNS.index(one) < NOUNS.index(two)), True),
    "an option by anchor": (_nearest(lambda a, b, c: (len(a) + len(b)) % 3 > (len(a) + len(c)) % 3), True),
    "a size by noun": (_size(0.05), True),
    "an order by noun": (_order(True), True),
    "a random answer": (_random_side, False),
    "a random order": (_order(False), False),
}


@pytest.mark.parametrize("kind", SHORTCUTS)
def test_a_shortcut_is_found_and_chance_is_not_one(kind: str) -> None:
    make, leaks = SHORTCUTS[kind]
    score = _score(make)
    assert score.leaks() == leaks, score
    if not leaks:
        assert abs(score.excess) < 0.1 and 0.01 < score.error < 0.08


def test_a_random_option_is_no_shortcut() -> None:
    rng = np.random.default_rng(1)
    assert not _score(_nearest(lambda *_: rng.uniform() < 0.5)).leaks()


def test_widely_spread_sizes_are_no_shortcut() -> None:
    rng = np.random.default_rng(2)

    def make(_: int, __: np.random.Generator) -> Question:
        (noun,) = _nouns(rng, 1)
        cm = f"{np.exp(rng.uniform(3, 5.5)):.0f}"
        return _question(f"How long is the {noun}?", noun, cm, answer_type="number", unit="cm")

    assert not _score(make).leaks()


def test_chance_of_open_answers_is_a_guess_among_those_that_occur() -> None:
    def count(number: int, _: np.random.Generator) -> Question:
        return _question("How many boxes?", "box", str(1 + number % 3), answer_type="number")

    def color(number: int, _: np.random.Generator) -> Question:
        return _question("What color is the box?", "box", ("red", "blue", "green", "black")[number % 4])

    counts = _score(count)
    assert counts.chance == pytest.approx((3 + 0.4) / 9)  # two instead of three scores 0.4, other errors nothing
    assert counts.constant == pytest.approx((1 + 0.4) / 3, abs=0.01)  # always two
    assert _score(color).chance == 0.25 and not counts.leaks()


def test_memorised_scenes_are_of_no_use() -> None:
    """Each scene has its own answer, which no other scene tells."""

    def make(number: int, rng: np.random.Generator) -> Question:
        side = int(rng_for(3, "side", number // 3).integers(2))
        return _question("Where is the box?", "box", ("left", "right")[side], options=("left", "right"))

    assert not _score(make).leaks()


def test_few_questions_give_no_verdict() -> None:
    score = _score(_side_by_noun, ENOUGH - 1)
    assert not score.leaks() and score.leaks(least=100)


def test_a_name_that_only_some_questions_mention_is_no_hint() -> None:
    """Only the questions with the answer yes mention the object; the text is the same."""

    def make(_: int, rng: np.random.Generator) -> Question:
        (noun,) = _nouns(rng, 1)
        yes = bool(rng.integers(2))
        question = _question(f"Is there a {noun}?", noun, "yes" if yes else "no", options=("yes", "no"))
        return question if yes else msgspec.structs.replace(question, mentions=())

    assert not _score(make).leaks()


# ----------------------------------------------------------------------------- the audit


class _FakeBackend:
    name, digest, capabilities = "fake", "fake-1", Capabilities()

    def open(self, spec: SceneSpec) -> FakeScene:
        return FakeScene(spec)

    def close(self) -> None:
        pass


def test_the_audit_fails_on_a_planted_shortcut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant a shortcut: an object whose name is earlier in the alphabet is always on the left."""
    monkeypatch.setattr("sim_server.backends.registry.make_backend", lambda *_: _FakeBackend())
    world = ("width_px=48", "height_px=48", "rooms=1", "min_objects=4", "max_objects=6", "clutter=0.0")
    order = ["audit", "--n", str(ENOUGH + 20), "--skill", "view_direction:0", "--images", "0"]
    order += [part for one in world for part in ("--set", f"curriculum.world.{one}")]
    assert CliRunner().invoke(cli.app, order).exit_code == 0
    judge = ViewDirection.judge

    def planted(self: ViewDirection, evidence: Any, level: int, findings: Findings) -> None:
        judge(self, evidence, level, findings)
        names = {key: item.category for key, item in evidence.objects.items()}
        findings.accepted = [
            item
            for item in findings.accepted
            if (item.key == "left") == (names[item.objects[0]] < names[item.objects[1]])
        ]

    monkeypatch.setattr(ViewDirection, "judge", planted)
    result = CliRunner().invoke(cli.app, order)
    assert result.exit_code == 1, result.output
    assert "view_direction: the words give answers away" in result.output


def test_homes_give_no_answers_away() -> None:
    """A small sample of the skills that are easiest to guess, in homes like those of the shipped configuration."""
    world = World(rooms=(1, 4), objects_per_room=(8, 16), clutter=0.8, palette="natural", width_px=64, height_px=64)
    skills = ("relative_distance", "object_location", "cameras_shared", "small_presence")
    cells = [(name, level) for name in skills for level in range(5)]
    _, scores, _ = run.audit(RoomsBackend(), world, cells, 30)
    assert [score.skill for score in scores] == list(skills)
    assert all(score.questions >= 20 for score in scores)
    assert not [score for score in scores if score.leaks(least=20)]

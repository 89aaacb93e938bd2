"""What a family of questions is: the door through which every question is made.

A family looks at rendered evidence and proposes the candidates whose validity rules hold with the level's margins;
`ask` picks one by the seed, writes it as a program and a text, and lets the program give the answer.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Optional, Protocol, Sequence, TypeVar, Union, runtime_checkable

import msgspec
import numpy as np

from protocol.errors import VantageError
from protocol.seeds import pick
from protocol.skills import CATALOGUE
from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import Mention, Question, TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, name_of
from sim_server.questions.language.evaluator import run
from sim_server.questions.staging import Staging

Item = TypeVar("Item")
NO_SUCH_ANSWER = "no view has the drawn answer"


class Candidate(msgspec.Struct, frozen=True):
    """A question whose rules hold in a world.

    `key` is what is balanced within a `form` of the family ("horizontal", "turn"): the answer, or a class of
    answers. `objects` are the ids the question is about; `margin` is the distance of the evidence from the nearest
    rule border in the family's own measure. `numbers` are further parameters of the question, such as a size.
    """

    key: str
    objects: tuple[int, ...]
    margin: float
    form: str = ""
    numbers: tuple[float, ...] = ()


class Findings:
    """Collects what holds and, for what does not, which rule refused it."""

    def __init__(self) -> None:
        self.accepted: list[Candidate] = []
        self.refused: Counter[str] = Counter()

    def accept(
        self, key: str, objects: tuple[int, ...], margin: float, form: str = "", numbers: tuple[float, ...] = ()
    ) -> None:
        self.accepted.append(Candidate(key, objects, margin, form, numbers))

    def refuse(self, rule: str) -> None:
        self.refused[rule] += 1


class Target(msgspec.Struct, frozen=True):
    """What to look for: the form and key drawn first, the objects to aim at, and where in the picture (u, v).

    An empty key takes any answer: that of a family whose options are objects has no prior to balance.
    """

    key: str
    focus: tuple[int, ...]
    at: Optional[tuple[float, float]] = None
    form: str = ""

    def fits(self, candidate: Candidate) -> bool:
        return candidate.form == self.form and self.key in ("", candidate.key)


def fitting(family: Family, world: Evidence, level: int, plan: Target) -> tuple[list[Candidate], str]:
    """The world's candidates that the plan wants, and where there are none the rule that refused most."""
    found = Findings()
    family.propose(world, level, found)
    wanted = [item for item in found.accepted if plan.fits(item)]
    if wanted or found.accepted:
        return wanted, NO_SUCH_ANSWER
    return [], found.refused.most_common(1)[0][0] if found.refused else "no object is visible"


def draw_evenly(candidates: Sequence[Candidate], rng: np.random.Generator) -> Candidate:
    """One of the candidates: first the form, then the key, then the candidate, each with equal chances."""
    forms = sorted({item.form for item in candidates})
    form = pick(forms, rng)
    keys = sorted({item.key for item in candidates if item.form == form})
    key = pick(keys, rng)
    same = [item for item in candidates if item.form == form and item.key == key]
    return pick(same, rng)


def draw_key(words: Sequence[str], rng: np.random.Generator, kept: Optional[Target]) -> str:
    """One of these answers, each with equal chances; that of the plan that is kept."""
    return kept.key if kept else pick(words, rng)


def shuffled(items: Sequence[Item], rng: np.random.Generator) -> tuple[Item, ...]:
    """The items in an order drawn from rng."""
    return tuple(items[int(index)] for index in rng.permutation(len(items)))


class Draft(msgspec.Struct, frozen=True):
    """A candidate in words. `templates` name objects as {a}, {b} …; `slots` give each its object id and phrase.

    `option_objects` holds the object that each option names, where options name objects.
    """

    program: str
    templates: tuple[str, ...]
    slots: dict[str, tuple[int, str]]
    options: tuple[str, ...] = ()
    option_objects: tuple[int, ...] = ()
    show_options: bool = True
    unit: str = ""


class Family(Protocol):
    """One family of questions. Levels are 0..4, as protocol.skills words them."""

    name: str
    views: int  # how many views a question is about; a family of "few" views takes up to the spec's budget

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None, /
    ) -> Target:
        """Draw a form and a key among those that this scene can give, and objects to aim at.

        With `kept`, its form and key stay and only the objects are drawn anew. Raises Infeasible where the scene
        has no candidate, whatever the view.
        """
        ...

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings, /
    ) -> Union[tuple[Pose, ...], Staging, None]:
        """Place the camera of each view so that the plan's answer may hold in them; `views` poses or more.

        A Staging where some views are not to be shown, or show a changed scene. None, with the rule that refused in
        `found`, where this draw of standing points will not do. `SingleView` has it for families of one view.
        """
        ...

    def propose(self, world: Evidence, level: int, found: Findings, /) -> None:
        """Judge every candidate of the world's views by the family's rules."""
        ...

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator, /) -> Draft:
        """The candidate as a program, templates and options (in an order drawn from rng)."""
        ...


@runtime_checkable
class Staged(Protocol):
    """A family whose rules rest on its own Staging, so that it cannot be asked about a view from anywhere.

    Where `looks_around` holds it can be asked with a budget of moves: it shows one view, and its rules hold in the
    views that `spec.look_around` actions of Observe lead to. Its programs look at the first view at most.
    """

    looks_around: bool


def takes_any_view(family: Family) -> bool:
    """Whether the family's questions can be asked about one view, wherever its camera stands."""
    return family.views == 1 and not isinstance(family, Staged)


def ask(
    family: Family,
    world: Evidence,
    candidate: Candidate,
    level: int,
    rng: np.random.Generator,
    paraphrase: int = -1,
) -> Question:
    """The candidate as a question; its answer comes from its program.

    Raises VantageError("bad_request") for a paraphrase that the family does not have.
    """
    skill = CATALOGUE[family.name]
    draft = family.draft(world, candidate, rng)
    count = len(draft.templates)
    if not -1 <= paraphrase < count:
        raise VantageError("bad_request", f"{family.name} has paraphrases 0..{count - 1}, or -1 to draw one")
    drawn = int(rng.integers(count))
    text, mentions = render_text(draft.templates[drawn if paraphrase < 0 else paraphrase], draft.slots)
    answer = run(draft.program, world)
    assert not draft.options or answer in draft.options, (draft.program, answer, draft.options)
    return Question(
        skill=family.name,
        level=level,
        text=text,
        answer=answer,
        answer_type=skill.answer_type,
        program=draft.program,
        options=draft.options,
        show_options=draft.show_options,
        unit=draft.unit,
        frame=skill.frame,
        mentions=mentions,
        margin=candidate.margin,
        option_objects=draft.option_objects,
    )


def name_slots(world: Evidence, keys: Sequence[int]) -> dict[str, tuple[int, str]]:
    """Slots {a}, {b} … for the names of these objects."""
    return {slot: (key, name_of(world.objects[key])) for slot, key in zip("abcdefgh", keys)}


def object_list(keys: Sequence[int]) -> str:
    """These objects as a program lists them."""
    return ", ".join(f"object({key})" for key in keys)


def draft_which(
    world: Evidence, options: Sequence[int], measure: str, templates: tuple[str, ...], about: Sequence[int] = ()
) -> Draft:
    """Which of these objects: the one that `measure` finds in the list {}. The templates name the objects `about`."""
    return Draft(
        program=f"name({measure.format(f'[{object_list(options)}]')})",
        templates=templates,
        slots=name_slots(world, about),
        options=tuple(name_of(world.objects[key]) for key in options),
        option_objects=tuple(options),
    )


_SLOT = re.compile(r"\{(\w+)\}")


def render_text(template: str, slots: dict[str, tuple[int, str]]) -> tuple[str, tuple[Mention, ...]]:
    """Fill a template's slots; every filled phrase with an object id above 0 becomes a mention."""
    parts: list[str] = []
    mentions: list[Mention] = []
    length = last = 0
    for match in _SLOT.finditer(template):
        object_id, phrase = slots[match.group(1)]
        before = template[last : match.start()]
        length += len(before)
        if object_id > 0:
            mentions.append(Mention(object_id, length, length + len(phrase)))
        parts += [before, phrase]
        length += len(phrase)
        last = match.end()
    parts.append(template[last:])
    return "".join(parts), tuple(mentions)

"""The interface of a family of questions, and the one function that turns a candidate into a question.

A family generates the questions of one skill. It judges rendered evidence and accepts the candidates whose validity
rules hold with the margins of the level. `ask` writes a candidate as a program and a text, and runs the program for the
answer.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Optional, Protocol, Sequence, TypeVar, Union

import msgspec
import numpy as np

from protocol.errors import VantageError
from protocol.seeds import pick
from protocol.skills import Level, Skill
from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import Mention, Question, TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, name_of
from sim_server.questions.language.evaluator import run
from sim_server.questions.nouns import painted
from sim_server.questions.staging import Staging

Item = TypeVar("Item")
PERSON = "person"  # the category of people
SAME_HOME = "All images show the same home."
NO_SUCH_ANSWER = "no view has the drawn answer"


class Candidate(msgspec.Struct, frozen=True):
    """A question whose rules hold.

    `key` is the answer, or a class of answers; within each `form` of question ("horizontal", "turn") the keys are
    balanced. `objects` are the ids of the objects in question. `margin` is the distance of the evidence from the
    nearest border of a rule, in the family's own unit. `numbers` are further parameters, such as a size.
    """

    key: str
    objects: tuple[int, ...]
    margin: float
    form: str = ""
    numbers: tuple[float, ...] = ()


class Findings:
    """The accepted candidates, and how often each rule rejected one."""

    def __init__(self) -> None:
        self.accepted: list[Candidate] = []
        self.rejected: Counter[str] = Counter()

    def accept(
        self, key: str, objects: tuple[int, ...], margin: float, form: str = "", numbers: tuple[float, ...] = ()
    ) -> None:
        self.accepted.append(Candidate(key, objects, margin, form, numbers))

    def reject(self, rule: str) -> None:
        self.rejected[rule] += 1


class Target(msgspec.Struct, frozen=True):
    """The form and key drawn first, the objects to aim at, and where in the image (u, v) to put them.

    An empty key or form accepts any: if the options are objects, there is no prior to balance, and some families
    balance the answers when they place the views. `numbers` are parameters drawn with the key, such as a size.
    """

    key: str
    focus: tuple[int, ...]
    at: Optional[tuple[float, float]] = None
    form: str = ""
    numbers: tuple[float, ...] = ()

    def fits(self, candidate: Candidate) -> bool:
        return self.form in ("", candidate.form) and self.key in ("", candidate.key)


NO_TARGET = Target(key="", focus=())


def fitting(family: Family, evidence: Evidence, level: int, target: Target) -> tuple[list[Candidate], str]:
    """The candidates that fit the target, and the rule that rejected most if there are none."""
    findings = Findings()
    family.judge(evidence, level, findings)
    wanted = [item for item in findings.accepted if target.fits(item)]
    if wanted or findings.accepted:
        return wanted, NO_SUCH_ANSWER
    return [], findings.rejected.most_common(1)[0][0] if findings.rejected else "no object is visible"


def draw_evenly(candidates: Sequence[Candidate], rng: np.random.Generator) -> Candidate:
    """Draw a form, then a key of that form, then a candidate, each uniformly."""
    forms = sorted({item.form for item in candidates})
    form = pick(forms, rng)
    keys = sorted({item.key for item in candidates if item.form == form})
    key = pick(keys, rng)
    same = [item for item in candidates if item.form == form and item.key == key]
    return pick(same, rng)


def draw_key(words: Sequence[str], rng: np.random.Generator, previous: Optional[Target]) -> str:
    """The key of the previous target, or one of these answers drawn uniformly."""
    return previous.key if previous else pick(words, rng)


def shuffled(items: Sequence[Item], rng: np.random.Generator) -> tuple[Item, ...]:
    """The items in an order drawn from rng."""
    return tuple(items[int(index)] for index in rng.permutation(len(items)))


class Draft(msgspec.Struct, frozen=True):
    """The texts of a candidate. `templates` name objects as {a}, {b} …; `slots` map each to an object id and a phrase.

    Templates are English sentences with the same meaning. They name several images "Image 1", "Image 2" …, as prompts
    do. `rule` states the convention under which the question is answered, with the thresholds of the program.
    `option_objects` holds the id of the object that each option names, if options name objects.
    """

    program: str
    templates: tuple[str, ...]
    slots: dict[str, tuple[int, str]]
    options: tuple[str, ...] = ()
    option_objects: tuple[int, ...] = ()
    show_options: bool = True
    unit: str = ""
    rule: str = ""


class Family(Protocol):
    """Generates the questions of one skill; a level is an index into `skill.levels`."""

    @property
    def skill(self) -> Skill[Level]: ...

    @property
    def views(self) -> int:
        """The least number of views of a question; the most is the spec's budget."""
        ...

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None, /
    ) -> Target:
        """Draw a form and a key that this scene can give, and objects to aim at.

        With the target of the previous attempt, its form and key stay and only the objects are drawn again. Raises
        Infeasible if the scene has no candidate from any view.
        """
        ...

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings, /
    ) -> Union[tuple[Pose, ...], Staging, None]:
        """Place the camera of each view so that the target's answer may hold; `views` poses or more.

        Returns a Staging if some views are not shown, or show a changed scene. Returns None, and adds the rule to
        `findings`, if the standing points of this draw do not work. `SingleView` implements it for one view.
        """
        ...

    def judge(self, evidence: Evidence, level: int, findings: Findings, /) -> None:
        """Apply the family's rules to every candidate of the views."""
        ...

    def draft(self, evidence: Evidence, candidate: Candidate, level: int, rng: np.random.Generator, /) -> Draft:
        """Write the candidate as a program, templates and options, the options in an order drawn from rng."""
        ...


def ask(
    family: Family,
    evidence: Evidence,
    candidate: Candidate,
    level: int,
    rng: np.random.Generator,
    paraphrase: int = -1,
) -> Question:
    """Turn the candidate into a question, whose answer comes from its program.

    Raises VantageError("bad_request") if the family has no such paraphrase.
    """
    skill = family.skill
    draft = family.draft(evidence, candidate, level, rng)
    templates = suitable(draft)
    count = len(templates)
    if not -1 <= paraphrase < count:
        raise VantageError("bad_request", f"{skill.name} has paraphrases 0..{count - 1}; -1 draws one")
    drawn = int(rng.integers(count))
    text, mentions = render_text(templates[drawn if paraphrase < 0 else paraphrase], draft.slots)
    answer = run(draft.program, evidence)
    assert not draft.options or answer in draft.options, (draft.program, answer, draft.options)
    return Question(
        skill=skill.name,
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
        rule=f"{SAME_HOME} {draft.rule}".rstrip() if len(evidence.views) > 1 else draft.rule,
    )


def name_slots(evidence: Evidence, keys: Sequence[int]) -> dict[str, tuple[int, str]]:
    """Slots {a}, {b} … for the names of these objects."""
    return {slot: (key, name_of(evidence.objects[key])) for slot, key in zip("abcdefgh", keys)}


def object_list(keys: Sequence[int]) -> str:
    """These objects as the elements of a list in a program."""
    return ", ".join(f"object({key})" for key in keys)


def draft_which(
    evidence: Evidence,
    options: Sequence[int],
    measure: str,
    templates: tuple[str, ...],
    about: Sequence[int] = (),
    rule: str = "",
) -> Draft:
    """Ask which object `measure` selects from the list that replaces its {}. The templates name the objects `about`."""
    return Draft(
        program=f"name({measure.format(f'[{object_list(options)}]')})",
        templates=templates,
        slots=name_slots(evidence, about),
        options=tuple(name_of(evidence.objects[key]) for key in options),
        option_objects=tuple(options),
        rule=rule,
    )


def compared(templates: tuple[str, ...], count: int, description: SceneDescription) -> tuple[str, ...]:
    """The templates with comparatives if `count` is 2; in plain paints the embedded policy knows superlatives only."""
    if count > 2 or painted(description):
        return templates
    return tuple(one.replace("closest", "closer").replace("nearest", "nearer") for one in templates)


_PRONOUN = re.compile(r"\bits?\b")


def suitable(draft: Draft) -> tuple[str, ...]:
    """The templates that suit the objects: a person is not called "it"."""
    if not any(phrase.endswith(PERSON) for _, phrase in draft.slots.values()):
        return draft.templates
    return tuple(template for template in draft.templates if not _PRONOUN.search(template))


_SLOT = re.compile(r"\{(\w+)\}")


def render_text(template: str, slots: dict[str, tuple[int, str]]) -> tuple[str, tuple[Mention, ...]]:
    """Fill the slots of a template; every phrase with an object id above 0 becomes a mention."""
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

"""Test a proposal: it becomes a question, or everything that was found against it is said.

    fields -> program: parsed, checked -> views -> run -> names · visibility · triviality · stability · guessability

What stands before an arrow must hold for what comes after it to be looked at; the tests of the last group are all
made, so that one answer tells a proposer all that is wrong. Every draw comes from (run_seed, "propose", seq).
"""

from __future__ import annotations

from typing import Optional, Union

import msgspec

from protocol.errors import VantageError
from protocol.seeds import pick, rng_for
from protocol.skills.levels import PERCEIVE
from protocol.tasks.scene import Pose
from protocol.tasks.task import PROPOSED, Mention, Proposal, Question, TaskSpec
from protocol.wire.messages import Rejection
from sim_server.backends.base import Frames, Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence, name_of
from sim_server.questions.families.rules import RELATE, shows
from sim_server.questions.language.checker import check
from sim_server.questions.language.evaluator import compiled, evaluate
from sim_server.questions.language.functions.registry import BOOL, NUMBER, TEXT
from sim_server.questions.language.parser import Node, ProgramFault
from sim_server.questions.propose import programs
from sim_server.questions.propose.elsewhere import Elsewhere, answers_here, answers_over
from sim_server.questions.propose.names import Named, Vocabulary, holds_phrase
from sim_server.questions.propose.steady import answer_that_flips
from sim_server.questions.views.coverage import covering_poses
from sim_server.questions.views.viewpoints import draw_pose
from sim_server.sensing.observe import move

MAX_TEXT, MAX_OPTIONS, MAX_OPTION = 400, 16, 80  # characters, options, characters of one
MAX_VIEWS = 16
MAX_PIXELS = 16 * 1024 * 1024  # of all views together
PLACEMENTS = 8  # placements of the camera that are tried where the proposal brings no poses
MOST_COMMON = 0.8  # share that the most common answer over other scenes may have
LEAST_ANSWERS = 8  # as many answers elsewhere are needed to judge by
YES_NO = ("yes", "no")
# Answer type of a question -> types of program that give it. A map or a sequence is one of its own type.
_GIVES = {"choice": (TEXT, BOOL), "number": (NUMBER,)}


class Accepted(msgspec.Struct):
    """The question, the evidence that it was judged on, and how many placements of the camera were tried."""

    question: Question
    frames: Frames
    attempts: int


class _Against(Exception):
    """The examination ends here."""

    def __init__(self, code: str, message: str, part: str = "", at: int = -1) -> None:
        self.rejection = Rejection(code, message, part, at)


def examine(scene: Scene, spec: TaskSpec, elsewhere: Optional[Elsewhere]) -> Union[Accepted, tuple[Rejection, ...]]:
    """The question, or what was found against it. Never raises for what a proposal says.

    Without `elsewhere` it is not tested whether the answer can be guessed: for a proposal that passed all tests before.
    """
    try:
        proposal = _check_fields(spec)
        node = _check_program(proposal)
        return _Examination(scene, spec, proposal, node, elsewhere).outcome()
    except _Against as against:
        return (against.rejection,)


def _check_fields(spec: TaskSpec) -> Proposal:
    proposal = spec.proposal
    if proposal is None:
        raise VantageError("bad_request", "only a spec with a proposal can be examined; set `proposal`")
    text = proposal.text
    if not 0 < len(text.strip()) <= len(text) <= MAX_TEXT:
        raise _Against("text", f"a question's text has 1 to {MAX_TEXT} characters", "text")
    for at, character in enumerate(text):
        if not character.isprintable():
            raise _Against("text", f"{character!r} may not stand in a question", "text", at)
    options = proposal.options
    if options:
        if proposal.answer_type != "choice":
            raise _Against("options", f"only a choice has options, not a {proposal.answer_type[:20]}", "options")
        plain = all(0 < len(item.strip()) <= len(item) <= MAX_OPTION and item.isprintable() for item in options)
        if not plain or not 2 <= len({item.strip().lower() for item in options}) == len(options) <= MAX_OPTIONS:
            why = f"give 2 to {MAX_OPTIONS} different options of 1 to {MAX_OPTION} printable characters"
            raise _Against("options", why, "options")
    if not (proposal.unit.isprintable() and len(proposal.unit) <= 20) or (
        proposal.unit and proposal.answer_type != "number"
    ):
        raise _Against("unit", "only a number has a unit, a short word", "unit")
    views = max(len(proposal.poses), spec.max_views)
    pixels = views * spec.camera.width_px * spec.camera.height_px
    if not (1 <= spec.max_views <= MAX_VIEWS and len(proposal.poses) <= MAX_VIEWS and pixels <= MAX_PIXELS):
        raise _Against("view", f"give 1 to {MAX_VIEWS} views of together at most {MAX_PIXELS} pixels", "view")
    return proposal


def _check_program(proposal: Proposal) -> Node:
    try:
        node = compiled(proposal.program)
    except ProgramFault as fault:
        raise _Against(fault.kind, fault.why, "program", fault.at) from None
    kind = check(node)
    wanted = _GIVES.get(proposal.answer_type, (proposal.answer_type,))
    if kind not in wanted:
        why = f"the program gives a {kind}, the answer is to be a {proposal.answer_type[:20]}"
        raise _Against("answer_type", why, "program", node.at)
    if not programs.looks_at_the_world(node):
        raise _Against("constant", "the program looks at neither the scene nor a view", "program", node.at)
    for at in programs.computed_ids(node):
        raise _Against("unnamed", "write the id of an object out, as in object(3)", "program", at)
    return node


class _Examination:
    """One proposal whose program is sound, with its scene."""

    def __init__(
        self, scene: Scene, spec: TaskSpec, proposal: Proposal, node: Node, elsewhere: Optional[Elsewhere]
    ) -> None:
        self.scene, self.spec, self.proposal, self.node, self.elsewhere = scene, spec, proposal, node, elsewhere
        self.objects = {item.id: item for item in scene.description.objects}
        self.rng = rng_for(spec.run_seed, "propose", spec.seq)
        self.ids = programs.object_ids(node)
        for key, at in self.ids.items():
            if key not in self.objects:
                raise _Against("run", f"the scene has no object {key}", "program", at)
        self.names = Vocabulary(self.objects.values(), elsewhere.categories if elsewhere else ()).names_in(
            proposal.text
        )
        self.against: list[Rejection] = []

    def outcome(self) -> Union[Accepted, tuple[Rejection, ...]]:
        attempts, frames, world = self._views()
        answer = self._answer(world)
        options = self._options(answer)
        option_objects = self._option_objects(options, world)
        mentions = self._mentions(world, option_objects)
        self._check_seen(world, answer)
        self._check_triviality(world, answer, options, option_objects)
        self._check_steady(frames, answer)
        if self.elsewhere is not None:
            self._check_guessable(frames, option_objects, self.elsewhere)
        if self.against:
            return tuple(self.against)
        question = Question(
            skill=PROPOSED,
            level=0,
            text=self.proposal.text,
            answer=answer,
            answer_type=self.proposal.answer_type,
            program=self.proposal.program,
            options=options,
            unit=self.proposal.unit,
            mentions=mentions,
            option_objects=option_objects,
        )
        return Accepted(question, frames, attempts)

    def refuse(self, code: str, message: str, part: str = "", at: int = -1) -> None:
        self.against.append(Rejection(code, message, part, at))

    # ------------------------------------------------------------------------- views and answer

    def _views(self) -> tuple[int, Frames, Evidence]:
        """The proposal's own views, or the first placement that shows plainly what the question is about."""
        proposal = self.proposal
        if proposal.poses:
            try:
                poses = tuple(move(self.scene, pose, "")[0] for pose in proposal.poses)
            except VantageError as error:
                raise _Against("view", error.message, "poses") from None
            return (1, *self._seen_from(poses))
        best: Optional[tuple[int, int, Frames, Evidence]] = None
        for attempt in range(1, PLACEMENTS + 1):
            poses = self._placement()
            if poses is None:
                continue
            frames, world = self._seen_from(poses)
            hidden = sum(not _plainly_seen(world, key) for key in self.ids)
            if best is None or hidden < best[0]:
                best = (hidden, attempt, frames, world)
            if hidden == 0:
                break
        if best is None:
            raise _Against("view", "no place in the scene shows what the question is about; give poses", "poses")
        return best[1:]

    def _placement(self) -> Optional[tuple[Pose, ...]]:
        focus = list(self.ids) or [key for name in self.names for key, item in self.objects.items() if name.fits(item)]
        if self.spec.max_views == 1 and focus:
            chosen = [self.objects[key] for key in focus] if self.ids else [self.objects[pick(focus, self.rng)]]
            pose = draw_pose(self.scene, self.spec.camera, chosen, self.rng)
            return None if pose is None else (pose,)
        only = frozenset(focus) or None
        return covering_poses(self.scene, self.spec.camera, self.spec.max_views, self.rng, only) or None

    def _seen_from(self, poses: tuple[Pose, ...]) -> tuple[Frames, Evidence]:
        frames = self.scene.render(poses, self.spec.camera, EVIDENCE_SENSORS)
        return frames, Evidence.of(self.scene.description, frames)

    def _answer(self, world: Evidence) -> str:
        try:
            answer = evaluate(self.node, world)
        except ProgramFault as fault:
            raise _Against("run", fault.why, "program", fault.at) from None
        if self.proposal.answer_type == "choice" and not 0 < len(answer.strip()) <= MAX_OPTION:
            why = f"the program's answer has {len(answer)} characters, a choice has 1 to {MAX_OPTION}"
            raise _Against("run", why, "program", self.node.at)
        return answer

    def _options(self, answer: str) -> tuple[str, ...]:
        options = self.proposal.options
        if not options and self.proposal.answer_type == "choice" and answer in YES_NO:
            return YES_NO
        if options and answer not in options:
            raise _Against("options", f"the program answers {answer[:80]!r}, which is not among the options", "options")
        return options

    # ------------------------------------------------------------------------- names

    def _option_objects(self, options: tuple[str, ...], world: Evidence) -> tuple[int, ...]:
        """The ids that the options name, () where they are no names of objects in the views."""
        seen = world.seen()
        ids = [[key for key in seen if name_of(self.objects[key]) == option] for option in options]
        return tuple(found[0] for found in ids) if ids and all(len(found) == 1 for found in ids) else ()

    def _mentions(self, world: Evidence, option_objects: tuple[int, ...]) -> tuple[Mention, ...]:
        """Where the text names an object. Every name fits exactly one seen object, or things of its kind are counted;
        what the program is about is named; and what is named the program is about."""
        mentions = []
        counts = "count" in programs.calls(self.node)
        words = programs.words(self.node)
        for name in self.names:
            phrase = self.proposal.text[name.start : name.end]
            fitting = [key for key in world.seen() if name.fits(self.objects[key])]
            if not name.one:
                if not counts and not self.ids:
                    self.refuse(
                        "ambiguous", f"{phrase!r} is not one thing, and the program counts none", "text", name.start
                    )
                continue
            if not fitting:
                self.refuse("unseen", f"no view shows a {phrase}", "text", name.start)
            elif len(fitting) > 1:
                why = f"{phrase!r} fits {len(fitting)} objects in the views; name one of them, or count them"
                self.refuse("ambiguous", why, "text", name.start)
            else:
                mentions.append(Mention(fitting[0], name.start, name.end))
                by_word = name.category in words or name.color in words
                if fitting[0] not in self.ids and not by_word:
                    why = f"the text names the {phrase}, object {fitting[0]}, and the program does not look at it"
                    self.refuse("unused", why, "text", name.start)
        named = {mention.object_id for mention in mentions} | set(option_objects)
        for key, at in self.ids.items():
            if key not in named:
                item = name_of(self.objects[key])
                self.refuse("unnamed", f"object {key}, the {item}, is named in neither text nor options", "program", at)
        return tuple(mentions)

    # ------------------------------------------------------------------------- tests

    def _check_seen(self, world: Evidence, answer: str) -> None:
        for key, at in self.ids.items():
            if not _plainly_seen(world, key):
                item = name_of(self.objects[key])
                why = f"no view shows the {item}, object {key}, at least {RELATE}"
                self.refuse("unseen", why, "program", at)
        for name in (name for name in self.names if not name.one):
            for key in world.seen():
                shown = any(shows(view, key, PERCEIVE[4]) for view in world.views)
                if name.fits(self.objects[key]) and not shown:
                    item = name_of(self.objects[key])
                    why = f"the {item}, object {key}, counts and no view shows it at least {PERCEIVE[4]}"
                    self.refuse("unseen", why, "text", name.start)
        seen = set(world.seen())
        shown_only = tuple(item for item in world.description.objects if item.id in seen)
        description = msgspec.structs.replace(world.description, objects=shown_only)
        objects = {item.id: item for item in shown_only}
        try:
            same = (
                evaluate(self.node, msgspec.structs.replace(world, description=description, objects=objects)) == answer
            )
        except ProgramFault:
            same = False
        if not same and all(key in seen for key in self.ids):
            self.refuse(
                "unseen", "the answer depends on objects that no view shows; ask about visible(view(0))", "program", 0
            )

    def _check_triviality(
        self, world: Evidence, answer: str, options: tuple[str, ...], option_objects: tuple[int, ...]
    ) -> None:
        text = self.proposal.text
        others = [option for option in options if option != answer]
        if holds_phrase(text, answer) and not (others and all(holds_phrase(text, other) for other in others)):
            self.refuse("told", f"the text holds the answer, {answer[:80]!r}", "text")
        here = answers_here(self.node, option_objects, world, self.rng)
        if len(here) == 1 and sum(here.values()) >= LEAST_ANSWERS:
            why = f"whatever objects of these views it asks about, the program answers {next(iter(here))[:80]!r}"
            self.refuse("constant", why, "program", self.node.at)

    def _check_steady(self, frames: Frames, answer: str) -> None:
        flipped = answer_that_flips(self.node, answer, self.proposal.answer_type, self.scene, frames, self.rng)
        if flipped is not None:
            why = f"the answer {answer[:80]!r} becomes {flipped[:80]!r} when views and boxes are a little off"
            self.refuse("unstable", why, "program", self.node.at)

    def _check_guessable(self, frames: Frames, option_objects: tuple[int, ...], elsewhere: Elsewhere) -> None:
        worlds = elsewhere.worlds(self.scene.spec, frames.camera, len(frames.poses))
        kinds: list[Named] = [name for name in self.names if not name.one]
        found = answers_over(self.node, option_objects, kinds, worlds, self.rng)
        total = sum(found.values())
        if total < LEAST_ANSWERS:
            why = f"over {len(worlds)} other views it has {total} answers, at least {LEAST_ANSWERS} are needed to judge"
            self.refuse("untested", why, "program", self.node.at)
            return
        common, times = found.most_common(1)[0]
        if times > MOST_COMMON * total:
            why = f"over other scenes {times} of {total} answers are {common[:80]!r}, at most {MOST_COMMON:.0%} may be"
            self.refuse("guessable", why, "program", self.node.at)


def _plainly_seen(world: Evidence, key: int) -> bool:
    return any(shows(view, key, RELATE) for view in world.views)

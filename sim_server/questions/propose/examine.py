"""Test a proposal, which becomes a question or is rejected with all reasons.

    fields -> program: parsed, checked -> views -> run -> names · visibility · triviality · stability · guessability

Each stage runs only if the previous one passed. All tests of the last stage run, so that one reply names every fault.
Every draw comes from (run_seed, "propose", seq).
"""

from __future__ import annotations

from typing import Optional, Union

import msgspec

from protocol.errors import VantageError
from protocol.seeds import pick, rng_for
from protocol.skills.levels import PERCEIVE
from protocol.tasks.check import token_fault
from protocol.tasks.scene import Pose
from protocol.tasks.task import PROPOSED, Mention, Proposal, Question, TaskSpec
from protocol.wire.messages import Rejection
from sim_server.backends.base import BlockedPose, Frames, Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence, Realised, name_of
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
PLACEMENTS = 8  # camera placements that are tried if the proposal has no poses
MOST_COMMON = 0.8  # largest fraction of the answers over other scenes that may be equal
LEAST_ANSWERS = 8  # answers over other scenes that are needed to judge
YES_NO = ("yes", "no")
# Answer type of a question -> types of programs that give it; maps and sequences need a program of that type.
_GIVES = {"choice": (TEXT, BOOL), "number": (NUMBER,)}


class _Rejected(Exception):
    """Ends the examination with one rejection."""

    def __init__(self, code: str, message: str, part: str = "", at: int = -1) -> None:
        self.rejection = Rejection(code, message, part, at)


def examine(scene: Scene, spec: TaskSpec, elsewhere: Optional[Elsewhere]) -> Union[Realised, tuple[Rejection, ...]]:
    """The question, or the reasons against it. The content of a proposal never raises.

    Without `elsewhere` the test whether the answer can be guessed is skipped, for a proposal that passed it before.
    """
    try:
        proposal = _check_fields(spec)
        node = _check_program(proposal)
        return _Examination(scene, spec, proposal, node, elsewhere).outcome()
    except _Rejected as rejected:
        return (rejected.rejection,)


def _check_fields(spec: TaskSpec) -> Proposal:
    proposal = spec.proposal
    if proposal is None:
        raise VantageError("bad_request", "only a spec with a proposal can be examined; set `proposal`")
    text = proposal.text
    if not 0 < len(text.strip()) <= len(text) <= MAX_TEXT:
        raise _Rejected("text", f"a question's text has 1 to {MAX_TEXT} characters", "text")
    for at, character in enumerate(text):
        if not character.isprintable():
            raise _Rejected("text", f"{character!r} is not allowed in a question", "text", at)
    options = proposal.options
    for part, words in (
        ("text", text),
        *(("options", option) for option in options),
        ("unit", proposal.unit),
        ("rule", proposal.rule),
    ):
        if fault := token_fault(words):
            raise _Rejected(part, f"it {fault}", part)
    if options:
        if proposal.answer_type != "choice":
            raise _Rejected("options", f"only a choice has options, not a {proposal.answer_type[:20]}", "options")
        plain = all(0 < len(item.strip()) <= len(item) <= MAX_OPTION and item.isprintable() for item in options)
        if not plain or not 2 <= len({item.strip().lower() for item in options}) == len(options) <= MAX_OPTIONS:
            why = f"give 2 to {MAX_OPTIONS} different options of 1 to {MAX_OPTION} printable characters"
            raise _Rejected("options", why, "options")
    if not (proposal.unit.isprintable() and len(proposal.unit) <= 20) or (
        proposal.unit and proposal.answer_type != "number"
    ):
        raise _Rejected("unit", "only a number has a unit, of at most 20 printable characters", "unit")
    views = max(len(proposal.poses), spec.max_views)
    pixels = views * spec.camera.width_px * spec.camera.height_px
    if not (1 <= spec.max_views <= MAX_VIEWS and len(proposal.poses) <= MAX_VIEWS and pixels <= MAX_PIXELS):
        raise _Rejected("view", f"give 1 to {MAX_VIEWS} views with at most {MAX_PIXELS} pixels in total", "view")
    return proposal


def _check_program(proposal: Proposal) -> Node:
    try:
        node = compiled(proposal.program)
    except ProgramFault as fault:
        raise _Rejected(fault.kind, fault.why, "program", fault.at) from None
    kind = check(node)
    wanted = _GIVES.get(proposal.answer_type, (proposal.answer_type,))
    if kind not in wanted:
        why = f"the program gives a {kind}, but the answer type is {proposal.answer_type[:20]}"
        raise _Rejected("answer_type", why, "program", node.at)
    if not programs.uses_evidence(node):
        raise _Rejected("constant", "the program uses neither the scene nor a view", "program", node.at)
    for at in programs.computed_ids(node):
        raise _Rejected("unnamed", "write the id of an object as a number, as in object(3)", "program", at)
    return node


class _Examination:
    """A proposal with a valid program, and its scene."""

    def __init__(
        self, scene: Scene, spec: TaskSpec, proposal: Proposal, node: Node, elsewhere: Optional[Elsewhere]
    ) -> None:
        self.scene, self.spec, self.proposal, self.node, self.elsewhere = scene, spec, proposal, node, elsewhere
        self.objects = {item.id: item for item in scene.description.objects}
        self.rng = rng_for(spec.run_seed, "propose", spec.seq)
        self.ids = programs.object_ids(node)
        for key, at in self.ids.items():
            if key not in self.objects:
                raise _Rejected("run", f"the scene has no object {key}", "program", at)
        self.names = Vocabulary(self.objects.values(), elsewhere.categories if elsewhere else ()).names_in(
            proposal.text
        )
        self.rejections: list[Rejection] = []

    def outcome(self) -> Union[Realised, tuple[Rejection, ...]]:
        attempts, frames, evidence = self._views()
        answer = self._answer(evidence)
        options = self._options(answer)
        option_objects = self._option_objects(options, evidence)
        mentions = self._mentions(evidence, option_objects)
        self._check_seen(evidence, answer)
        self._check_triviality(evidence, answer, options, option_objects)
        self._check_steady(frames, answer)
        if self.elsewhere is not None:
            self._check_guessable(frames, option_objects, self.elsewhere)
        if self.rejections:
            return tuple(self.rejections)
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
            rule=self.proposal.rule,
        )
        return Realised(question, frames, attempts, evidence)

    def reject(self, code: str, message: str, part: str = "", at: int = -1) -> None:
        self.rejections.append(Rejection(code, message, part, at))

    # ------------------------------------------------------------------------- views and answer

    def _views(self) -> tuple[int, Frames, Evidence]:
        """The proposal's own views, or the first placement that clearly shows the objects of the question."""
        proposal = self.proposal
        if proposal.poses:
            try:
                poses = tuple(move(self.scene, pose, "")[0] for pose in proposal.poses)
            except VantageError as error:
                raise _Rejected("view", error.message, "poses") from None
            return (1, *self._seen_from(poses))
        best: Optional[tuple[int, int, Frames, Evidence]] = None
        for attempt in range(1, PLACEMENTS + 1):
            try:
                poses = self._placement()
                if poses is None:
                    continue
                frames, evidence = self._seen_from(poses)
            except BlockedPose:
                continue
            hidden = sum(not _clearly_shown(evidence, key) for key in self.ids)
            if best is None or hidden < best[0]:
                best = (hidden, attempt, frames, evidence)
            if hidden == 0:
                break
        if best is None:
            raise _Rejected("view", "no place in the scene shows the objects of the question; give poses", "poses")
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

    def _answer(self, evidence: Evidence) -> str:
        try:
            answer = evaluate(self.node, evidence)
        except ProgramFault as fault:
            raise _Rejected("run", fault.why, "program", fault.at) from None
        if self.proposal.answer_type == "choice" and not 0 < len(answer.strip()) <= MAX_OPTION:
            why = f"the program's answer has {len(answer)} characters, a choice has 1 to {MAX_OPTION}"
            raise _Rejected("run", why, "program", self.node.at)
        return answer

    def _options(self, answer: str) -> tuple[str, ...]:
        options = self.proposal.options
        if not options and self.proposal.answer_type == "choice" and answer in YES_NO:
            return YES_NO
        if options and answer not in options:
            raise _Rejected(
                "options", f"the program answers {answer[:80]!r}, which is not among the options", "options"
            )
        return options

    # ------------------------------------------------------------------------- names

    def _option_objects(self, options: tuple[str, ...], evidence: Evidence) -> tuple[int, ...]:
        """The ids of the objects that the options name, () if not every option names one object in the views."""
        seen = evidence.seen()
        ids = [[key for key in seen if name_of(self.objects[key]) == option] for option in options]
        return tuple(found[0] for found in ids) if ids and all(len(found) == 1 for found in ids) else ()

    def _mentions(self, evidence: Evidence, option_objects: tuple[int, ...]) -> tuple[Mention, ...]:
        """The phrases of the text that name objects.

        Rejects a name that does not fit exactly one visible object, unless the program counts; an object of the program
        that is not named; and a named object that the program does not use.
        """
        mentions = []
        counts = "count" in programs.calls(self.node)
        words = programs.words(self.node)
        for name in self.names:
            phrase = self.proposal.text[name.start : name.end]
            fitting = [key for key in evidence.seen() if name.fits(self.objects[key])]
            if not name.one:
                if not counts and not self.ids:
                    self.reject(
                        "ambiguous",
                        f"{phrase!r} names no single object, and the program does not count",
                        "text",
                        name.start,
                    )
                continue
            if not fitting:
                self.reject("unseen", f"no view shows a {phrase}", "text", name.start)
            elif len(fitting) > 1:
                why = f"{phrase!r} fits {len(fitting)} objects in the views; name one of them, or count them"
                self.reject("ambiguous", why, "text", name.start)
            else:
                mentions.append(Mention(fitting[0], name.start, name.end))
                by_word = name.category in words or name.color in words
                if fitting[0] not in self.ids and not by_word:
                    why = f"the text names the {phrase}, object {fitting[0]}, but the program does not use it"
                    self.reject("unused", why, "text", name.start)
        named = {mention.object_id for mention in mentions} | set(option_objects)
        for key, at in self.ids.items():
            if key not in named:
                item = name_of(self.objects[key])
                self.reject("unnamed", f"object {key}, the {item}, is named in neither text nor options", "program", at)
        return tuple(mentions)

    # ------------------------------------------------------------------------- tests

    def _check_seen(self, evidence: Evidence, answer: str) -> None:
        for key, at in self.ids.items():
            if not _clearly_shown(evidence, key):
                item = name_of(self.objects[key])
                why = f"no view shows the {item}, object {key}, clearly enough ({RELATE})"
                self.reject("unseen", why, "program", at)
        for name in (name for name in self.names if not name.one):
            for key in evidence.seen():
                shown = any(shows(view, key, PERCEIVE[4]) for view in evidence.views)
                if name.fits(self.objects[key]) and not shown:
                    item = name_of(self.objects[key])
                    why = f"the {item}, object {key}, is counted, but no view shows it clearly enough ({PERCEIVE[4]})"
                    self.reject("unseen", why, "text", name.start)
        seen = set(evidence.seen())
        shown_only = tuple(item for item in evidence.description.objects if item.id in seen)
        description = msgspec.structs.replace(evidence.description, objects=shown_only)
        objects = {item.id: item for item in shown_only}
        try:
            same = (
                evaluate(self.node, msgspec.structs.replace(evidence, description=description, objects=objects))
                == answer
            )
        except ProgramFault:
            same = False
        if not same and all(key in seen for key in self.ids):
            self.reject(
                "unseen", "the answer depends on objects that no view shows; ask about visible(view(0))", "program", 0
            )

    def _check_triviality(
        self, evidence: Evidence, answer: str, options: tuple[str, ...], option_objects: tuple[int, ...]
    ) -> None:
        text = self.proposal.text
        others = [option for option in options if option != answer]
        if holds_phrase(text, answer) and not (others and all(holds_phrase(text, other) for other in others)):
            self.reject("told", f"the text contains the answer, {answer[:80]!r}", "text")
        here = answers_here(self.node, option_objects, evidence, self.rng)
        if len(here) == 1 and sum(here.values()) >= LEAST_ANSWERS:
            why = f"the program answers {next(iter(here))[:80]!r} for any objects of these views"
            self.reject("constant", why, "program", self.node.at)

    def _check_steady(self, frames: Frames, answer: str) -> None:
        flipped = answer_that_flips(self.node, answer, self.proposal.answer_type, self.scene, frames, self.rng)
        if flipped is not None:
            why = f"the answer {answer[:80]!r} becomes {flipped[:80]!r} when views and boxes move slightly"
            self.reject("unstable", why, "program", self.node.at)

    def _check_guessable(self, frames: Frames, option_objects: tuple[int, ...], elsewhere: Elsewhere) -> None:
        views = elsewhere.views(self.scene.spec, frames.camera, len(frames.poses))
        kinds: list[Named] = [name for name in self.names if not name.one]
        found = answers_over(self.node, option_objects, kinds, views, self.rng)
        total = sum(found.values())
        if total < LEAST_ANSWERS:
            why = (
                f"it has {total} answers over {len(views)} other views; at least {LEAST_ANSWERS} are needed to judge it"
            )
            self.reject("untested", why, "program", self.node.at)
            return
        common, times = found.most_common(1)[0]
        if times > MOST_COMMON * total:
            why = f"{times} of {total} answers over other scenes are {common[:80]!r}; at most {MOST_COMMON:.0%} may be"
            self.reject("guessable", why, "program", self.node.at)


def _clearly_shown(evidence: Evidence, key: int) -> bool:
    return any(shows(view, key, RELATE) for view in evidence.views)

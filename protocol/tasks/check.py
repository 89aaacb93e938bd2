"""Checks of what others send: an episode against its spec, and the texts and names in any message.

Each check reads headers only, never pixels, and raises VantageError("bad_reply") or ("bad_request") with one sentence
about the first fault. The broker applies `check_episode` to the answers of its workers, the learner to its episodes.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, NoReturn, Optional

from protocol.answers.scoring import parse_map
from protocol.errors import VantageError
from protocol.skills import CATALOGUE
from protocol.tasks.scene import Camera, Pose
from protocol.tasks.task import PROPOSED, Episode, Question, TaskSpec, View
from protocol.wire.arrays import ArrayRef

ANSWER_TYPES = ("choice", "number", "sequence", "map")
FRAMES = ("camera", "object", "agent")

# Bounds of one question: characters, or number of items.
MAX_TEXT = 1000
MAX_PROGRAM = 2000
MAX_ANSWER = 1000
MAX_OPTIONS = 64
MAX_OPTION = 200
MAX_UNIT = 32
MAX_MENTIONS = 256
MAX_ITEMS = 64  # of a sequence or map
MAX_CHANGES = 256  # of one view
MAX_ID = 128
MAX_COORDINATE_M = 1e6
LARGEST_INT = 2**53

# The special tokens of language models: <|im_start|>, <image>, </s>, [INST], |NEWLINE|. A tokenizer turns such text
# into a single token with a special meaning, which no question may contain.
_SPECIAL = re.compile(r"<\S[^<>]*>|<\||\|>|[\[|]/?\w*[A-Z]{2}\w*[\]|]")
_NUMBER = re.compile(r"-?[0-9]{1,17}(\.[0-9]{1,4})?")
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:@+-]{{0,{MAX_ID - 1}}}")
_SHOWN = 60  # characters of a foreign value in a sentence


def shown(value: object) -> str:
    """The value for a sentence: one line of printable ASCII, of bounded length."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def text_fault(text: str, most: int, lines: bool = False) -> str:
    """Why the text may not reach a policy, a terminal or a page; "" if it may. `lines` allows line breaks and tabs."""
    if len(text) > most:
        return f"has {len(text)} characters, and the limit is {most}"
    for at, character in enumerate(text):
        if not (character.isprintable() or (lines and character in "\n\r\t")):
            return f"has the control character {character!a} at position {at}"
    return ""


def token_fault(text: str) -> str:
    """Why the text may not be part of a prompt; "" if it may: it must contain nothing like a model's special token."""
    found = _SPECIAL.search(text if text.isascii() else unicodedata.normalize("NFKC", text))
    return f"contains {shown(found[0])}, which a language model can read as a special token" if found else ""


def as_text(text: str, most: int) -> str:
    """The text as `text_fault` accepts it: control characters other than line breaks become "?", the end is cut off."""
    return "".join(character if character.isprintable() or character == "\n" else "?" for character in text[:most])


def check_name(name: str, what: str) -> None:
    """Check the name of a worker, client or file: it appears in logs, terminals and paths.

    Raises VantageError("bad_request").
    """
    if not _NAME.fullmatch(name):
        raise VantageError(
            "bad_request",
            f"{what} is {shown(name)}; use 1 to {MAX_ID} letters, digits and . _ : @ + -, the first a letter or digit.",
        )


def as_name(text: str) -> str:
    """The text with every character that a name must not contain replaced by "_"."""
    name = re.sub(r"[^A-Za-z0-9._:@+-]", "_", text)[:MAX_ID]
    return name if _NAME.fullmatch(name) else f"x{name}"[:MAX_ID]


def check_episode(
    spec: TaskSpec,
    episode: Episode,
    *,
    sensors: Sequence[str] = ("rgb",),
    image_codec: str = "raw",
    digest: str = "",
    questions: int = 1,
) -> None:
    """Check that an episode answers this spec. The arguments after it are those of the request.

    `digest` is the renderer digest that the worker announced; empty if it is not known. That array frames match their
    references is checked by `decode`. Raises VantageError("bad_reply").
    """
    if episode.spec_id != spec.spec_id:
        refuse(f"the episode is about spec {shown(episode.spec_id)}, not {shown(spec.spec_id)}")
    check_digest(episode.renderer_digest, digest, bool(spec.degradations))
    check_text("scene id", episode.scene_id, MAX_TEXT)
    if len(episode.others) >= questions:
        refuse(f"the episode has {1 + len(episode.others)} questions, and the request allows {questions}")
    for question in (episode.question, *episode.others):
        check_asked(spec, question)
    most = len(spec.proposal.poses) or spec.max_views if spec.proposal else max(1, spec.max_views)
    least = len(spec.proposal.poses) if spec.proposal else 0
    if not max(1, least) <= len(episode.views) <= most:
        refuse(f"the episode has {len(episode.views)} views, and the spec allows {most}")
    for index, view in enumerate(episode.views):
        check_view(view, spec.camera, sensors, image_codec, f"view {index}")
    check_number("attempts", episode.attempts, 0, LARGEST_INT)
    check_number("render_s", episode.render_s, 0, LARGEST_INT)


def check_proposal(spec: TaskSpec) -> None:
    """Check the name, texts and poses of a proposal, before a simulator examines it.

    Raises VantageError("bad_request").
    """
    proposal = spec.proposal
    if proposal is None:
        raise VantageError("bad_request", f"spec {shown(spec.spec_id)} has no proposal.")
    check_name(spec.spec_id, "the spec_id of a proposal")
    try:
        check_text("text", proposal.text, MAX_TEXT, prompt=True)
        check_text("program", proposal.program, MAX_PROGRAM, lines=True)
        check_text("unit", proposal.unit, MAX_UNIT, prompt=True, empty=True)
        check_text("rule", proposal.rule, MAX_TEXT, prompt=True, empty=True)
        for option in proposal.options[: MAX_OPTIONS + 1]:
            check_text("option", option, MAX_OPTION, prompt=True)
        if len(proposal.options) > MAX_OPTIONS:
            refuse(f"it has more than {MAX_OPTIONS} options")
        if proposal.answer_type not in ANSWER_TYPES:
            refuse(f"the answer type is {shown(proposal.answer_type)}, not one of {', '.join(ANSWER_TYPES)}")
        for pose in proposal.poses:
            check_pose(pose, "a view")
    except VantageError as error:
        raise VantageError("bad_request", f"proposal {spec.spec_id}: {error.message}") from None


def check_asked(spec: TaskSpec, question: Question) -> None:
    """Check that the question is the one that the spec orders. Raises VantageError("bad_reply")."""
    proposal = spec.proposal
    skill, level = (PROPOSED, 0) if proposal else (spec.question.skill, spec.question.level)
    if (question.skill, question.level) != (skill, level):
        refuse(
            f"the question is {shown(question.skill)} at level {shown(question.level)}, and the spec orders "
            f"{shown(skill)} at level {level}"
        )
    if proposal:
        for field in ("text", "program", "answer_type", "unit", "rule"):
            value = getattr(question, field)
            if value != getattr(proposal, field):
                refuse(f"the question's {field} is {shown(value)}, which is not that of the proposal")
        if proposal.options and question.options != proposal.options:
            refuse(f"the options are {shown(question.options)}, which are not those of the proposal")
    check_question(question)


def check_question(question: Question) -> None:
    """Check the question itself: its form, bounds and characters. Raises VantageError("bad_reply")."""
    check_text("text", question.text, MAX_TEXT, prompt=True)
    check_text("rule", question.rule, MAX_TEXT, prompt=True, empty=True)
    check_text("program", question.program, MAX_PROGRAM, lines=True)
    check_text("answer", question.answer, MAX_ANSWER, prompt=True)
    check_text("unit", question.unit, MAX_UNIT, prompt=True, empty=True)
    if question.answer_type not in ANSWER_TYPES:
        refuse(f"the answer type is {shown(question.answer_type)}, not one of {', '.join(ANSWER_TYPES)}")
    if question.frame not in FRAMES:
        refuse(f"the frame is {shown(question.frame)}, not one of {', '.join(FRAMES)}")
    if question.skill in CATALOGUE:
        skill = CATALOGUE[question.skill]
        for field, wanted in (("answer_type", skill.answer_type), ("frame", skill.frame)):
            if getattr(question, field) != wanted:
                refuse(f"the {field} is {shown(getattr(question, field))}, and that of {skill.name} is {wanted}")
        if question.level not in skill.feasible_levels:
            refuse(f"{skill.name} has no level {shown(question.level)}")
    _check_options(question)
    _check_answer(question)
    check_number("margin", question.margin, -LARGEST_INT, LARGEST_INT)
    if len(question.mentions) > MAX_MENTIONS:
        refuse(f"the question has {len(question.mentions)} mentions, and the limit is {MAX_MENTIONS}")
    for mention in question.mentions:
        if not 0 <= mention.start < mention.end <= len(question.text):
            refuse(f"a mention covers characters {mention.start} to {mention.end}, which are not in the text")
        check_number("object id of a mention", mention.object_id, 0, LARGEST_INT)


def check_view(view: View, camera: Camera, sensors: Sequence[str], image_codec: str, what: str) -> None:
    """Check a view against the request: camera, sensors, shape, dtype and codec. Raises VantageError("bad_reply")."""
    if view.camera != camera:
        refuse(f"{what} has another camera than the spec")
    check_pose(view.pose, what)
    size = (camera.height_px, camera.width_px)
    _check_array(view.rgb, "uint8", (*size, 3), image_codec, f"the image of {what}")
    for name, dtype, ref in (("depth", "float32", view.depth), ("ids", "int32", view.ids)):
        if (ref is not None) != (name in sensors):
            refuse(f"{what} {'lacks' if ref is None else 'has'} the sensor {name}, unlike the request")
        if ref is not None:
            _check_array(ref, dtype, size, "raw", f"{name} of {what}")
    if len(view.changes) > MAX_CHANGES:
        refuse(f"{what} has {len(view.changes)} changes of the scene, and the limit is {MAX_CHANGES}")
    for change in view.changes:
        check_point(change.moved_to_m or (), f"a change in {what}")


def check_pose(pose: Pose, what: str) -> None:
    """Check that a pose is finite, with a rotation of length 1. Raises VantageError("bad_reply")."""
    check_point(pose.position_m, f"the position of {what}")
    if not 0.9 < math.sqrt(sum(part * part for part in pose.rotation_wxyz)) < 1.1:  # False for NaN
        refuse(f"the rotation of {what} does not have length 1")


def check_digest(digest: str, announced: str, degraded: bool) -> None:
    """Check that the digest of a reply is the announced one, with a suffix if images are degraded.

    Raises VantageError("bad_reply").
    """
    check_text("renderer digest", digest, MAX_TEXT)
    if not announced:
        return
    fits = re.fullmatch(re.escape(announced) + r"\+degraded-[\w.]{1,16}", digest) if degraded else digest == announced
    if not fits:
        refuse(f"the renderer digest is {shown(digest)}, and the worker announced {shown(announced)}")


def _check_options(question: Question) -> None:
    options = question.options
    if len(options) > MAX_OPTIONS or len({option.strip().lower() for option in options}) < len(options):
        refuse(f"the {len(options)} options are not different, or more than {MAX_OPTIONS}")
    for option in options:
        check_text("option", option, MAX_OPTION, prompt=True)
    if question.option_objects and len(question.option_objects) != len(options):
        refuse(f"{len(question.option_objects)} objects are named for {len(options)} options")
    for key in question.option_objects:
        check_number("object id of an option", key, -LARGEST_INT, LARGEST_INT)


def _check_answer(question: Question) -> None:
    answer, kind = question.answer, question.answer_type
    fault: Optional[str] = None
    if kind == "choice":
        if question.options and answer not in question.options:
            fault = f"not one of the options {shown(question.options)}"
        elif len(answer) > MAX_OPTION:
            fault = f"longer than {MAX_OPTION} characters"
    elif kind == "number":
        if not _NUMBER.fullmatch(answer):
            fault = "not a decimal number of at most 17 digits and 4 decimal places"
    elif kind == "sequence":
        items = [item.strip() for item in answer.split(",")]
        if not all(items) or len(set(items)) < len(items) or len(items) > MAX_ITEMS:
            fault = f"not a list of at most {MAX_ITEMS} different names"
    else:
        places = parse_map(answer)
        if not places or len(places) > MAX_ITEMS:
            fault = f"not a map of 1 to {MAX_ITEMS} names to cells"
    if fault:
        refuse(f"the answer {shown(answer)} is {fault}")


def _check_array(ref: ArrayRef, dtype: str, shape: tuple[int, ...], codec: str, what: str) -> None:
    if (ref.dtype, tuple(ref.shape), ref.codec) != (dtype, shape, codec):
        found = f"{shown(ref.dtype)} {shown(list(ref.shape))} {shown(ref.codec)}"
        refuse(f"{what} is {found}, not {dtype} {list(shape)} {codec}")


def check_text(what: str, text: str, most: int, prompt: bool = False, lines: bool = False, empty: bool = False) -> None:
    if not (empty or text.strip()):
        refuse(f"the {what} is empty")
    fault = text_fault(text, most, lines) or (token_fault(text) if prompt else "")
    if fault:
        refuse(f"the {what} {fault}")


def check_point(point: Sequence[float], what: str) -> None:
    if not all(abs(value) <= MAX_COORDINATE_M for value in point):  # False for NaN
        refuse(f"{what} is {shown(tuple(point))}, which is not within {MAX_COORDINATE_M:g} m")


def check_number(what: str, value: Any, least: float, most: float) -> None:
    if not least <= value <= most:  # False for NaN
        refuse(f"the {what} is {shown(value)}, which is not within {least:g}..{most:g}")


def refuse(sentence: str) -> NoReturn:
    raise VantageError("bad_reply", f"{sentence}.")

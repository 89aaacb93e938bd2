"""The sentences of every skill: natural English, eight paraphrases or more with the same roles, and a stated rule."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tomllib

from protocol.skills import CATALOGUE
from protocol.skills.levels import SECTORS
from protocol.tasks.nouns import plural
from sim_server.questions.evidence import name_of
from sim_server.questions.families import FAMILIES, sectors
from sim_server.questions.families.single.perceive import counted
from sim_server.questions.family import SAME_HOME, ask, render_text, suitable
from tests.support.questions.drafts import drafts

LEAST_PARAPHRASES = 8
COMPACT = 16  # words of a sentence that the embedded policy reads; a name counts as one
MENU = tomllib.loads((Path(__file__).parents[4] / "configs" / "wide-menu.toml").read_text())["curriculum"]["skills"]
_RULE = re.compile(r'["A-Z][^{}]*\.')

# Where each slot stands in a template, for the skills whose objects have roles.
ROLES = {
    "view_direction": {
        "a": r"[Ii]s the {a}",
        "b": r"([Rr]elative to|side of|left or right of|above or below) the {b}",
    },
    "depth_order": {"a": r"[Ii]s the {a}", "b": r"(than|ompared with) the {b}"},
    "relative_direction": {"a": r"(at|From) the {a}", "b": r"fac(e|ing) the {b}", "c": r"is the {c}"},
    "scene_relative_direction": {"a": r"(at|From) the {a}", "b": r"fac(e|ing) the {b}", "c": r"is the {c}"},
    "perspective": {"a": r"(at|in|on|of) the {a}", "b": r"is the {b}"},
    "relative_distance": {"a": r"(clos(er|est)|near(er|est)) to the {a}"},
    "scene_relative_distance": {"a": r"(clos(er|est)|near(er|est)) to the {a}"},
    "occlusion_removal": {"a": r"([Ww]ithout|by|behind) the {a}"},
}


def check_sentence(text: str) -> None:
    assert re.match(r"[A-Z]", text) and text.endswith(("?", ".")), text
    assert not re.search(r" [?.,:;!]|  |[{}]|\?\?|\.\.", text), text
    assert all(re.match(r"[A-Z]", sentence) for sentence in re.split(r"(?<=[.?]) ", text)), text


@pytest.mark.parametrize("skill", CATALOGUE)
def test_sentences_are_natural_english(skill: str) -> None:
    for _, _, _, draft in drafts(skill):
        assert len(set(draft.templates)) == len(draft.templates) >= LEAST_PARAPHRASES, draft.templates
        for template in draft.templates:
            text, _ = render_text(template, draft.slots)
            check_sentence(text)
            assert not re.search(r"\b(pictures?|things?|first image|second)\b", template), template
            for slot in draft.slots:
                assert template.count(f"{{{slot}}}") >= 1, (template, slot)
        for option in draft.options:
            assert option == option.strip() and " ," not in option, option


@pytest.mark.parametrize("skill", CATALOGUE)
def test_every_question_states_its_rule(skill: str) -> None:
    for evidence, candidate, level, draft in drafts(skill):
        assert _RULE.fullmatch(draft.rule) and not re.search(r"\b(pictures?|things?)\b|  | [,.]", draft.rule), (
            draft.rule
        )
        asked = ask(FAMILIES[skill], evidence, candidate, level, np.random.default_rng(0))
        if len(evidence.views) > 1:
            assert asked.rule == f"{SAME_HOME} {draft.rule}"
        else:
            assert asked.rule == draft.rule and "mages" not in asked.rule


@pytest.mark.parametrize("skill", [item["name"] for item in MENU])
def test_sentences_of_the_embedded_policy_are_short(skill: str) -> None:
    for _, _, _, draft in drafts(skill):
        assert all(len(template.split()) <= COMPACT for template in draft.templates)


@pytest.mark.parametrize("skill", ROLES)
def test_every_paraphrase_gives_each_object_its_role(skill: str) -> None:
    for _, _, _, draft in drafts(skill):
        for template in draft.templates:
            for slot, place in ROLES[skill].items():
                assert re.search(place.replace("{", r"\{").replace("}", r"\}"), template), (template, slot)


@pytest.mark.parametrize("skill", CATALOGUE)
def test_a_person_is_not_called_it(skill: str) -> None:
    for _, _, _, draft in drafts(skill):
        people = {slot: (key, "person" if key else phrase) for slot, (key, phrase) in draft.slots.items()}
        about = suitable(msgspec.structs.replace(draft, slots=people))
        if any(key for key, _ in people.values()):
            assert len(about) >= 3 and not any(re.search(r"\bits?\b", template) for template in about), skill
        else:
            assert about == draft.templates
        assert (
            suitable(msgspec.structs.replace(draft, slots=dict.fromkeys(draft.slots, (1, "chair")))) == draft.templates
        )


@pytest.mark.parametrize("skill, number", [("relative_distance", 2), ("small_nearest", 2), ("cameras_nearest", 3)])
def test_two_are_compared_and_more_are_ranked(skill: str, number: int) -> None:
    numbers = set()
    for evidence, candidate, level, _ in drafts(skill):
        item, *others = evidence.description.objects
        bare = msgspec.structs.replace(evidence.description, objects=(msgspec.structs.replace(item, color=""), *others))
        home = msgspec.structs.replace(evidence, description=bare)
        draft = FAMILIES[skill].draft(home, candidate, level, np.random.default_rng(0))
        form = r"\b(closer|nearer)\b" if len(draft.options) == 2 else r"\b(closest|nearest)\b"
        assert all(re.search(form, template) for template in draft.templates), draft.templates
        numbers.add(len(draft.options))
    assert number in numbers


def test_people_face_a_way_and_are_counted_as_people() -> None:
    assert plural("person") == "people"
    (evidence, candidate, level, _), *_ = drafts("perspective")
    stand = candidate.objects[0]
    objects = {**evidence.objects, stand: msgspec.structs.replace(evidence.objects[stand], category="person", color="")}
    named = msgspec.structs.replace(evidence, objects=objects)
    draft = FAMILIES["perspective"].draft(named, candidate, level, np.random.default_rng(0))
    assert draft.slots["a"] == (stand, "person")
    assert render_text(suitable(draft)[0], draft.slots)[0].startswith(
        "Imagine you are in the place of the person, looking the way they face."
    )


def test_routes_name_their_stops_in_order() -> None:
    for _, candidate, _, draft in drafts("route_plan"):
        for template in draft.templates:
            _, mentions = render_text(template, draft.slots)
            assert [mention.object_id for mention in mentions][: len(candidate.objects)] == list(candidate.objects)
            assert {mention.object_id for mention in mentions[len(candidate.objects) :]} == set(candidate.objects[1:-1])


@pytest.mark.parametrize("skill", [name for name, skill in CATALOGUE.items() if name.endswith("_count")])
def test_the_counted_kind_is_that_of_the_program(skill: str) -> None:
    for evidence, candidate, _, draft in drafts(skill):
        item = evidence.objects[candidate.objects[0]]
        phrase, kind = counted(item, candidate.form)
        assert draft.slots["a"] == (0, phrase) and kind in draft.program
        selected = dict(re.findall(r'(category|color)="([^"]*)"', draft.program))
        if "category" in selected:
            assert phrase == plural(selected["category"]) == plural(item.category)
        else:
            assert phrase == f"{selected.get('color', '')} objects".strip() and selected.get("color", "") in (
                "",
                item.color,
            )


def test_moves_of_a_question_are_those_of_its_program() -> None:
    for _, candidate, _, draft in drafts("action_consequence"):
        for template in draft.templates:
            found = re.findall(r"turn (left|right) by (\d+) degrees|walk forward ([\d.]+) m", template)
            moves = [float(metres or degrees) * (-1 if way == "right" else 1) for way, degrees, metres in found]
            assert moves == list(candidate.numbers)
            assert all(f", {move:g})" in draft.program for move in moves)


def test_the_size_of_a_box_is_that_of_the_program() -> None:
    for _, candidate, _, draft in drafts("fits"):
        (side_m,) = candidate.numbers
        assert draft.program.endswith(f", {side_m:g})")
        assert all(f"{side_m:g} m wide and {side_m:g} m long" in template for template in draft.templates)


@pytest.mark.parametrize("form", SECTORS)
def test_the_meaning_of_sectors_has_the_borders_of_their_functions(form: str) -> None:
    """Every angle that the rule names is where the answer changes, and every other border is where left meets right."""
    text = sectors.meaning(form, "the direction you face")
    stated = {float(degrees) for degrees in re.findall(r"(\d+) degrees", text)}
    changes = {
        float(degrees)
        for degrees in range(1, 180)
        if sectors.word(form, degrees - 0.01) != sectors.word(form, degrees + 0.01)
    }
    assert stated == changes and "the direction you face" in text


def test_names_of_objects_are_mentions() -> None:
    for skill in ("view_direction", "relative_direction", "object_distance", "perspective"):
        for evidence, candidate, level, _ in drafts(skill):
            asked = ask(FAMILIES[skill], evidence, candidate, level, np.random.default_rng(1))
            phrases = {item.object_id: asked.text[item.start : item.end] for item in asked.mentions}
            assert phrases == {key: name_of(evidence.objects[key]) for key in candidate.objects}

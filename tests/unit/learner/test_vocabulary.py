"""What the embedded policy reads in the demo with the wide menu: every word is one token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tomllib

from learner.policy.build import build_tokenizer
from learner.policy.vocabulary import COLORS
from learner.pretrain.batches import Tokens
from learner.settings import PretrainSettings
from protocol.answers.prompt import Look, Moved, write_answer, write_prompt
from protocol.answers.tokenised import tokenised
from protocol.skills import CATALOGUE
from protocol.tasks.nouns import plural
from sim_server.questions.families import FAMILIES
from sim_server.questions.family import ask, render_text
from tests.support.questions.drafts import drafts

CONFIGS = Path(__file__).parents[3] / "configs"
MENU = [item["name"] for item in tomllib.loads((CONFIGS / "wide-menu.toml").read_text())["curriculum"]["skills"]]
CATEGORIES = tomllib.loads((CONFIGS / "demo.toml").read_text())["curriculum"]["world"]["categories"]
TOKENS = Tokens(build_tokenizer())


def in_bytes(text: str) -> list[str]:
    """The words of a text that take more than one token."""
    return [word for word in text.split() if len(TOKENS.word(word)) != 1]


def test_names_and_plurals_of_the_demo_are_words() -> None:
    for category in CATEGORIES:
        assert not in_bytes(" ".join([*COLORS, category, plural(category)]))


@pytest.mark.parametrize("skill", MENU)
def test_every_prompt_is_made_of_listed_words(skill: str) -> None:
    known = {*COLORS, *CATEGORIES, *map(plural, CATEGORIES)}
    for evidence, candidate, level, draft in drafts(skill):
        asked = ask(FAMILIES[skill], evidence, candidate, level, np.random.default_rng(0))
        assert not set(in_bytes(write_prompt(asked, "words"))) - known
        for template in draft.templates:
            assert not set(in_bytes(tokenised(render_text(template, draft.slots)[0]))) - known, template
        if asked.answer_type == "choice":
            assert not set(in_bytes(write_answer(asked, "words"))) - known


def test_prompts_to_look_around_are_made_of_listed_words() -> None:
    (_, candidate, level, _), *_ = cases = drafts("perspective")
    evidence = cases[0][0]
    asked = ask(FAMILIES["perspective"], evidence, candidate, level, np.random.default_rng(0))
    moves = (Moved("forward"), Moved("turn_left", blocked=True), Moved("look_up"))
    prompt = write_prompt(asked, "words", Look(2, moves)).removeprefix(write_prompt(asked, "words"))
    assert prompt.startswith(" you moved : move forward , turn left not") and not in_bytes(prompt)


def test_pre_training_teaches_every_skill_of_the_menu_that_takes_any_view() -> None:
    assert set(PretrainSettings().asked) >= {name for name in MENU if CATALOGUE[name].takes_any_view}

"""Dense targets of a synthetic view, and a few steps of pre-training that learn and are bit-identical."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from learner.policy.build import build_tokenizer
from learner.pretrain.batches import MASKED, TaughtAnswers, Tokens, choose, pack
from learner.pretrain.data import Pool, Shard, ViewTruth, request, shard_path, write_shard
from learner.pretrain.muon import orthogonalise
from learner.pretrain.train import Losses, Trainer
from learner.pretrain.truth import IGNORED, Names, cell_owners, object_targets
from learner.settings import PretrainSettings
from protocol.tasks.scene import HELD_OUT_SEED_BORDER
from protocol.tasks.task import Mention, ObjectTruth, Question

COLORS = ("red", "green", "blue")
RGB = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 220)}
TINY = PretrainSettings(
    processes=1,
    colors=COLORS,
    categories=("box", "ball"),
    perceive={"object_color": 1.0},
    relate={"view_direction": 1.0},
    beside={},
    vision_steps=12,
    vision_batch=8,
    ground_steps=10,
    ground_batch=4,
    ground_questions=2,
    warmup_steps=2,
)


def synthetic_view(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, ViewTruth]:
    """A box and a ball of two colours on grey, with a question about each and one about both."""
    rgb = np.full((96, 96, 3), 128, np.uint8)
    ids = np.zeros((96, 96), np.int32)
    colors = rng.permutation(COLORS)[:2].tolist()
    columns = rng.permutation([4, 52]).tolist()
    objects = []
    for object_id, category, color, column in zip((7, 9), ("box", "ball"), colors, columns):
        rgb[30:70, column : column + 40] = RGB[color]
        ids[30:70, column : column + 40] = object_id
        objects.append(ObjectTruth(object_id, category, color, 1600, (column + 20) / 96, 0.52, 2.0, 1.0))
    questions = [
        Question("object_color", 0, f"what color is the {o.category} ?", o.color, "choice", "", show_options=False,
                 mentions=(Mention(o.object_id, 18, 18 + len(o.category)),))
        for o in objects
    ]  # fmt: skip
    side = "left" if columns[0] < columns[1] else "right"
    questions.append(
        Question("view_direction", 0, "where is the box from the ball ?", side, "choice", "", options=("left", "right"),
                 mentions=(Mention(7, 13, 16), Mention(9, 26, 30)))
    )  # fmt: skip
    return rgb, ids, ViewTruth(tuple(objects), tuple(questions))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    views = [synthetic_view(rng) for _ in range(32)]
    owners = np.array([cell_owners(ids, [7, 9], 6, 6) for _, ids, _ in views])
    path = tmp_path_factory.mktemp("views")
    write_shard(shard_path(path, 0), [Shard(np.array([v[0] for v in views]), owners, [v[2] for v in views])])
    return path


def test_image_tokens_belong_to_the_object_with_most_pixels() -> None:
    ids = np.zeros((96, 96), np.int32)
    ids[0:16, 0:10] = 3
    ids[0:16, 10:16] = 8  # same cell, fewer pixels
    ids[16:32, 80:83] = 8  # 3 of 16 columns of row 1's last cell
    ids[90, 90] = 3  # too few pixels to count
    owners = cell_owners(ids, [8, 3], 6, 6).reshape(6, 6)
    assert owners[0, 0] == 1
    assert owners[1, 5] == 0
    assert (owners >= 0).sum() == 2


def test_targets_of_an_object() -> None:
    names = Names(("red", "blue"), ("chair",))
    near = ObjectTruth(1, "chair", "blue", 50, 0.99, 0.0, 1.1, 1.0)
    far = ObjectTruth(2, "zebra", "", 50, 0.5, 0.5, 99.0, 1.0)
    assert object_targets([near, far], names).tolist() == [[7, 0, 0, 1, 0], [4, 4, 7, IGNORED, IGNORED]]


def test_packed_questions_have_labels_and_nouns(folder: Path) -> None:
    rng = np.random.default_rng(0)
    tokenizer = build_tokenizer()
    tokens = Tokens(tokenizer)
    _, _, truth = synthetic_view(rng)
    shard = Shard(np.zeros((1, 96, 96, 3), np.uint8), np.zeros((1, 36), np.int8), [truth])
    packed = pack(shard, [truth.questions], [[True, True, False]], tokens, Names(COLORS, ("box", "ball")))
    for k, question in enumerate(truth.questions[:2]):
        taught = [int(t) for t in packed.labels[0, k] if t != MASKED]
        assert tokenizer.decode(taught).strip() == f"{question.answer}<|im_end|>"
        assert int(packed.ids[0, k, packed.at[0, k, 0]]) == tokens.answer_mark
    assert (packed.labels[0, 2] == MASKED).all()  # not taught
    named = [tokenizer.decode([int(packed.ids[tuple(noun)])]).strip() for noun in packed.nouns]
    assert named == ["box", "ball", "box", "ball"]


def test_questions_are_drawn_by_skill_without_repetition() -> None:
    _, _, truth = synthetic_view(np.random.default_rng(1))
    chosen = choose(truth.questions, {"object_color": 1.0}, 5, np.random.default_rng(0))
    assert sorted(q.text for q in chosen) == ["what color is the ball ?", "what color is the box ?"]


def test_no_answer_makes_up_more_than_half_of_those_taught() -> None:
    _, _, truth = synthetic_view(np.random.default_rng(1))
    one, two = (replace(truth.questions[0], skill="object_count", answer=answer) for answer in ("1", "2"))
    rng = np.random.default_rng(0)
    taught = TaughtAnswers({}, 0.5)
    counts = Counter(q.answer for q in [one, one, one, two] * 200 if taught.add(q, rng))
    assert counts["2"] == 200
    assert counts["1"] <= counts["2"] + 2
    taught = TaughtAnswers({"object_count": 0.1}, 1.0)
    assert 60 < sum(taught.add(one, rng) for _ in range(1000)) < 140


def test_requests_are_deterministic_and_splits_are_disjoint() -> None:
    assert request(TINY, "train", 5) == request(TINY, "train", 5)
    assert all(request(TINY, "train", n).scene.seed < HELD_OUT_SEED_BORDER for n in range(50))
    assert all(request(TINY, "val", n).scene.seed >= HELD_OUT_SEED_BORDER for n in range(50))


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    batch = torch.randn(3, 20, 50, generator=torch.Generator().manual_seed(0))
    for matrix in (batch, batch.transpose(1, 2)):
        values = torch.linalg.svdvals(orthogonalise(matrix))
        assert values.min() > 0.5 and values.max() < 1.5


def trained(folder: Path) -> tuple[dict[str, torch.Tensor], list[Losses], list[Losses]]:
    torch.set_num_threads(1)
    trainer = Trainer(TINY)
    pool = Pool(folder, lambda _: None)
    vision: list[Losses] = []
    ground: list[Losses] = []

    def append_to(losses: list[Losses]) -> Callable[[int, Losses], None]:
        return lambda _, loss: losses.append(loss)

    trainer.train("vision", pool, lambda _: 1, append_to(vision))
    trainer.train("ground", pool, lambda _: 1, append_to(ground))
    table = trainer.evaluate(pool, 16)
    assert table["object_color"].questions == 32
    return trainer.model.state_dict(), vision, ground


@pytest.mark.timeout(120)
def test_a_few_steps_learn_and_are_bit_identical(folder: Path) -> None:
    first, vision, ground = trained(folder)
    assert vision[-1].dense < 0.8 * vision[0].dense
    assert ground[-1].answer < 0.8 * ground[0].answer
    assert ground[-1].noun < ground[0].noun
    again, *_ = trained(folder)
    assert all(torch.equal(first[name], again[name]) for name in first)

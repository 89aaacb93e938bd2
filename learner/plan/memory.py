"""Formulas for the GPU memory of a run, in bytes.

Notation: h hidden size, a width of all query heads, k of all key heads, f of the feed-forward layer, L layers, V
vocabulary, r LoRA rank, e bytes of a number (2 in bfloat16, 4 in float32). The base model is frozen, so autograd stores
what the adapters and the operations between them need, and no input of a frozen weight.

Activations are counted as in "Reducing Activation Recomputation" (arXiv 2205.05198, section 4.1), adapted to LoRA
layers of PEFT under PyTorch's autocast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from learner.plan.shape import Shape

GIB = 2**30

# Limits of the code that is planned for: learner/policy/packed.py, learner/rollouts/scores.py, TRL's fused head.
EXPLICIT_WEIGHTS = 2**22  # attention weights of a prompt and head that the packed forward computes explicitly
LOGITS_AT_ONCE = 2**26
FUSED_TOKENS, FUSED_LOGITS = 4096, 32768  # of a tile of TRL's
CACHED_VIEWS = 1024  # whose features the packed forward remembers
LEAST_ROOM = 32  # tokens of a growing cache
# Bytes of a stored attention weight. In bfloat16 on a GPU, autocast computes a softmax in float32, and both are stored.
WEIGHT_BYTES = {4: 4, 2: 6}

Forward = Literal["packed", "plain", "fused"]  # learner/policy/packed.py, the model's own, TRL's


@dataclass(frozen=True)
class Pass:
    """What is computed at once: `prompts` of `prompt` tokens, each continued `branches` times by `answer` tokens."""

    forward: Forward
    prompts: int
    branches: int
    prompt: int
    answer: int

    @property
    def tokens(self) -> int:
        """Tokens with activations. Only the packed forward computes a prompt once for all its answers."""
        if self.forward == "packed":
            return self.prompts * (self.prompt + self.branches * self.answer)
        return self.prompts * self.branches * (self.prompt + self.answer)

    @property
    def scored(self) -> int:
        """Tokens of answers."""
        return self.prompts * self.branches * self.answer


def weights(shape: Shape, size: int) -> int:
    """Bytes of the frozen model: one number per parameter; tied embeddings count once."""
    return size * shape.parameters


def sharded_weights(shape: Shape, ranks: int, size: int) -> int:
    """Bytes of the frozen model on one of several ranks that share it (learner/policy/shards.py).

    Its part, and what is gathered during a pass: all that is outside the layers, and two layers, of which one is
    gathered ahead. Experts, which are not linear layers, count as outside.
    """
    layer = sum(inputs * outputs for inputs, outputs in shape.targets) // shape.layers
    gathered = shape.parameters - (shape.layers - 2) * layer
    return size * (math.ceil(shape.parameters / ranks) + gathered)


def adapter(shape: Shape, rank: int) -> int:
    """Bytes of the adapter, which PEFT keeps in float32 whatever the type of the model is."""
    return 4 * shape.adapter(rank)


def optimizer(shape: Shape, rank: int) -> int:
    """Bytes of the state of AdamW: two moments per trained parameter (arXiv 1412.6980), one step count per tensor."""
    return 8 * shape.adapter(rank) + 4 * 2 * len(shape.targets)


def layer_activations(shape: Shape, rank: int, size: int) -> int:
    """Bytes per token that autograd stores in one layer of the language model, without attention weights.

    float32: both normalisations and their outputs, queries and keys before and after the rotation, keys and values
    repeated for every query head, mixed values twice, and four tensors of the feed-forward layer:
    4 (4 h + 6 a + k + 4 f). bfloat16: the same in two bytes, but normalisations compute in float32, and each of the
    seven adapters casts its input: 18 h + 14 a + 4 k + 8 f. Both: the output of A of each adapter.
    """
    h, a, k, f = shape.hidden, shape.queries, shape.keys, shape.feed_forward
    adapters = size * rank * len(shape.targets) // shape.layers
    if size == 4:
        return 4 * (4 * h + 6 * a + k + 4 * f) + adapters
    return 18 * h + 14 * a + 4 * k + 8 * f + adapters


def attention_weights(shape: Shape, work: Pass, size: int) -> int:
    """Bytes of the attention weights that the packed forward stores in one layer.

    P^2 for a prompt and T (P + T) for each of its branches, per head, unless there are so many that they are not stored
    (FlashAttention, arXiv 2205.14135).
    """
    if work.forward != "packed":
        return 0
    own = work.prompt**2 if work.prompt**2 <= EXPLICIT_WEIGHTS else 0
    branches = work.branches * work.answer * (work.prompt + work.answer)
    # Weights of branches are stored once together and once in two parts, for the prompt and the branch.
    own += 2 * branches if branches <= EXPLICIT_WEIGHTS else 0
    return work.prompts * shape.heads * own * WEIGHT_BYTES[size]


def activations(shape: Shape, work: Pass, rank: int, size: int, recompute: bool) -> int:
    """Bytes stored between forward and backward pass.

    After the layers, the last normalisation stores 4 h and its output 2 e h. In the last layer the packed forward
    computes only keys and values of prompts. With `recompute`, only the input of each layer is stored, and one layer at
    a time is computed again (arXiv 1604.06174); the packed forward recomputes parts of a step instead.
    """
    own = layer_activations(shape, rank, size)
    outer = work.tokens * shape.hidden * (4 + 2 * size)
    if work.forward == "packed":
        prompts, answers = work.prompts * work.prompt, work.scored
        tokens = prompts * (shape.layers - 1) + answers * shape.layers
        return tokens * own + shape.layers * attention_weights(shape, work, size) + answers * shape.hidden * 4
    if recompute:
        return outer + work.tokens * (shape.layers * shape.hidden * size + own)
    return outer + shape.layers * work.tokens * own


def logits(shape: Shape, work: Pass, size: int) -> int:
    """Bytes of logits and what their log-probabilities need.

    The packed and the plain forward compute slices of bounded size, with four float32 numbers per logit; the plain one
    computes the logits of all answers of a part before. TRL's computes tiles.
    """
    if work.forward == "fused":
        return min(FUSED_TOKENS, work.scored) * FUSED_LOGITS * size
    numbers = work.scored * shape.vocabulary
    own = numbers * size if work.forward == "plain" else 0
    return own + min(numbers, LOGITS_AT_ONCE) * (16 if size == 4 else 18)


def cache(shape: Shape, sequences: int, tokens: int, size: int) -> int:
    """Bytes of keys and values of all layers: 2 L k e per token (arXiv 2309.06180, section 3)."""
    return sequences * tokens * 2 * shape.layers * shape.keys * size


def rollouts(shape: Shape, work: Pass, size: int) -> int:
    """Bytes of sampling in the learner's process: cache, the forward pass over the prompts, and logits.

    The packed engine stores a prompt once and grows the answers by doubling; `generate` repeats the prompt for every
    answer.
    """
    sequences = work.prompts * work.branches
    width = 3 * shape.hidden + 3 * shape.queries + 3 * shape.feed_forward
    scores = sequences * shape.vocabulary * (size + 3 * 4)
    if work.forward != "packed":
        return (
            cache(shape, sequences, work.prompt + work.answer, size) + sequences * work.prompt * width * size + scores
        )
    room = LEAST_ROOM * 2 ** max(0, math.ceil(math.log2(work.answer / LEAST_ROOM)))
    prompt_only = Pass("packed", work.prompts, 0, work.prompt, 0)
    return (
        cache(shape, work.prompts, work.prompt, size)
        + cache(shape, sequences, room, size)
        + work.prompts * work.prompt * width * size
        + attention_weights(shape, prompt_only, size)
        + scores
    )


def images(shape: Shape, views: int, height_px: int, width_px: int, size: int, packed: bool) -> int:
    """Bytes of `views` images at once in the vision tower, and of the features that the packed forward remembers.

    The tower has no adapter and stores nothing for a backward pass: pixels in float32, and one layer at a time. The
    packed forward computes its attention weights explicitly.
    """
    tower = shape.tower
    tokens = tower.tokens(height_px, width_px)
    patches = tokens * tower.merge**2
    pixels = 4 * 3 * 2 * tower.patch_px**2
    layer = size * (6 * tower.hidden + 2 * tower.feed_forward)
    work = views * patches * (pixels + layer)
    features = views * tokens * shape.hidden * tower.levels * size
    if packed:
        work += views * tower.heads * patches**2 * 2 * size
        features = max(views, CACHED_VIEWS) * tokens * shape.hidden * tower.levels * size
    return work + features

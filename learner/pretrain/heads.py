"""Auxiliary heads that align image tokens with words; they are discarded after pre-training.

Dense heads predict from every image token the object that it shows. The grounding loss predicts, from the hidden state
of a middle layer at every noun that names an object, the position and attributes of that object. Without it names do
not bind to objects, and accuracy on relations between named objects stays at chance.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from learner.pretrain.truth import FIELDS, Names

_DENSE_WEIGHT = {"column": 0.25, "row": 0.25, "depth": 0.25, "color": 0.5, "category": 0.5}
_NOUN_WEIGHT = 0.3
_WORD_SCALE = 4.0


class Heads(nn.Module):
    def __init__(
        self, width: int, names: Names, embedding: nn.Embedding, color_ids: Tensor, category_ids: list[Tensor]
    ) -> None:
        """`color_ids` [colours] and `category_ids` (one tensor per category) are the token ids of the words."""
        super().__init__()
        self.present = nn.Linear(width, 1)
        self.place = nn.ModuleDict({field: nn.Linear(width, names.size(field)) for field in FIELDS[:3]})
        self.noun = nn.ModuleDict({field: nn.Linear(width, names.size(field)) for field in FIELDS})
        self._embedding = [embedding]  # in a list, so that it is not a parameter of this module
        self._color_ids, self._category_ids = color_ids, category_ids

    def dense_loss(self, tokens: Tensor, shown: Tensor, targets: Tensor) -> Tensor:
        """tokens [N, n, D]; shown bool [N, n]: the token shows an object; targets [shown.sum(), FIELDS]."""
        loss = 0.5 * F.binary_cross_entropy_with_logits(self.present(tokens)[..., 0], shown.float())
        seen = tokens[shown]
        for index, field in enumerate(FIELDS):
            # Colour and category are classified by the word embeddings, which maps image tokens to word space.
            logits = self.place[field](seen) if field in self.place else _WORD_SCALE * seen @ self.words(field).T
            loss = loss + _DENSE_WEIGHT[field] * F.cross_entropy(logits, targets[:, index])
        return loss

    def noun_loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """hidden [M, D]: raw states at nouns; targets [M, FIELDS]."""
        hidden = F.rms_norm(hidden, hidden.shape[-1:], eps=1e-6)
        losses = [F.cross_entropy(self.noun[field](hidden), targets[:, i]) for i, field in enumerate(FIELDS)]
        return _NOUN_WEIGHT * torch.stack(losses).sum()

    def words(self, field: str) -> Tensor:
        """Word embeddings of the classes of a field, [classes, D]; the mean for names of several words."""
        weight = self._embedding[0].weight
        if field == "color":
            return weight[self._color_ids]
        return torch.stack([weight[ids].mean(0) for ids in self._category_ids])

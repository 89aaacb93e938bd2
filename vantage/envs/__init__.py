"""Questions for other trainers: rendered and scored by Vantage, asked and trained on by them.

    with vantage.envs.open_pool("demo", run="runs/mine", samples=8) as pool:
        question = pool.ask()                       # question.images, question.prompt()
        reward = question.answer("left", "words")   # scored by rule; eight answers make one report to the curriculum

The adapters are modules of this package: `for_trl`, `for_verifiers`, `for_gymnasium` and `for_vagen`. Only `for_trl`
brings torch.
"""

from __future__ import annotations

from vantage.envs.pool import Pool, open_pool
from vantage.envs.questions import OpenQuestion, Ticket, Walk

__all__ = ["OpenQuestion", "Pool", "Ticket", "Walk", "open_pool"]

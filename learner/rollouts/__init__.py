"""Rollout engines by the name that `learner.rollout.engine` gives.

To add one, write a module beside these and list its factory here, or register a factory under the entry-point group
`vantage.engines` in another distribution. A factory takes an EngineContext and returns a RolloutEngine
(learner/rollouts/base.py). Nothing is imported until it is chosen.
"""

from __future__ import annotations

from protocol.entry_points import Implementations

ENGINES = Implementations(
    "vantage.engines",
    "rollout engine",
    {
        "transformers": "learner.rollouts.transformers:make_engine",
        "vllm": "learner.rollouts.vllm:make_engine",
        "vllm-serve": "learner.rollouts.vllm_serve:make_engine",
    },
)

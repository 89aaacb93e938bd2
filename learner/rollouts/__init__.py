"""Rollout engines by name, for the setting `learner.rollout.engine`.

To add an engine, write a module in this package and list its factory here, or register a factory in the entry-point
group `vantage.engines` of another distribution. A factory takes an EngineContext and returns a RolloutEngine
(learner/rollouts/base.py). An engine is imported only if it is chosen.
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

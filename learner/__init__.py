"""The learner: the policy, its rollouts and its training.

Any module of the package may be the first to import transformers, TRL or vLLM. So this file prepares their import: it
lets transformers import torchvision's CUDA build beside a CPU build of torch, and silences advice that libraries print.
It imports none of them.
"""

import os
import warnings

from learner.policy import torchvision_shim

torchvision_shim.install()
for _name, _value in {
    "TRL_EXPERIMENTAL_SILENCE": "1",  # rollout_func is marked experimental; a contract test pins the parts in use
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}.items():
    os.environ.setdefault(_name, _value)
warnings.filterwarnings("ignore", message="TRL currently supports vLLM versions")  # matters for TRL's server mode only

"""The learner: the policy, its rollouts and its training.

Every part of it may be the first to import transformers, TRL or vLLM, so the package sees to it here that transformers
can import torchvision's CUDA build beside a CPU torch, and that libraries keep their advice off the terminal; this
imports none of them.
"""

import os
import warnings

from learner.policy import torchvision_shim

torchvision_shim.install()
for _name, _value in {
    "TRL_EXPERIMENTAL_SILENCE": "1",  # rollout_func is marked experimental; a contract test pins what is used of it
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}.items():
    os.environ.setdefault(_name, _value)
warnings.filterwarnings("ignore", message="TRL currently supports vLLM versions")  # only its server mode minds

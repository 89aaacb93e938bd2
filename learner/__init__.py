"""The learner: the policy, its rollouts and its training.

Every part of it may be the first to import transformers, so the package sees to it here that they can import
torchvision's CUDA build beside a CPU torch; this imports neither.
"""

from learner.policy import torchvision_shim

torchvision_shim.install()

"""The taskset that verifiers finds as `vantage-verifiers`: ids of its plugins are names of top-level modules."""

from vantage.envs.for_verifiers import SpatialEnv, SpatialTaskset

__all__ = ["SpatialEnv", "SpatialTaskset"]

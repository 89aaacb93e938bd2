"""The [sim] table of a run's configuration. Imports nothing heavy: launch checks every config with it."""

from __future__ import annotations

from pydantic import Field

from protocol.run.config import Section


class SimSettings(Section):
    """Knobs of the simulator service; times are seconds."""

    backend: str = Field(default="rooms", min_length=1)
    allowed_backends: tuple[str, ...] = ()  # workers of other backends are turned away; empty: any may join
    dataset: str = ""  # scenes on disk: a *.scene_dataset_config.json, .glb or .gltf; spec.asset names one of them
    gpu: int = Field(default=0, ge=-1)  # for backends that draw on one: its number in CUDA_VISIBLE_DEVICES; -1: the CPU
    software_rendering: bool = False  # let such a backend draw on the CPU where it finds no GPU
    recycle_after_scenes: int = Field(default=0, ge=0)  # a worker is replaced after so many scene loads; 0: never
    workers: int = Field(default=1, ge=0, le=256)  # child processes of `serve`; 0: only workers that join
    credit: int = Field(default=2, ge=1, le=64)  # requests a worker holds at once: one computes, the rest wait there
    queue_bound: int = Field(default=256, ge=1)  # requests waiting at the broker; beyond it clients hear BUSY
    warm_scenes: int = Field(default=8, ge=1)  # open scenes per worker
    reply_cache_bytes: int = Field(default=64 * 2**20, ge=2**20)  # replies kept for clients that ask again
    listen: str = ""  # "tcp://host:port" for clients of other machines; empty: a socket file in the run directory
    listen_workers: str = ""  # the same for workers
    metrics_port: int = Field(default=0, ge=0, le=65535)  # Prometheus /metrics and /health on loopback; 0: off

    affinity_wait_s: float = Field(default=0.25, ge=0)  # how long a request waits for the worker with its scene warm
    unsupported_after_s: float = Field(default=10.0, ge=0)  # then a request that no worker can serve fails
    heartbeat_s: float = Field(default=0.5, gt=0)
    worker_silence_s: float = Field(default=2.5, gt=0)  # a worker silent for longer counts as dead
    loading_s: float = Field(default=120.0, gt=0, le=3600)  # a scene load may keep a worker silent for as long
    request_timeout_s: float = Field(default=300.0, gt=0)  # longer on one request: the worker ends itself
    deaths_to_quarantine: int = Field(default=3, ge=1)  # a request that killed as many workers is not tried again
    restart_backoff_s: float = Field(default=0.5, ge=0)  # doubles with each death of a worker that did no work
    restart_backoff_max_s: float = Field(default=30.0, ge=0)
    status_every_s: float = Field(default=1.0, gt=0)

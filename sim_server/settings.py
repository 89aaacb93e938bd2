"""The [sim] table of a run's configuration. Imports nothing heavy, since launch checks every config with it."""

from __future__ import annotations

from pydantic import Field

from protocol.run.config import Section


class SimSettings(Section):
    """Settings of the simulator service; times are in seconds."""

    backend: str = Field(default="rooms", min_length=1)
    allowed_backends: tuple[str, ...] = ()  # workers of other backends are rejected; empty: all are accepted
    dataset: str = ""  # scenes on disk: a *.scene_dataset_config.json, .glb or .gltf; spec.asset is one of its scenes
    gpu: int = Field(default=0, ge=-1)  # GPU of backends that need one: ordinal in CUDA_VISIBLE_DEVICES; -1: the CPU
    software_rendering: bool = False  # allow such a backend to render on the CPU if there is no GPU
    recycle_after_scenes: int = Field(default=0, ge=0)  # a worker restarts after this many scene loads; 0: never
    workers: int = Field(default=1, ge=0, le=256)  # child processes of `serve`; 0: only workers that join
    credit: int = Field(default=2, ge=1, le=64)  # requests that a worker holds: one in progress, the others queued
    queue_bound: int = Field(default=256, ge=1)  # maximum queue length of the broker; beyond it clients receive BUSY
    warm_scenes: int = Field(default=8, ge=1)  # open scenes per worker
    reply_cache_bytes: int = Field(default=64 * 2**20, ge=2**20)  # replies stored for clients that retry
    listen: str = ""  # "tcp://host:port" for clients on other machines; empty: a socket file in the run directory
    listen_workers: str = ""  # the same for workers
    metrics_port: int = Field(default=0, ge=0, le=65535)  # Prometheus /metrics and /health on loopback; 0: off

    affinity_wait_s: float = Field(default=0.25, ge=0)  # how long a request waits for a worker with its scene open
    unsupported_after_s: float = Field(default=10.0, ge=0)  # a request that no worker can serve fails after this time
    heartbeat_s: float = Field(default=0.5, gt=0)
    worker_silence_s: float = Field(default=2.5, gt=0)  # a worker that is silent for longer counts as dead
    loading_s: float = Field(default=120.0, gt=0, le=3600)  # maximum silence of a worker during a scene load
    request_timeout_s: float = Field(default=300.0, gt=0)  # a worker ends itself if one request takes longer
    request_floor_s: float = Field(default=30.0, gt=0)  # the broker allows one request this, plus 20 x what such cost
    verify_share: float = Field(default=0.02, ge=0, le=1)  # fraction of the specs that a second worker answers, too
    deaths_to_quarantine: int = Field(default=3, ge=1)  # a request that killed this many workers is not retried
    restart_backoff_s: float = Field(default=0.5, ge=0)  # doubles each time a worker dies without having done work
    restart_backoff_max_s: float = Field(default=30.0, ge=0)
    status_every_s: float = Field(default=1.0, gt=0)

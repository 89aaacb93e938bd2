"""Describes the machine and its load; every benchmark writes both beside its figures."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe_machine() -> dict[str, object]:
    """CPU model, cores available to this process, memory in GiB, Python version."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
    }


def describe_load() -> dict[str, object]:
    """1-minute load average, and whether this process runs with real-time priority (`chrt -r 1`)."""
    real_time = os.sched_getscheduler(0) & ~0x40000000 in (os.SCHED_RR, os.SCHED_FIFO)  # the bit is RESET_ON_FORK
    return {"load_average": round(os.getloadavg()[0], 1), "real_time_priority": real_time}


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())

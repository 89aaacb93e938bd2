"""Two network namespaces connected by an emulated cable that delays and drops packets and can be unplugged.

Each namespace gets a TAP device, and a thread of this process forwards Ethernet frames between them. This needs root,
iproute2 and /dev/net/tun, but no netem module in the kernel.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from pathlib import Path

_TUNSETIFF, _TAP_WITHOUT_HEADER = 0x400454CA, 0x0002 | 0x1000
ADDRESSES = ("10.213.77.1", "10.213.77.2")


def missing() -> str:
    """Return the missing requirement on this machine, or an empty string."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    if shutil.which("ip") is None:
        return "needs ip of iproute2"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    probe = f"vtgprobe{os.getpid()}"
    created = subprocess.run(["ip", "netns", "add", probe], capture_output=True, timeout=20).returncode == 0
    if created:
        subprocess.run(["ip", "netns", "del", probe], timeout=20)
    return "" if created else "cannot create network namespaces"


class Cable:
    """Namespaces `names[0]` and `names[1]` with ADDRESSES; `loss` is the probability of losing a frame."""

    def __init__(self, delay_s: float, loss: float) -> None:
        self._delay_s, self._loss = delay_s, loss
        self._rng = random.Random(1)
        self.names = tuple(f"vtg{os.getpid()}{end}" for end in "ab")
        self.carried = [0, 0]  # bytes forwarded from each end
        self.lost = 0
        self._stop = threading.Event()
        self._taps: list[int] = []
        self._thread = threading.Thread(target=self._carry, name="cable", daemon=True)

    def __enter__(self) -> Cable:
        try:
            for name, address in zip(self.names, ADDRESSES):
                self._taps.append(os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK))
                device = f"{name}0"
                request = struct.pack("16sH", device.encode(), _TAP_WITHOUT_HEADER)
                fcntl.ioctl(self._taps[-1], _TUNSETIFF, request)
                ip("netns", "add", name)
                ip("link", "set", device, "netns", name)
                ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
                ip("-n", name, "link", "set", "lo", "up")
                ip("-n", name, "link", "set", device, "up")
        except BaseException:
            self._remove()
            raise
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()
        self._remove()

    def inside(self, end: int, *command: str) -> list[str]:
        """Return the command that runs `command` in the namespace of an end."""
        return ["ip", "netns", "exec", self.names[end], *command]

    def interface(self, end: int, state: str) -> None:
        """Set the interface of an end "up" or "down"."""
        ip("-n", self.names[end], "link", "set", f"{self.names[end]}0", state)

    def _carry(self) -> None:
        in_flight: list[tuple[float, int, int, bytes]] = []  # (arrival, order, from which end, frame)
        order = 0
        while not self._stop.is_set():
            wait_s = max(0.0, in_flight[0][0] - time.monotonic()) if in_flight else 0.1
            readable, _, _ = select.select(self._taps, [], [], min(wait_s, 0.1))
            for tap in readable:
                frame = self._read(tap)
                if self._rng.random() < self._loss:
                    self.lost += 1
                elif frame:
                    order += 1
                    arrival_s = time.monotonic() + self._delay_s
                    heapq.heappush(in_flight, (arrival_s, order, self._taps.index(tap), frame))
            while in_flight and in_flight[0][0] <= time.monotonic():
                _, _, end, frame = heapq.heappop(in_flight)
                if self._write(self._taps[1 - end], frame):
                    self.carried[end] += len(frame)

    @staticmethod
    def _read(tap: int) -> bytes:
        try:
            return os.read(tap, 65536)
        except OSError:  # the interface was taken down
            time.sleep(0.01)
            return b""

    @staticmethod
    def _write(tap: int, frame: bytes) -> bool:
        try:
            os.write(tap, frame)
        except OSError:
            return False
        return True

    def _remove(self) -> None:
        for tap in self._taps:
            os.close(tap)
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=20)

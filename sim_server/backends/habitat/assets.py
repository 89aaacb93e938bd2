"""Checks the assets of a scene before habitat-sim reads them, since on some defects it ends the process."""

from __future__ import annotations

from pathlib import Path

from protocol.errors import VantageError
from sim_server.backends.placements import SceneFiles
from sim_server.backends.rooms.files.gltf import read_gltf
from sim_server.backends.untrusted import Reader


class AssetCheck:
    """Reads every asset once with the reader of `rooms`, which reports each defect."""

    def __init__(self) -> None:
        self._good: set[tuple[Path, int, int]] = set()  # path, size, time of change

    def check(self, files: SceneFiles) -> None:
        """Raises VantageError("corrupt"), with the file's name, for an asset that cannot be read.

        An asset with properties that only habitat-sim reads is not checked.
        """
        reader = Reader(files.root)
        stage = (files.stage,) if files.stage is not None else ()
        for path in dict.fromkeys(placement.asset for placement in (*stage, *files.objects)):
            status = path.stat()
            key = (path, status.st_size, status.st_mtime_ns)
            if key in self._good:
                continue
            try:
                read_gltf(path, reader)
            except VantageError as error:
                if error.code != "unsupported":
                    raise
            self._good.add(key)

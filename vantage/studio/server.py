"""The studio's HTTP server, on the loopback address only. Requests to the simulator run one after the other."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Optional

from protocol.errors import VantageError, one_line
from vantage.studio.session import Json, Studio
from vantage.studio.study import Study

log = logging.getLogger(__name__)

_PAGE = Path(__file__).with_name("page.html")
_MOST_BYTES = 65_536  # of a request
_HOST = "127.0.0.1"


class StudioServer(ThreadingHTTPServer):
    """Serves the page at `url` until `shutdown`."""

    daemon_threads = True

    def __init__(self, port: int, make_studio: Callable[[], Studio], study: Optional[Study] = None) -> None:
        """`make_studio` is called in the thread that then makes every call of the studio. Raises VantageError as it
        does, and VantageError("conflict") if the port is in use."""
        self._simulator = ThreadPoolExecutor(1, "studio")  # before the socket: closing that also ends this
        try:
            super().__init__((_HOST, port), _Handler)
        except OSError as error:
            raise VantageError(
                "conflict", f"port {port} cannot be used ({error.strerror}); choose another --port."
            ) from None
        self._study = study
        self._guard = threading.Lock()
        try:
            self._studio = self._simulator.submit(make_studio).result()
        except BaseException:
            self.server_close()
            raise

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self.server_address[1]}/"

    @property
    def hosts(self) -> frozenset[str]:
        """The Host headers of requests that were meant for this server."""
        port = self.server_address[1]
        return frozenset({f"{_HOST}:{port}", f"localhost:{port}"})

    def answer(self, name: str, body: Json) -> Json:
        """Answer a request of the page. Raises VantageError with a sentence for the person."""
        studio = self._studio
        requests: dict[str, Callable[[], Json]] = {
            "skills": studio.skills,
            "open": lambda: studio.open(_part(body, "scene", dict)),
            "move": lambda: studio.move(_part(body, "action", str)),
            "ask": lambda: studio.ask(
                _part(body, "skill", str),
                _part(body, "level", int),
                _part(body, "seed", int),
                _part(body, "degradations", list),
            ),
            "draw": lambda: studio.draw(_part(body, "skills", list)),
            "answer": lambda: studio.answer(_part(body, "id", str), _part(body, "reply", str)),
            "run": lambda: studio.run(_part(body, "program", str)),
        }
        if name not in requests:
            raise VantageError("bad_request", f"there is no request {name[:40]!r}.")
        reply = self._simulator.submit(requests[name]).result()
        if name == "answer" and self._study is not None:
            with self._guard:
                self._study.add(reply, _part(body, "reply", str))
        return reply

    def server_close(self) -> None:
        super().server_close()
        if hasattr(self, "_studio"):
            self._simulator.submit(self._studio.close)
        self._simulator.shutdown()


class _Handler(BaseHTTPRequestHandler):
    @property
    def _studio(self) -> StudioServer:
        assert isinstance(self.server, StudioServer)
        return self.server

    def do_GET(self) -> None:
        if not self._is_meant() or self.path != "/":
            self._send(404, b"not found", "text/plain")
            return
        self._send(200, _PAGE.read_bytes(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """A JSON object to /api/NAME; another site cannot send this content type without being asked."""
        length = self.headers.get("Content-Length", "")
        if (
            not self._is_meant()
            or self.headers.get("Content-Type") != "application/json"
            or not (length.isascii() and length.isdigit() and int(length) <= _MOST_BYTES)
        ):
            self._send(404, b"not found", "text/plain")
            return
        try:
            body = json.loads(self.rfile.read(int(length)))
            if not isinstance(body, dict):
                raise ValueError("not an object")
            reply, status = self._studio.answer(self.path.removeprefix("/api/"), body), 200
        except VantageError as error:
            reply, status = {"error": error.message, "code": error.code}, 400
        except (ValueError, RecursionError):
            reply, status = {"error": "the request is not a JSON object.", "code": "bad_request"}, 400
        except Exception as error:
            log.exception("a request failed")
            reply, status = {"error": f"a fault of the studio: {one_line(error)}", "code": "internal"}, 500
        self._send(status, json.dumps(reply).encode(), "application/json")

    def _is_meant(self) -> bool:
        return self.headers.get("Host") in self._studio.hosts

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)


def _part(body: Json, name: str, kind: type) -> Any:
    value: Any = body.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise VantageError("bad_request", f"the request needs {name}, of the type {kind.__name__}.")
    if kind is list and not all(isinstance(item, str) for item in value):
        raise VantageError("bad_request", f"{name} is a list of texts.")
    return value

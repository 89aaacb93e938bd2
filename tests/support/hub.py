"""A stand-in for the HTTP interface of the model hub: repositories, pre-uploads and commits, in memory."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """Serves at `url`. `files` holds what was committed, by repository and path; `status` refuses every request."""

    def __init__(self, status: int = 0) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.kinds: dict[str, str] = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if status:
                    self._reply({"error": "refused"}, status)
                    return
                parts = self.path.split("?")[0].strip("/").split("/")
                if parts[1:3] == ["repos", "create"]:
                    asked = json.loads(body)
                    name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
                    name = name if "/" in name else f"someone/{name}"
                    hub.private[name] = asked.get("private", asked.get("visibility") == "private")
                    hub.kinds[name] = asked.get("type") or "model"
                    self._reply({"url": f"{hub.url}/{name}", "name": name})
                elif parts[1] == "validate-yaml":
                    self._reply({"warnings": [], "errors": []})
                elif parts[4:5] == ["preupload"]:
                    names = [file["path"] for file in json.loads(body)["files"]]
                    files = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
                    self._reply({"files": files})
                elif parts[4:5] == ["commit"]:
                    name = "/".join(parts[2:4])
                    own = hub.files.setdefault(name, {})
                    for line in filter(None, body.split(b"\n")):
                        row = json.loads(line)
                        if row["key"] == "file":
                            own[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
                    self._reply({"commitUrl": f"{hub.url}/{name}/commit/0", "commitOid": "0" * 40, "success": True})
                else:
                    self._reply({"error": self.path}, 404)

            def do_GET(self) -> None:
                self._reply({"error": "refused"} if status else {"id": "someone/model", "sha": "0" * 40}, status or 200)

            def _reply(self, content: dict[str, Any], code: int = 200) -> None:
                raw = json.dumps(content).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

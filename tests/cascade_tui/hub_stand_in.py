"""As much of the hub's HTTP interface as fetching and pushing files need."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c" * 40


class HubServer(ThreadingHTTPServer):
    """``files`` are the repository's; answers for a name in ``cuts`` break off after so many bytes,
    one after the other.

    ``created`` are the requests that made a repository; ``refusal`` is a part of the paths that are
    refused, the status and the message.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.cuts: dict[str, list[int]] = {}
        self.ranges: list[str] = []
        self.created: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.refusal: tuple[str, int, str] | None = None
        self.objects: dict[str, bytes] = {}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Keep silent about clients that go away."""


@contextmanager
def serving() -> Iterator[HubServer]:
    """A hub on a free port for as long as the block runs."""
    server = HubServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._file(with_body=False)

    def do_GET(self) -> None:
        self._file(with_body=True)

    def do_PUT(self) -> None:
        self.server.objects[self.path.rpartition("/")[2]] = self._body()
        self._json({})

    def do_POST(self) -> None:
        body = self._body()
        self.server.tokens.add(self.headers.get("Authorization", ""))
        refused, status, message = self.server.refusal or (None, 0, "")
        if refused is not None and refused in self.path:
            self._json({"error": message}, status)
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            self.server.created.append(asked)
            owner = asked.get("organization") or "ada"
            self._json({"url": f"{self.server.endpoint}/{owner}/{asked['name']}"})
        elif self.path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            self._json({"files": [_preupload(entry) for entry in json.loads(body)["files"]]})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = [self._upload(entry) for entry in json.loads(body)["objects"]]
            self._json({"transfer": "basic", "objects": objects})
        elif "/commit/" in self.path:
            self._commit(body)
        else:
            self._json({"error": f"no such path {self.path}"}, 404)

    def _upload(self, entry: dict[str, Any]) -> dict[str, Any]:
        href = f"{self.server.endpoint}/lfs/{entry['oid']}"
        return entry | {"actions": {"upload": {"href": href}}}

    def _commit(self, body: bytes) -> None:
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                self.server.files[value["path"]] = self.server.objects[value["oid"]]
        self._json(
            {"commitOid": COMMIT, "commitUrl": f"{self.server.endpoint}/a/b/commit/{COMMIT}"}
        )

    def _file(self, *, with_body: bool) -> None:
        name = self.path.partition("/resolve/main/")[2]
        content = self.server.files.get(name)
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        if asked and with_body:
            self.server.ranges.append(asked)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not with_body:
            return
        cuts = self.server.cuts.get(name)
        cut = cuts.pop(0) if cuts else None
        self.wfile.write(content[start:][:cut])
        if cut is not None:
            self.close_connection = True

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, values: Any, status: int = 200) -> None:
        content = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep silent."""


def _preupload(entry: dict[str, Any]) -> dict[str, Any]:
    is_large = entry["path"].endswith((".safetensors", ".png"))
    return {
        "path": entry["path"],
        "uploadMode": "lfs" if is_large else "regular",
        "shouldIgnore": False,
        "oid": None,
    }

"""A hub of our own: a real HTTP server that speaks as much of Hugging Face's and ModelScope's protocols as a download
of data sets needs, with ETags, redirects to a store of large files, and ranges."""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "jingyaogong/minimind_dataset"
IN_GIT = 50_000  # bytes up to which a file is no "large file", but one of git's own


@dataclass
class Hub:
    """Serves `files` (name -> bytes) until `close`. `requests` are (path, Range header or None), in their order."""

    files: dict[str, bytes]
    claimed_sizes: dict[str, int] = field(default_factory=dict)  # name -> size that the list says instead
    stall_after: int | None = None  # send so many bytes of a file, once, then nothing more until `close`
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    authorised: list[str] = field(default_factory=list)  # paths that were asked for with somebody's token

    def __post_init__(self):
        self.stalled, self.closing = threading.Event(), threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def downloads(self) -> list[tuple[str, str | None]]:
        """(file, Range header) of every answer that sent a file's content."""
        return [(path.split("/")[-1], span) for path, span in self.requests if path.startswith("/store/")]

    # ------------------------------------------------------------ answers

    def answer(self, request) -> None:
        address = urlsplit(request.path)
        path, query = address.path, parse_qs(address.query)
        self.requests.append((path, request.headers.get("Range")))
        if "Authorization" in request.headers:
            self.authorised.append(path)
        if path == f"/api/datasets/{REPO}/revision/main":
            self.send_json(request, {"id": REPO, "sha": COMMIT, "siblings": [self.sibling(n) for n in self.files]})
        elif path.startswith(f"/api/datasets/{REPO}/revision/"):
            self.send(request, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif found := re.fullmatch(rf"/datasets/{REPO}/resolve/{COMMIT}/(.+)", path):
            self.send(request, 302, b"", {"Location": f"{self.url}/store/{found[1]}", "X-Repo-Commit": COMMIT})
        elif path == "/api/v1/datasets/gongjy/minimind_dataset/repo/tree":
            self.send_json(request, {"Code": 200, "Success": True, "Data": {"Files": [
                {"Path": name, "Size": len(content), "Sha256": hashlib.sha256(content).hexdigest(), "Type": "blob"}
                for name, content in self.files.items()
            ]}})  # fmt: skip
        elif path == "/api/v1/datasets/gongjy/minimind_dataset/repo":
            self.send(request, 302, b"", {"Location": f"{self.url}/store/{query['FilePath'][0]}"})
        elif path.startswith("/store/") and path.removeprefix("/store/") in self.files:
            self.send_file(request, path.removeprefix("/store/"))
        else:
            self.send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def sibling(self, name: str) -> dict:
        content = self.files[name]
        size = self.claimed_sizes.get(name, len(content))
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        entry = {"rfilename": name, "size": size, "blobId": blob}
        if size > IN_GIT:
            entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": size, "pointerSize": 134}
        return entry

    def send_file(self, request, name: str) -> None:
        content, span = self.files[name], request.headers.get("Range")
        start = int(re.fullmatch(r"bytes=(\d+)-", span)[1]) if span else 0
        part = content[start:]
        request.send_response(206 if span else 200)
        request.send_header("Content-Length", str(len(part)))
        request.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        request.send_header("Accept-Ranges", "bytes")
        if span:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.end_headers()
        if self.stall_after is None:
            request.wfile.write(part)
            return
        if not self.stalled.is_set():
            request.wfile.write(part[: self.stall_after])
            request.wfile.flush()
            self.stalled.set()
        self.closing.wait()

    def send_json(self, request, content: dict) -> None:
        self.send(request, 200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def send(self, request, status: int, body: bytes, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

"""The Hub, over loopback: what huggingface_hub's own client asks of it to read and to write a repository."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "1" * 40
KINDS = ("datasets", "spaces")
"""What a repository may be beside a model: its name begins so."""
SERVERS_TOKEN = "hf_secret_of_the_server"
"""What the process under test has in its environment, and must send nowhere."""

PAGE = b"<!DOCTYPE html><title>Sign in to this network</title>"


class LoopbackHub(ThreadingHTTPServer):
    """repositories: name -> {file: content}, or an error (status, code). A data set's name begins with `datasets/`,
    a Space's with `spaces/`; of a revision other than main it ends with `@revision`.
    facts: name -> what its page says beside (private, gated).
    writers: token -> the owner whose repositories it may write. silent: parts of paths that never get an answer.
    dripping: parts of paths whose answers come byte by byte. pages: parts of paths that a web page answers, status 200.
    lies: (name, file) -> what is sent in its place. told: (name, file) -> what is said of it, beside the truth.
    requests: (path, headers) of all that was asked. heads: name -> its last commit. squashed: names whose history was
    made one commit. large: name -> {digest: file} of all that Git-LFS holds of it, old versions, too. ranges: whether parts of files are given; most: bytes after which
    a connection ends.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.facts, self.writers = {}, {}, {}
        self.silent, self.requests, self.commits, self.stored = [], [], [], {}
        self.dripping, self.pages, self.lies, self.told = [], [], {}, {}
        self.heads, self.squashed, self.large = {}, [], {}
        self.closing = threading.Event()
        self.ranges, self.most = True, None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def revision(self, name: str, revision: str) -> tuple[str, dict | tuple]:
        """(commit, files or error) of a repository at a branch or commit."""
        branches = {n.partition("@")[2] or "main": n for n in self.repositories if n.partition("@")[0] == name}
        if not branches:
            return "", (404, "RepoNotFound")
        commits = {b: self.heads.get(name, COMMIT) if b == "main" else commit_of(b) for b in branches}
        found = next((b for b in branches if revision in (b, commits[b])), None)
        return (commits[found], self.repositories[branches[found]]) if found else ("", (404, "RevisionNotFound"))

    def moved(self, name: str) -> str:
        """A new commit at the head of a repository."""
        self.heads[name] = hashlib.sha1(f"{name} {self.heads.get(name)}".encode()).hexdigest()
        return self.heads[name]

    def headers_sent(self) -> str:
        return str([headers for _, headers in self.requests])


@contextmanager
def serving() -> Iterator[LoopbackHub]:
    server = LoopbackHub()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()


@contextmanager
def spoken_to(address: str, home, patch) -> Iterator[None]:
    """This process takes `address` for the Hub, `home` for its cache, and holds a token of its own."""
    from huggingface_hub import close_session, constants

    patch.setattr(constants, "ENDPOINT", address)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setattr(constants, "HF_HUB_CACHE", str(home))
    patch.setenv("HF_TOKEN", SERVERS_TOKEN)
    patch.setenv("NO_PROXY", "*")
    close_session()
    yield
    close_session()


def commit_of(branch: str) -> str:
    return COMMIT if branch == "main" else hashlib.sha1(branch.encode()).hexdigest()


def blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """One request. What reads goes to `_read`, what writes to the method of its endpoint."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self._heard()
        is_api = path.startswith("api/")
        rest = path.removeprefix("api/").removeprefix("models/").split("/")
        kind = [rest.pop(0)] if rest[0] in KINDS else []
        name, rest = "/".join(kind + rest[:2]), rest[2:]
        asked = rest.pop(0) if rest else "revision"  # revision, tree or resolve
        if any(part in path for part in self.server.pages):
            return self._send(200, PAGE, **{"Content-Type": "text/html"})
        revision = "/".join(rest) if asked == "revision" else rest.pop(0) if rest else ""
        commit, files = self.server.revision(name, revision or "main")
        if self.server.facts.get(name, {}).get("private") and not self._may_write(name):
            files = (401, "RepoNotFound")
        if isinstance(files, tuple):
            return self._refuse(*files)
        if not is_api:
            return self._file(name, commit, files, "/".join(rest))
        if asked == "lfs-files":
            return self._json([_large(digest, file) for digest, file in self.server.large.get(name, {}).items()])
        if asked == "tree":
            return self._json([_entry(file, content) for file, content in files.items()])
        siblings = [_sibling(f, content) | self.server.told.get((name, f), {}) for f, content in files.items()]
        told = {"id": "/".join(name.split("/")[-2:]), "sha": commit, "siblings": siblings, "tags": [], "private": False}
        return self._json(told | self.server.facts.get(name, {}))

    do_HEAD = do_GET

    def do_POST(self):
        path = self._heard()
        if path == "api/validate-yaml":
            return self._json({})
        if path == "api/repos/create":
            return self._create(json.loads(self.body))
        name = _named(path.removeprefix("api/"))
        if not self._may_write(name):
            return self._refuse(*self._why(name))
        if "/preupload/" in path:
            return self._json({"files": [_mode(file) for file in json.loads(self.body)["files"]]})
        if path.endswith("/objects/batch"):
            return self._json({"objects": [self._action(o) for o in json.loads(self.body)["objects"]]})
        if "/super-squash/" in path:
            self.server.squashed.append(name)
            return self._json({"commit": self.server.moved(name)})
        if path.endswith("/lfs-files/batch"):
            for digest in json.loads(self.body)["deletions"]["sha"]:
                del self.server.large[name][digest]
            return self._json({})
        return self._commit(name, [json.loads(line) for line in self.body.splitlines()])

    def do_PUT(self):
        path = self._heard()
        self.server.stored[path.removeprefix("lfs/")] = self.body
        self._send(200, b"")

    def _heard(self) -> str:
        """The path of this request, which is written down; its content is in `body`."""
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        path = unquote(urlsplit(self.path).path).strip("/")
        if any(part in path for part in self.server.silent):
            self.server.closing.wait(60)
        # a revision may hold slashes: refs/convert/parquet
        return unquote(path).replace("refs/convert/parquet", commit_of("refs/convert/parquet"))

    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _may_write(self, name: str) -> bool:
        return self.server.writers.get(self._token()) == name.split("/")[-2]

    def _why(self, name: str) -> tuple[int, str]:
        return (403, "") if self._token() in self.server.writers else (401, "")

    def _create(self, asked: dict):
        kind = f"{asked['type']}s/" if asked.get("type", "model") != "model" else ""
        name = f"{kind}{asked['organization']}/{asked['name']}"
        if not self._may_write(name):
            return self._refuse(*self._why(name))
        if name in self.server.repositories:
            return self._send(409, json.dumps({"url": f"{self.server.address}/{name}"}).encode())
        self.server.repositories[name] = {}
        self.server.facts[name] = {"private": asked["visibility"] == "private"}
        return self._json({"url": f"{self.server.address}/{name}"})

    def _action(self, wanted: dict) -> dict:
        return wanted | {"actions": {"upload": {"href": f"{self.server.address}/lfs/{wanted['oid']}"}}}

    def _commit(self, name: str, lines: list[dict]):
        files = self.server.repositories[name]
        if isinstance(files, tuple):
            return self._refuse(*files)
        parent = next(line["value"] for line in lines if line["key"] == "header").get("parentCommit")
        if parent and parent != self.server.heads.get(name, COMMIT):
            return self._refuse(412, "")
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.stored[value["oid"]]
                self.server.large.setdefault(name, {})[value["oid"]] = value["path"]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.server.commits.append((name, [line["key"] for line in lines]))
        commit = self.server.moved(name)
        return self._json({"commitUrl": f"{self.server.address}/{name}/commit/{commit}", "commitOid": commit})

    def _file(self, name: str, commit: str, files: dict, file: str):
        if self.server.facts.get(name, {}).get("gated"):
            return self._refuse(401, "GatedRepo")
        if file not in files:
            return self._refuse(404, "EntryNotFound")
        content, status = self.server.lies.get((name, file), files[file]), 200
        headers = {"ETag": f'"{blob(content)}"', "X-Repo-Commit": commit, "X-Linked-Size": len(content)}
        if self.headers.get("Range") and self.server.ranges:
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            content, status = content[int(first) : int(last or len(content)) + 1], 206
        return self._send(status, content, **headers)

    def _refuse(self, status: int, code: str):
        wait = {"Retry-After": 30} if status == 429 else {}
        return self._send(status, b"{}", **({"X-Error-Code": code} if code else {}), **wait)

    def _json(self, answer):
        self._send(200, json.dumps(answer).encode(), **{"Content-Type": "application/json"})

    def _send(self, status, content, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            most = self.server.most
            if any(part in self.path for part in self.server.dripping):
                return self._drip(content)
            self.wfile.write(content[:most])
            self.close_connection = self.close_connection or (most is not None and most < len(content))

    def _drip(self, content: bytes):
        for value in content:
            if self.server.closing.wait(0.2):
                return
            try:
                self.wfile.write(bytes([value]))
            except OSError:  # nobody listens any more
                return

    def log_message(self, *args):
        pass


def _sibling(file: str, content: bytes) -> dict:
    """What `?blobs=true` says of a file; weights lie in Git-LFS."""
    told = {"rfilename": file, "size": len(content), "blobId": blob(content)}
    if file.endswith(".safetensors"):
        told["lfs"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "pointerSize": 134}
    return told


def _named(path: str) -> str:
    """The name of the repository that a path begins with."""
    parts = path.removeprefix("models/").split("/")
    return "/".join(parts[: 3 if parts[0] in KINDS else 2]).removesuffix(".git")


def _entry(file: str, content: bytes) -> dict:
    return {"type": "file", "path": file, "size": len(content), "oid": blob(content)}


def _large(digest: str, file: str) -> dict:
    """A file of Git-LFS, as the Hub lists it."""
    return {"fileOid": digest, "filename": file, "oid": digest[:40], "pushedAt": "2026-01-01T00:00:00.000Z", "size": 1}


def _mode(file: dict) -> dict:
    large = file["path"].endswith(".safetensors")
    return {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}

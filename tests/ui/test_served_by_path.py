"""Nothing that the data folder keeps, and no file of the project or the machine, is served by its path."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import gradio as gr
import pytest

from sac.ui.serving.launch import Serving, serve

ROOT = Path(__file__).parents[2]
PRIVATE = b"nobody's business"
KEPT = ("cases/cases.db", "cases/cases.db-wal", "secret", "jobs/one/set/image.png", "jobs/one/job.json", "users")
GRADIOS = (
    "/docs", "/redoc", "/openapi.json", "/monitoring", "/monitoring/summary", "/monitoring/key", "/gradio_api/token",
    "/gradio_api/dev/reload", "/gradio_api/vibe-code", "/gradio_api/vibe-code/", "/gradio_api/deep_link?session_hash=a",
    "/gradio_api/runs", "/gradio_api/run-history/buckets", "/gradio_api/profiling/traces",
    "/gradio_api/proxy=https://ada-cells.hf.space/", "/gradio_api/proxy=http://127.0.0.1/", "/gradio_api/file=",
    "/gradio_api/file=http://127.0.0.1/", "/gradio_api/file=https://example.org/", "/gradio_api/file=HTTP://example.org/",
    "/gradio_api/file=file:///etc/passwd", "/gradio_api/custom_component/x/client/component/index.js",
    "/gradio_api/stream/a/b/1/playlist.m3u8", "/gradio_api/mcp/",
)  # fmt: skip
"""What Gradio has besides a page, and what would have the server fetch an address."""


def raw(address: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Status and body for a path that is sent as it stands: no client tidies it."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def ways(file: Path, folder: Path) -> list[str]:
    """Paths that could lead a careless server to a file: as it is, encoded, from a served folder, as Windows has it."""
    below, up = folder / "visitors", "../" * 12
    away = os.path.relpath(file, below)
    names = [
        f"{file}", f"/{file}", f"{file}/", f"{file}/.", f"{file}\0.png", f"{below}/{away}", f"{below}/x/../{away}",
        f"{below}/./{away}", f"{up}{str(file)[1:]}", away, f"C:{file}", f"\\\\?\\{file}", str(file).replace("/", "\\"),
        f"~{file}", f"file://{file}", str(file).upper(), f"{below}/link/{file.name}",
    ]  # fmt: skip
    encoded = [quote(name, safe="/") for name in names]
    encoded += [quote(str(file), safe=""), quote(quote(str(file), safe=""), safe=""), str(file).replace("/", "%2f")]
    encoded += [quote(name, safe="").replace(".", "%2e") for name in names]
    routes = ("/gradio_api/file=", "/gradio_api/file/", "/file=", "/static/", "/assets/", "/svelte/", "/")
    return [route + name for route in routes for name in encoded]


def filled(folder: Path) -> list[Path]:
    """A data folder with everything that is private in it, and a link out of the folder that is served."""
    files = [folder / name for name in KEPT]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(PRIVATE)
    (folder / "visitors").mkdir(exist_ok=True)
    for file in files:
        (folder / "visitors" / "link").unlink(missing_ok=True)
        (folder / "visitors" / "link").symlink_to(file.parent)
    (folder / "visitors" / "shortcut").symlink_to(folder / "cases" / "cases.db")
    return files


def check(address: str, folder: Path, files: list[Path]) -> None:
    private = [PRIVATE, *(file.read_bytes() for file in (ROOT / "app.py", Path("/etc/passwd")) if file.exists())]
    asked = [way for file in [*files, ROOT / "app.py", Path("/etc/passwd")] for way in ways(file, folder)]
    asked += [f"/gradio_api/file={folder}/visitors/{name}" for name in ("shortcut", "link/cases.db", "")]
    for path in asked:
        _, body = raw(address, path)
        assert not any(secret[:200] in body for secret in private), path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(address, data folder, its private files) of a small page without logins, behind the real door."""
    folder, patch = tmp_path_factory.mktemp("kept"), pytest.MonkeyPatch()
    files = filled(folder)
    patch.setenv("SAC_DATA_DIR", str(folder))
    patch.setenv("GRADIO_TEMP_DIR", str(folder / "visitors"))
    with gr.Blocks(analytics_enabled=False) as page:
        gr.File()
    yield serve(page, Serving()), folder, files
    page.close(verbose=False)
    patch.undo()


def upload(address: str, name: str) -> tuple[int, bytes]:
    body = (
        f'--cut\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        "Content-Type: image/svg+xml\r\n\r\nmine\r\n--cut--\r\n"
    ).encode()
    return raw(address, "/gradio_api/upload", "POST", body, **{"Content-Type": "multipart/form-data; boundary=cut"})


def test_what_a_visitor_sent_is_served_and_nothing_beside_it(small):
    address, folder, files = small
    status, sent = upload(address, "mine.svg")
    path = sent.decode().strip('[]"')
    assert status == 200 and raw(address, f"/gradio_api/file={path}") == (200, b"mine")
    check(address, folder, files)


@pytest.mark.parametrize(
    "name", ["../../secret", "..\\\\..\\\\secret", "/etc/cron.d/x", "..", ".", "a/../../../secret", "%2e%2e/secret"]
)
def test_an_upload_stays_in_its_folder(small, name):
    address, folder, files = small
    status, sent = upload(address, name)
    assert status in (200, 400) and all(file.read_bytes() == PRIVATE for file in files)
    if status == 200:
        assert Path(sent.decode().strip('[]"')).resolve().is_relative_to(folder / "visitors")


@pytest.mark.parametrize("path", GRADIOS)
def test_what_the_page_does_not_use_is_closed(small, path):
    assert raw(small[0], path)[0] in (403, 404)


@pytest.mark.parametrize(
    "path", ["vibe-edit", "vibe-code", "undo-vibe-edit", "vibe-starter-queries", "process_recording"]
)
def test_what_could_write_is_closed(small, path):
    assert raw(small[0], f"/gradio_api/{path}", "POST", b"{}", **{"Content-Type": "application/json"})[0] == 404


def test_the_real_page_serves_nothing_private_by_path(tmp_path):
    files = filled(tmp_path)
    command = [sys.executable, "app.py", "--data-dir", str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            address = next(line for line in server.stdout if "http://" in line).split()[-1]
            check(address, tmp_path, files)
            assert {raw(address, path)[0] for path in GRADIOS} <= {403, 404}
        finally:
            server.terminate()

"""Who gets in by the door, over real HTTP, to a small page behind the real one."""

from __future__ import annotations

import json
import secrets
import socket
import time

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AuthenticationError
from starlette._utils import get_route_path
from starlette.requests import Request
from starlette.testclient import TestClient

from sac.logins import Cost, Hashed, write
from sac.ui.serving.door import Door
from sac.ui.serving.guests import Pace, holds_file, members_only
from sac.ui.serving.headers import LOOPBACK, Site, is_foreign, path_of
from sac.ui.serving.launch import Serving, serve
from sac.ui.serving.sessions import guest
from sac.ui.serving.tabs import MOST, MOST_OF_GUEST, Tabs
from sac.ui.visitor import owner_of

LINK, OTHER, GONE = ("link-" + letter * 27 for letter in "abc")
WITHDRAWN = {GONE}
COOKIE = "sac-links"
JSON = {"content-type": "application/json"}


def small_page() -> gr.Blocks:
    """Its functions by number: 0 who asks (private), 1 an endpoint, 2 for members, 3 takes a file (private)."""
    with gr.Blocks(analytics_enabled=False) as page:
        text, file, button = gr.Textbox(), gr.File(), gr.Button()

        def who(request: gr.Request) -> str:
            return owner_of("", request)

        button.click(who, None, text, api_visibility="private")
        button.click(lambda word: word * 2, text, text, api_name="twice")
        button.click(members_only(lambda: "learnt"), None, text, api_visibility="private")
        button.click(lambda path: str(path), file, text, api_visibility="private")
    return page


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(address of a page with logins, of one that is open to all)."""
    folder, patch = tmp_path_factory.mktemp("served"), pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(folder / "visitors"))
    patch.setenv("SAC_DATA_DIR", str(folder))
    for name in ("SPACE_ID", "SPACE_HOST", "SAC_HOSTS", "GRADIO_SERVER_NAME"):
        patch.delenv(name, raising=False)
    write(folder / "names", "ada", Hashed.of("lovelace1", Cost(n=2**10, r=8, p=1)))
    pages = small_page(), small_page()

    def is_link(token: str) -> bool:
        return token in (LINK, OTHER, GONE) and token not in WITHDRAWN

    yield (
        serve(pages[0], Serving(port=free_port(), auth_file=folder / "names"), is_link),
        serve(pages[1], Serving(port=free_port())),
    )
    for page in pages:
        page.close(verbose=False)
    patch.undo()


@pytest.fixture
def door(served):
    """Somebody before the page with logins, with cookies of their own."""
    with httpx.Client(base_url=served[0]) as somebody:
        somebody.tab = secrets.token_hex(4)
        yield somebody


@pytest.fixture
def open_door(served):
    with httpx.Client(base_url=served[1]) as somebody:
        yield somebody


@pytest.fixture
def member(door):
    assert door.post("/login", data={"username": "ada", "password": "lovelace1"}).json() == {"success": True}
    return door


@pytest.fixture
def visitor(door):
    """A guest, with a link."""
    assert door.get("/", params={"case": LINK}).status_code == 200
    return door


def joined(client, number, data=(), **query) -> httpx.Response:
    event = {"data": list(data), "fn_index": number, "session_hash": client.tab}
    return client.post("/gradio_api/queue/join", json=event, params=query)


def ran(client, number, data=(), **query):
    """What an event of the page answers."""
    assert joined(client, number, data, **query).status_code == 200
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": client.tab}) as lines:
        for line in lines.iter_lines():
            said = json.loads(line.removeprefix("data: ")) if line else {}
            if said.get("msg") == "process_completed":
                return said["output"]["data"][0]


def test_without_a_login_there_is_the_login_page_and_nothing_else(door):
    asked = door.get("/")
    assert asked.status_code == 401 and 'name="password"' in asked.text and "gradio_config" not in asked.text
    assert "http" not in asked.text.replace("<!doctype html>", "")  # nothing comes from elsewhere
    for path in ("/config", "/gradio_api/info", "/gradio_api/user", "/assets/index.js", "/theme.css", "/nothing"):
        assert door.get(path).status_code == 401, path
    assert door.post("/gradio_api/upload", files={"files": b"x"}).status_code == 401
    assert joined(door, 0).status_code == door.post("/gradio_api/run/twice", json={"data": ["a"]}).status_code == 401
    assert door.get("/robots.txt").text.endswith("Disallow: /")


def test_a_member_logs_in_works_and_logs_out(member):
    assert member.get("/").status_code == 200 and ran(member, 0) == "login:ada" and ran(member, 2) == "learnt"
    token = member.cookies["sac-login"]
    assert member.get("/logout").status_code == 303 and "sac-login" not in member.cookies
    assert member.get("/", headers={"cookie": f"sac-login={token}"}).status_code == 401


def test_a_session_is_for_the_browser_alone(door):
    answer = door.post("/login", data={"username": "ada", "password": "lovelace1"}, headers={"accept": "text/html"})
    assert answer.status_code == 303 and answer.headers["location"] == "./"
    _, *facts = answer.headers["set-cookie"].split("; ")
    assert facts == ["Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=604800"]
    told = {"x-forwarded-proto": "https"}
    answer = door.post("/login", data={"username": "ada", "password": "lovelace1"}, headers=told)
    assert "; Secure" in answer.headers["set-cookie"]


def test_gradios_client_logs_in(served):
    client = Client(served[0], auth=("ada", "lovelace1"), verbose=False)
    assert client.predict("ab", api_name="/twice") == "abab"
    with pytest.raises(AuthenticationError):
        Client(served[0], verbose=False)
    assert Client(served[1], verbose=False).predict("ab", api_name="/twice") == "abab"


def test_wrong_passwords_are_told_alike_and_soon_wait(door):
    def tried(name, password):
        return door.post("/login", data={"username": name, "password": password}, headers={"accept": "text/html"})

    first, unknown = tried("eve", "lovelace1"), tried("<b>", "")
    assert first.status_code == unknown.status_code == 401 and first.text == unknown.text
    for _ in range(4):
        tried("eve", "guess")
    stopped = tried("eve", "guess")
    assert stopped.status_code == 429 and int(stopped.headers["retry-after"]) in (29, 30, 31)
    assert "try again in" in stopped.text and "wrong." not in stopped.text
    assert door.post("/login", content=b"username=ada&password=" + b"x" * 10_000).status_code == 401


def test_a_forwarded_address_is_not_believed(door):
    for number in range(5):
        sent = {"x-forwarded-for": f"203.0.113.{number}"}
        door.post("/login", data={"username": "bob", "password": "guess"}, headers=sent)
    assert door.post("/login", data={"username": "bob", "password": "guess"}).status_code == 429


def test_a_guest_looks_at_the_page(visitor):
    assert visitor.get("/config").json()["username"] == guest(LINK)
    assert ran(visitor, 0) == guest(LINK)
    assert LINK not in visitor.get("/config").text


def test_a_guests_cookie_is_for_the_browser_alone(door):
    told = door.get("/", params={"case": LINK}).headers["set-cookie"]
    assert told == f"{COOKIE}={LINK}; Path=/; HttpOnly; SameSite=Lax"
    assert door.get("/", params={"case": OTHER}).headers["set-cookie"].startswith(f"{COOKIE}={OTHER}.{LINK};")


def test_two_tabs_with_two_links_are_two_guests(visitor):
    visitor.get("/", params={"case": OTHER})
    assert ran(visitor, 0, case=LINK) == guest(LINK) and ran(visitor, 0, case=OTHER) == guest(OTHER)
    assert joined(visitor, 0, case="x" * 32).status_code == 401


def test_a_withdrawn_link_ends_at_once(door):
    WITHDRAWN.discard(GONE)
    assert door.get("/", params={"case": GONE}).status_code == door.get("/config").status_code == 200
    WITHDRAWN.add(GONE)
    time.sleep(1.05)
    assert door.get("/config").status_code == joined(door, 0).status_code == 401
    gone, never = door.get("/", params={"case": GONE}), door.get("/", params={"case": "n" * 32})
    assert gone.status_code == never.status_code == 401 and gone.text == never.text and "withdrawn" in gone.text


def test_a_guest_brings_nothing_and_uses_no_endpoint(visitor):
    assert visitor.post("/gradio_api/upload", files={"files": b"x"}).status_code == 403
    for path in ("run/twice", "api/twice", "call/twice", "call/v2/twice", "component_server"):
        assert visitor.post(f"/gradio_api/{path}", json={"data": ["a"]}).status_code == 403, path
    for path in ("/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/queue/status"):
        assert visitor.get(path).status_code == 403, path
    assert [joined(visitor, number).status_code for number in (1, 2, 99, -1)] == [403] * 4
    file = {"path": "http://example.org/a.png", "meta": {"_type": "gradio.FileData"}}
    assert joined(visitor, 3, [file]).status_code == joined(visitor, 3, [[{"deep": file}]]).status_code == 403
    assert ran(visitor, 3, [None]) == "None"


def test_a_tab_is_its_visitors_alone(served, member):
    """Also for who knows the name that Gradio gave it."""
    assert ran(member, 0) == "login:ada"
    with httpx.Client(base_url=served[0]) as other:
        other.get("/", params={"case": LINK})
        other.tab = member.tab
        assert joined(other, 0).status_code == 403
        event = json.dumps({"fn_index": 0, "data": [], "session_hash": member.tab})
        twice = event.replace("{", '{"session_hash": "mine", ', 1)
        assert other.post("/gradio_api/queue/join", content=twice, headers=JSON).status_code == 403
        assert other.post("/gradio_api/cancel", content=event, headers=JSON).status_code == 403
        assert other.get("/gradio_api/queue/data", params={"session_hash": member.tab}).status_code == 403
        assert other.get(f"/gradio_api/heartbeat/{member.tab}").status_code == 403
        other.tab = "an other"
        assert ran(other, 0) == guest(LINK)
    assert ran(member, 0) == "login:ada"


def test_a_closed_tab_is_nobodys():
    tabs = Tabs()
    assert tabs.claim("a", ["ada"], False) == 200 and tabs.claim("a", ["bob"], False) == 403
    assert tabs.claim("a", ["bob", "ada"], False) == 200
    tabs.release("a")
    tabs.release("a")
    assert tabs.claim("a", ["bob"], False) == 200
    assert [tabs.claim(str(n), ["link:1"], True) for n in range(MOST_OF_GUEST + 1)] == [200] * MOST_OF_GUEST + [429]
    tabs.release("3")
    assert tabs.claim("new", ["link:1"], True) == 200 and tabs.claim("x", ["link:2"], True) == 200
    for n in range(MOST + 1):
        assert tabs.claim(f"tab {n}", ["eve"], False) == 200
    assert tabs.claim("tab 0", ["mallory"], False) == 200 and tabs.claim("tab 1", ["mallory"], False) == 403
    assert tabs.claim("a", ["ada"], False) == 403  # bob's, as before


def test_a_guest_may_work_and_not_flood():
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert [pace.allows("link:1", True) for _ in range(5)] == [True] * 4 + [False]
    assert pace.allows("link:2", True) and pace.allows("link:1", False)
    now[0] = 5.0
    assert pace.allows("link:1", True) and not pace.allows("link:1", True)
    now[0] = 1000.0
    assert [pace.allows("link:1", True) for _ in range(5)] == [True] * 4 + [False]


def test_what_is_too_much_at_once_is_said(visitor):
    statuses = [joined(visitor, 0).status_code for _ in range(70)]
    assert statuses[:20] == [200] * 20 and statuses[-1] == 429
    assert joined(visitor, 0).json()["detail"] == "That was too much at once for a link; wait a moment"


@pytest.mark.parametrize(
    "body, status",
    [
        (b"", 400), (b"[]", 403), (b"[" * 100_000, 400), (b'{"fn_index": "1"}', 403), (b'{"fn_index": true}', 403),
        (b'{"fn_index": 0, "fn_index": 1}', 403), (b" " * (5 * 2**20), 413), (b"\xff\xfe", 400),
    ],
)  # fmt: skip
def test_an_odd_event_of_a_guest_is_refused(visitor, body, status):
    answer = visitor.post("/gradio_api/queue/join", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status


def test_a_file_is_seen_however_deep():
    assert holds_file({"a": [{"b": {"path": "x"}}]}) and not holds_file({"path": [[1, 2]], "a": ["path"], "b": None})
    nested = []
    for _ in range(60):
        nested = [nested]
    assert holds_file(nested)


SIDE = {"origin": "http://evil.example"}


@pytest.mark.parametrize(
    "headers",
    [
        SIDE, {"origin": "null"}, {"origin": "http://127.0.0.1:1"}, {"origin": "http://[bad"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
    ],
)  # fmt: skip
def test_another_sites_page_gets_nothing(open_door, headers):
    for path in ("/", "/config", "/theme.css"):
        answer = open_door.get(path, headers=headers)
        assert answer.status_code == 403 and not [name for name in answer.headers if "allow" in name]
    assert open_door.post("/gradio_api/upload", files={"files": b"x"}, headers=headers).status_code == 403


def test_another_sites_question_whether_it_may_is_answered_no(open_door):
    asked = {**SIDE, "access-control-request-method": "POST"}
    answer = open_door.options("/gradio_api/queue/join", headers=asked)
    assert answer.status_code == 403 and not [name for name in answer.headers if "allow" in name]


def test_another_sites_page_may_link_here(open_door):
    coming = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert open_door.get("/", headers=coming).status_code == 200
    assert open_door.get("/logout", headers=coming).status_code == 403
    assert open_door.post("/", headers=coming).status_code == 403


def test_the_pages_own_requests_pass(open_door):
    own = {"origin": str(open_door.base_url).rstrip("/"), "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
    assert open_door.get("/config", headers=own).status_code == 200
    behind = {"origin": "https://cells.example", "x-forwarded-host": "cells.example"}
    assert open_door.get("/config", headers=behind).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "0.0.0.0"]
)
def test_a_page_of_this_machine_answers_to_no_other_name(open_door, host):
    answer = open_door.get("/", headers={"host": host})
    assert answer.status_code == 400 and ("localhost only" in answer.text or not host)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "127.0.0.1:1", "[::1]:7860"])
def test_a_page_of_this_machine_answers_to_its_own(open_door, host):
    assert open_door.get("/gradio_api/startup-events", headers={"host": host}).status_code == 200


def test_which_names_a_page_answers_to(monkeypatch, tmp_path):
    for name in ("SPACE_ID", "SPACE_HOST", "SAC_HOSTS", "GRADIO_SERVER_NAME"):
        monkeypatch.delenv(name, raising=False)
    assert Serving().site == Serving("localhost").site == Serving("[::1]").site == Site(LOOPBACK)
    assert Serving("0.0.0.0").site.hosts is Serving(share=True, auth_file=tmp_path).site.hosts is None
    monkeypatch.setenv("SAC_HOSTS", "cells.example, 10.0.0.5:80")
    assert Serving().site.hosts == LOOPBACK | Serving().site.public == LOOPBACK | {"cells.example", "10.0.0.5"}
    monkeypatch.delenv("SAC_HOSTS")
    monkeypatch.setenv("SPACE_ID", "ada/cells")
    monkeypatch.setenv("SPACE_HOST", "ada-cells.hf.space")
    assert Serving().site == Site(None, True, frozenset({"ada-cells.hf.space"}))


def test_a_page_knows_itself_by_the_name_that_visitors_use():
    """Its proxy asks for it under another."""
    site = Site(None, True, frozenset({"ada-cells.hf.space"}))
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b""}

    def foreign(origin: bytes) -> bool:
        return is_foreign(Request({**scope, "headers": [(b"host", b"10.0.0.1:7860"), (b"origin", origin)]}), site)

    assert not foreign(b"https://ada-cells.hf.space") and not foreign(b"http://10.0.0.1:7860")
    assert foreign(b"https://eve-cells.hf.space") and foreign(b"null") and foreign(b"")


def test_every_answer_carries_the_headers(door, member, open_door):
    answers = [
        door.get("/gradio_api/info"), open_door.get("/"), open_door.get("/nothing"), open_door.get("/", headers=SIDE),
        open_door.get("/", headers={"host": "evil"}), open_door.get("/gradio_api/file=/etc/passwd"),
    ]  # fmt: skip
    for answer in answers:
        told = answer.headers
        assert told["referrer-policy"] == "same-origin" and told["x-content-type-options"] == "nosniff"
        assert told["x-frame-options"] == "SAMEORIGIN" and told["cache-control"] == "no-store"
        assert told["content-security-policy"].endswith("; frame-ancestors 'self'")
        assert "camera=()" in told["permissions-policy"] and told["cross-origin-resource-policy"] == "same-origin"
    assert "sandbox" in answers[-1].headers["content-security-policy"]
    assert "cache-control" not in open_door.get("/static/img/logo.svg").headers


def test_on_a_space_the_hub_may_frame_the_page():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    told = TestClient(Door(app, Site(None, space=True), None, {}.get)).get("/", headers={"host": "a.hf.space"}).headers
    assert "frame-ancestors 'self' https://huggingface.co" in told["content-security-policy"]
    assert "x-frame-options" not in told


def test_a_path_is_the_one_that_is_answered():
    """GRADIO_ROOT_PATH's prefix opens no way around."""
    scope = {"type": "http", "method": "GET", "headers": [], "query_string": b""}
    asked = [
        path_of(Request({**scope, "path": path, "root_path": "/cells"})) for path in ("/cells/a", "/cells", "/cellsa")
    ]
    assert (
        asked == [get_route_path({"path": "/cells/a", "root_path": "/cells"}), "/", "/cellsa"] == ["/a", "/", "/cellsa"]
    )

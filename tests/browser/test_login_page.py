"""The login page and the rules for scripts, in a real browser: a small page that draws, runs a script and uploads."""

import gradio as gr
import pytest

from sac.logins import Cost, Hashed, write
from sac.ui.serving.launch import Serving, serve

LINK = "link-" + "a" * 27
DRAWS = """
const picture = new Image()
picture.onload = () => { element.querySelector('b').textContent = 'drawn' }
fetch('data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==').then(r => r.blob())
  .then(blob => { picture.src = URL.createObjectURL(blob) })
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """Where a small page with logins is served."""
    folder, patch = tmp_path_factory.mktemp("guarded"), pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(folder / "visitors"))
    write(folder / "users", "ada", Hashed.of("lovelace1", Cost(n=2**10, r=8, p=1)))
    with gr.Blocks(analytics_enabled=False) as page:
        gr.HTML(value={}, html_template="<b id='drawn'></b>", js_on_load=DRAWS)
        said, file = gr.Textbox(elem_id="said"), gr.File(elem_id="file", type="filepath")
        file.upload(lambda path: "came", file, said, api_visibility="private")
    yield serve(page, Serving(auth_file=folder / "users"), LINK.__eq__)
    page.close(verbose=False)
    patch.undo()


@pytest.fixture
def tab(browser, guarded):
    """A tab that has gone nowhere yet, and what its console complained of."""
    context = browser.new_context()
    opened, wrong = context.new_page(), []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: wrong.append(request.url) if is_outside(request.url, guarded) else None)
    yield opened, wrong
    context.close()


def is_outside(url, address):
    return url.startswith("http") and not url.startswith(address)


def test_one_logs_in_and_the_page_works_within_its_rules(tab, guarded):
    page, wrong = tab
    assert page.goto(guarded).status == 401
    wrong.clear()  # Chromium calls a 401 an error
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", "lovelace1")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#drawn')?.textContent == 'drawn'")
    assert page.url.rstrip("/") == guarded
    page.set_input_files("#file input", {"name": "a.png", "mimeType": "image/png", "buffer": b"picture"})
    page.wait_for_function("document.querySelector('#said textarea, #said input').value == 'came'")
    assert page.evaluate("document.cookie") == "" and wrong == []
    refused = page.evaluate("fetch('https://example.org/').then(() => 'sent', () => 'refused')")
    assert refused == "refused" and "Content Security Policy" in " ".join(wrong)


def test_a_wrong_password_is_said_and_a_link_lets_in(tab, guarded):
    page, wrong = tab
    page.goto(guarded)
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", "guess")
    page.click("button")
    assert page.inner_text("[role=alert]") == "Name or password is wrong."
    wrong.clear()
    for _ in range(2):  # a reload works, too
        page.goto(f"{guarded}/?case={LINK}")
        page.wait_for_function("document.querySelector('#drawn')?.textContent == 'drawn'")
    assert wrong == []

"""Cases in a real Chromium: saved, shared by links, opened on another machine, commented, edited by two, deleted."""

import re

from browser.conftest import Stage, started
from playwright.sync_api import expect

from sac.logins import Cost, Hashed, write

SEEN = "#sac-canvas[data-case={level}][data-version='{version}']"


def seen(stage, level, version):
    """Waits until the canvas shows a case at a level and in a version."""
    stage.tab.wait_for_selector(SEEN.format(level=level, version=version), timeout=30_000)
    return stage


def saved(open_page):
    """A tab with an example that was saved as a case, the panel open."""
    stage = open_page().example()
    stage.tab.click("#sac-save")
    seen(stage, "own", 1)
    stage.tab.get_by_text("Case: save and share").click()
    return stage


def link(stage, words):
    """A new link, To look, or To look and edit."""
    tab, before = stage.tab, stage.tab.locator("#sac-links tr").count()
    tab.locator("#sac-link-level").get_by_text(words, exact=True).click()
    tab.click("#sac-link-make")
    tab.wait_for_function(f"document.querySelectorAll('#sac-links tr').length > {before}")
    field = tab.locator("#sac-link-url").locator("input, textarea")
    field.wait_for()
    tab.wait_for_function(
        "old => document.querySelector('#sac-link-url :is(input, textarea)').value !== old", arg=stage.old
    )
    stage.old = field.input_value()
    return stage.old


def revoke(stage, words):
    """Takes back the link that the panel calls so."""
    stage.tab.locator("#sac-link-choice input").click()
    stage.tab.get_by_role("option", name=words).click()
    stage.tab.click("#sac-link-revoke")


def comment(stage, text):
    """Pins a comment to the middle of the picture."""
    tab, before = stage.tab, stage.count("comments")
    tab.click("[data-tool=comment]")
    stage.click(300, 300)
    tab.keyboard.type(text)
    tab.click("#sac-note-add")
    tab.wait_for_selector(f"#sac-canvas[data-comments='{before + 1}']")
    tab.click("[data-tool=inside]")


def delete_one(stage):
    stage.tab.keyboard.press("Escape")
    stage.tab.keyboard.press(".")
    return stage.press("Delete")


def test_a_case_is_shared_looked_at_edited_by_two_and_closed(open_page):
    owner = saved(open_page)
    owner.old = ""
    comment(owner, "One nucleus, or <b>two</b>?")
    look, edit = link(owner, "To look"), link(owner, "To look and edit")
    assert re.fullmatch(r"http://[^/]+/\?case=[\w-]{32}", look) and look != edit

    viewer = seen(open_page(look), "view", 1)
    assert viewer.count("nuclei") == owner.count("nuclei") and viewer.colours() > 100
    assert "One nucleus, or <b>two</b>?" in viewer.tab.inner_text(".sac-comments")
    assert not viewer.tab.is_visible("#sac-segment") and not viewer.tab.is_visible("#sac-undo")
    assert not viewer.tab.is_visible("#sac-save")
    assert viewer.download().suggested_filename.endswith(".zip")

    editor = seen(open_page(edit), "edit", 1)
    delete_one(editor).tab.click("#sac-save")
    seen(editor, "edit", 2)
    comment(editor, "Gone.")

    delete_one(owner).tab.keyboard.press("Control+s")
    owner.tab.wait_for_selector("#sac-case-both")
    assert "saved by link meanwhile, as version 2" in owner.tab.inner_text("#sac-case-changed")
    owner.tab.click("#sac-case-both")
    seen(owner, "own", 3)
    assert not owner.tab.is_visible("#sac-case-both") and owner.count("comments") == 2

    delete_one(editor).tab.click("#sac-save")
    editor.tab.click("#sac-case-reload")
    seen(editor, "edit", 3)
    assert editor.count("nuclei") == owner.count("nuclei")

    revoke(owner, "2: a link (edit)")
    owner.tab.wait_for_function("document.querySelector('#sac-links').textContent.includes('revoked')")
    delete_one(editor)
    assert "no such case" in editor.said and editor.count("nuclei") == 0
    late = open_page(edit)
    late.tab.wait_for_selector("#sac-shared >> text=no such case")
    assert late.count("nuclei") == 0


def test_nothing_is_lost_on_the_way_out(open_page):
    """Whoever is asked, and stays, goes on; what was saved is found again under its address."""
    stage = saved(open_page)
    tab, asked = stage.tab, []

    def stay(dialog):
        asked.append(dialog.type)
        dialog.dismiss()

    tab.on("dialog", stay)
    delete_one(stage).tab.keyboard.press("Control+s")
    seen(stage, "own", 2)
    assert tab.inner_text("#sac-save") == "Saved"
    tab.locator("#sac-case-notes").locator("textarea, input").press_sequentially("Look left")
    assert tab.inner_text("#sac-save") == "Save"
    tab.evaluate("location.reload()")
    tab.wait_for_timeout(1500)
    assert asked == ["beforeunload"]
    tab.keyboard.press("Control+s")  # from within the notes
    seen(stage, "own", 3)
    count = stage.count("nuclei")
    tab.reload()
    seen(stage, "own", 3)
    assert stage.count("nuclei") == count and asked == ["beforeunload"]
    tab.get_by_text("Case: save and share").click()
    expect(tab.locator("#sac-case-notes").locator("textarea, input")).to_have_value("Look left", timeout=30_000)


def test_the_shelf(open_page, tmp_path):
    stage = saved(open_page)
    tab, cards = stage.tab, stage.tab.locator(".sac-cards li")

    def counted(number):
        tab.wait_for_selector(f".sac-shelf[data-cases='{number}']")

    def deed(name, which=0):
        cards.nth(which).get_by_role("button", name=name).click()

    tab.get_by_role("tab", name="Cases").click()
    cards.first.wait_for()
    count = cards.count()
    with tab.expect_download() as download:
        deed("Download")
    download.value.save_as(tmp_path / "mine.saccase")
    tab.set_input_files(
        "#sac-cases-import input[type=file], input[type=file][accept*=saccase]", tmp_path / "mine.saccase"
    )
    counted(count + 1)
    deed("Duplicate")
    counted(count + 2)
    deed("Rename")
    tab.fill(".sac-cards input", "Left & <i>right</i>")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".sac-cards b >> text=Left & <i>right</i>")
    deed("Delete", 1)
    tab.click(".sac-sure")
    counted(count + 1)
    deed("Open")
    seen(stage, "own", 1)
    tab.wait_for_selector("#sac-segment")


def test_a_colleague_needs_no_account_where_others_have_one(browser, tmp_path):
    """And gets that case, and nothing else."""
    write(tmp_path / "users", "ada", Hashed.of("lovelace1", Cost(n=2**10, r=8, p=1)))
    with started("--data-dir", str(tmp_path / "data"), "--auth-file", str(tmp_path / "users")) as address:
        owner = Stage(browser.new_context().new_page())
        assert owner.tab.goto(address).status == 401
        owner.tab.fill("[name=username]", "ada")
        owner.tab.fill("[name=password]", "lovelace1")
        owner.tab.keyboard.press("Enter")
        owner.tab.wait_for_selector("#sac-canvas")
        owner.example().tab.click("#sac-save")
        seen(owner, "own", 1).old = ""
        owner.tab.get_by_text("Case: save and share").click()
        edit = link(owner, "To look and edit")

        colleague = Stage(browser.new_context().new_page())
        assert colleague.tab.goto(edit).status == 200
        seen(colleague, "edit", 1)
        delete_one(colleague).tab.click("#sac-save")
        seen(colleague, "edit", 2)
        colleague.tab.get_by_role("tab", name="Cases").click()
        colleague.tab.wait_for_selector(".toast-wrap, [role=alert], .toast-body")
        assert colleague.tab.locator(".sac-cards li").count() == 0

        revoke(owner, "1: a link (edit)")
        owner.tab.wait_for_function("document.querySelector('#sac-links').textContent.includes('revoked')")
        colleague.tab.wait_for_timeout(1100)  # for so long an answer about a link is believed
        assert colleague.tab.goto(edit).status == 401
        assert "withdrawn" in colleague.tab.inner_text("body")
        for stage in (owner, colleague):
            stage.tab.context.close()

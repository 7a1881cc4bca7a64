"""What files are called, and what they bring as text, means nothing but itself on the page."""

from __future__ import annotations

import gradio as gr
import pytest
from markdown_it import MarkdownIt

from sac.errors import ImageError
from sac.ui.errors import shows_errors
from sac.ui.told import escaped, plain

HOSTILE = [
    "<img src=x>.png", "a\n\n<b>b</b>", "a\r\r<i>c</i>", "[a](http://evil.example)", "![a](http://evil.example/a.png)",
    "`<b>`", "``<b>``", "$$x$$", "a\x0b\x0c\x85\u2028<b>", "# heading", "a | b\n|---|---|", "<script>1</script>", "&lt;b&gt;",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("as_markdown", [plain, escaped])
def test_markdown_shows_it_letter_by_letter(text, as_markdown):
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(f"Opened {as_markdown(text)} here")
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    kinds = {child.type for child in tokens[1].children}
    assert kinds <= {"text", "code_inline", "text_special"}
    shown = "".join(child.content for child in tokens[1].children)
    assert shown.replace("'", "`") == f"Opened {' '.join(text.split())} here".replace("'", "`")


def test_a_toast_shows_it_letter_by_letter():
    @shows_errors
    def fails():
        raise ImageError('<img src="/logout"> & such.png is damaged')

    with pytest.raises(gr.Error) as told:
        fails()
    assert told.value.message == '&lt;img src="/logout"&gt; &amp; such.png is damaged'

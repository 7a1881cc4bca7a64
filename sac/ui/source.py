"""What of a file is shown: its channel and plane, the size of its pixels, a region of it."""

from __future__ import annotations

import re
from dataclasses import replace

import gradio as gr

from sac.config import View
from sac.errors import OptionError
from sac.images import Image
from sac.ui.picture import Picture

ALL = ("All, in colours", -1)


def source_controls() -> list[gr.components.Component]:
    """The controls, in the order in which handlers take them and `shown` answers: channel, plane, µm, region."""
    return [
        gr.Dropdown([ALL], value=-1, label="Channel", elem_id="sac-channel", visible=False, filterable=False),
        gr.Slider(1, 2, 1, step=1, label="Plane", elem_id="sac-plane", visible=False),
        gr.Number(
            label="Size of a pixel in µm", elem_id="sac-microns", placeholder="not known", visible=False, minimum=0,
            step=0.001, info="Sets areas in µm², and the size at which nuclei are looked for.",
        ),
        gr.Textbox(
            label="Region: left, top, width, height", elem_id="sac-region", visible=False,
            info="In pixels of the file. On the preview of a slide, a drawn rectangle does the same.",
        ),
    ]  # fmt: skip


def shown(picture: Picture | None) -> tuple[dict, ...]:
    """How their panel and the controls show a picture: open and seen where there is something to choose."""
    if picture is None:
        return gr.update(open=False), *(gr.update(visible=False) for _ in range(4))
    image = picture.image
    several = len(image.channels) > 1
    names = [(f"{n}: {name}" if name else str(n), n) for n, name in enumerate(image.channels, start=1)]
    plane, count = image.plane, len(image.planes)
    return (
        gr.update(open=image.values.shape[2] not in (1, 3) or count > 1 or image.is_preview),
        gr.update(choices=[ALL, *names], value=image.channel, visible=several),
        gr.update(
            value=plane, minimum=1, maximum=max(2, count), visible=count > 1,
            label=f"Plane of {count}: {image.planes[plane - 1]}",
        ),
        gr.update(value=image.microns, visible=True),
        gr.update(value=", ".join(map(str, image.view.region)), visible=image.is_preview or bool(image.view.region)),
    )  # fmt: skip


def chosen(image: Image, channel: int, plane: float, region: str) -> View:
    """The view that the controls ask for. Raises OptionError."""
    numbers = [int(word) for word in re.findall(r"\d+", region or "")]
    if numbers and len(numbers) != 4:
        raise OptionError(
            f"region {region!r} is not left, top, width and height in pixels, such as 4000, 2500, 1024, 1024"
        )
    view = image.view
    return replace(
        view,
        channel=view.channel if channel in (None, image.channel) else int(channel),
        plane=view.plane if plane in (None, image.plane) else int(plane),
        region=tuple(numbers),
    )

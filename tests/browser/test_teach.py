"""The tab that teaches, in a real Chromium: data in, a training watched, cancelled, resumed, and its checkpoint used."""

import io
import zipfile

import numpy as np
import pytest
from browser.conftest import labels_in
from PIL import Image

SLOW = 240_000
"""Milliseconds that a training of a few steps may take on a busy machine."""


def field(seed, side=200):
    """Bright discs on a dark, grainy ground, and their numbers."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    image, labels = rng.normal(30, 6, (side, side)), np.zeros((side, side), np.uint16)
    for number in range(16):
        cy, cx = 25 + 50 * (number // 4) + rng.uniform(-6, 6), 25 + 50 * (number % 4) + rng.uniform(-6, 6)
        inside = np.hypot(y - cy, x - cx) < rng.uniform(9, 14)
        image[inside] += 120
        labels[inside] = number + 1
    return np.repeat(image.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2), labels


def packed(path, fields):
    """A zip with images/ and labels/."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, pair in enumerate(fields):
            for part, values in zip(("images", "labels"), pair):
                stream = io.BytesIO()
                Image.fromarray(values).save(stream, "PNG")
                archive.writestr(f"mine/{part}/{number}.png", stream.getvalue())
    return path


@pytest.fixture
def data(tmp_path):
    return packed(tmp_path / "mine.zip", [field(0), field(1)])


class Teach:
    """The tab, of a stage's page."""

    def __init__(self, stage):
        self.stage, self.tab = stage, stage.tab
        self.show()

    def show(self):
        self.tab.get_by_role("tab", name="Teach").click()
        self.tab.wait_for_selector("#train-status")

    @property
    def state(self):
        return self.tab.get_attribute("#train-status", "data-state")

    @property
    def step(self):
        return int(self.tab.get_attribute("#train-status", "data-step"))

    def until(self, condition, timeout=SLOW):
        """Waits until the status `s` is so: a condition in JavaScript on its data-state and data-step."""
        self.tab.wait_for_function(
            f"(() => {{ const s = document.querySelector('#train-status').dataset; return {condition} }})()",
            timeout=timeout,
        )
        return self

    def bring(self, path):
        self.tab.set_input_files("#train-data input[type=file]", str(path))
        self.tab.wait_for_selector("#train-found strong", timeout=60_000)
        return self.tab.inner_text("#train-found")

    def settings(self, **numbers):
        """Unfolds the settings and fills them in; on a busy machine what is filled in while they unfold can be lost."""
        self.tab.click("#train-settings > button")
        for _ in range(2):
            for name, value in numbers.items():
                field = self.tab.locator(f"#train-{name} input")
                field.wait_for(state="visible")
                if field.input_value() != str(value):
                    field.fill(str(value))
                    self.tab.keyboard.press("Tab")
            self.tab.wait_for_timeout(500)
        for name, value in numbers.items():
            assert self.tab.input_value(f"#train-{name} input") == str(value)
        return self

    def start(self, title="mine"):
        self.tab.fill("#train-title input, #train-title textarea", title)
        self.tab.wait_for_selector("#train-start:enabled", timeout=60_000)  # what it takes is told first
        self.tab.click("#train-start")
        return self

    def toasts(self):
        self.tab.wait_for_selector(".toast-body", timeout=30_000)
        return self.tab.inner_text(".toast-body")


@pytest.fixture
def teach(stage):
    return Teach(stage)


def test_a_training_is_watched_cancelled_found_again_resumed_and_its_checkpoint_used(teach, data):
    found = teach.bring(data)
    assert "2 images with 32 nuclei" in found
    assert teach.tab.locator("#train-samples img").count() == 2
    teach.settings(steps=6, batch=1, **{"learning-rate": 0.0005}).start("my <i>stain</i>")
    teach.until("s.state == 'running' && Number(s.step) >= 2")
    assert teach.tab.inner_text("#train-status b") == "Training"
    teach.tab.wait_for_function("document.querySelectorAll('#train-msa svg, #train-msa canvas').length > 0")
    teach.tab.click("#train-cancel")
    teach.until("s.state == 'cancelled'")
    stopped = teach.step
    assert stopped < 6

    teach.tab.reload()
    teach.show()
    teach.until("s.state == 'cancelled'")
    teach.tab.click("#train-resume")
    teach.until("s.state == 'running'")
    during = teach.stage.tab.context.new_page()  # another tab segments meanwhile
    during.goto(teach.tab.url)
    during.wait_for_selector("#sac-canvas")
    meanwhile = type(teach.stage)(during).example()
    teach.until("s.state == 'done' || s.state == 'worse'")
    assert teach.step == 6
    teach.tab.wait_for_selector("#train-after", state="visible")
    assert "before" in teach.tab.inner_text("#train-outcome") and "after" in teach.tab.inner_text("#train-outcome")
    assert teach.tab.locator("#train-wipe img").count() == 2

    teach.tab.fill("#train-name input, #train-name textarea", "liver")
    teach.tab.click("#train-rename")
    teach.tab.wait_for_function("document.querySelector('#train-jobs input').value == 'liver'")
    teach.tab.click("#train-use")
    teach.tab.wait_for_function("document.querySelector('#sac-model input').value == 'liver'")
    teach.stage.example()
    assert teach.tab.input_value("#sac-model input") == "liver"
    with zipfile.ZipFile(teach.stage.download().path()) as archive:
        told = next(archive.read(name) for name in archive.namelist() if name.endswith("prompts.json"))
    assert b'"model":"liver"' in told
    after = teach.stage.tab.context.new_page()
    after.goto(teach.tab.url)
    after.wait_for_selector("#sac-canvas")
    quiet = type(teach.stage)(after).example()
    assert np.array_equal(labels_in(meanwhile.download()), labels_in(quiet.download()))


def test_data_that_teach_nothing_are_refused_in_words(teach, tmp_path):
    empty = [(image, np.zeros_like(labels)) for image, labels in (field(0), field(1))]
    assert "none of the 2 images has a nucleus" in teach.bring(packed(tmp_path / "empty.zip", empty))
    assert teach.tab.is_disabled("#train-start")


def test_what_is_likely_to_spoil_a_training_is_said_before(teach, tmp_path):
    pairs = [(image, (labels > 0).astype(np.uint8) * 255) for image, labels in (field(0), field(1))]
    found = teach.bring(packed(tmp_path / "binary.zip", pairs))
    assert "2 images are binary masks" in found and "look alike" in found


def test_a_learning_rate_of_ten_is_refused_in_words(teach, data):
    teach.bring(data)
    teach.settings(**{"learning-rate": 10})
    teach.tab.wait_for_function("document.querySelector('#train-estimate').innerText.includes('outside')")
    teach.start()
    assert "learning rate 10" in teach.toasts()
    assert teach.state != "running"


def test_corrections_teach(stage):
    stage.example()
    stage.tab.keyboard.press(".")
    stage.press("Delete")
    teach = Teach(stage)
    teach.tab.click("#train-corrections")
    teach.tab.wait_for_function(
        "document.querySelector('#train-found').innerText.includes('1 image with')", timeout=60_000
    )
    assert f"1 image with {stage.count('nuclei')} nuclei" in teach.tab.inner_text("#train-found")
    teach.tab.wait_for_selector("#train-start:enabled", timeout=60_000)


def test_corrections_that_were_not_made_are_asked_for(teach):
    teach.tab.click("#train-corrections")
    teach.tab.wait_for_function("document.querySelector('#train-found').innerText.includes('no picture was corrected')")

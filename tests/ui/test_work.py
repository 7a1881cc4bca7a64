"""What the page asks of the method: embeddings made once, pictures segmented, compared and judged."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace

import numpy as np
import orjson
import pandas as pd
import pytest
import torch

from sac import hub
from sac.config import LIMITS, SegmentOptions
from sac.errors import CheckpointError, OptionError
from sac.export import summary_csv
from sac.images import Image
from sac.inference.cache import Cache
from sac.inference.compare import RIVALS
from sac.inference.instances import from_mask
from sac.inference.reprompt import clicked
from sac.inference.segment import segment
from sac.inference.session import Session
from sac.metrics import FIGURES, Mistakes
from sac.prompts import Prompts
from sac.ui import models, work
from sac.ui.examples import generated_field, stained_tissue
from sac.ui.handlers import Handlers
from sac.ui.picture import Picture


@pytest.fixture
def embedded_images(monkeypatch):
    """The names of images that were embedded since, "vanilla" for vanilla SAM, into a cache of the test's own."""
    names, embed_image, embed_by_vanilla = [], work.embed_image, work.embed_by_vanilla

    def listed(image, *arguments):
        names.append(image.name)
        return embed_image(image, *arguments)

    def by_vanilla(*arguments):
        names.append("vanilla")
        return embed_by_vanilla(*arguments)

    monkeypatch.setattr(work, "embed_image", listed)
    monkeypatch.setattr(work, "embed_by_vanilla", by_vanilla)
    monkeypatch.setattr(work, "EMBEDDINGS", Cache(LIMITS.embeddings))
    return names


# Figures


def judged() -> Picture:
    """A picture whose work holds one square of 10 x 10 pixels, number 1."""
    inside = np.zeros((20, 30), bool)
    inside[5:15, 5:15] = True
    nothing = Prompts(np.zeros((0, 1, 2), np.float32), np.zeros((0, 1), np.int8))
    picture = Picture.of(Image("a.png", np.zeros((20, 30, 3), np.uint8)))
    picture.begin(("nuclei", "instances"), Session.begin(from_mask(inside, nothing), SegmentOptions()))
    return picture


def moved(by: int, number: int) -> np.ndarray:
    """That square `by` columns further right, under another number."""
    return np.roll(judged().session.labels, by, axis=1) * np.int32(number)


def test_without_truth_the_work_shown_has_no_scores():
    assert work.figures(judged()) == [{"method": "SAC, as shown", "nuclei": 1}]


def test_without_truth_rivals_are_scored_against_the_work_shown():
    picture = judged()
    picture.rivals = {"vanilla": moved(5, 7), "generator": moved(0, 3)}
    own, vanilla, generator = work.figures(picture)
    assert "dice" not in own and own["nuclei"] == 1
    assert (vanilla["method"], vanilla["nuclei"]) == (RIVALS["vanilla"], 1)
    assert vanilla["dice"] == pytest.approx(100 / 200) and vanilla["iou"] == pytest.approx(50 / 150)
    assert generator["method"] == RIVALS["generator"]
    assert [generator[name] for name in FIGURES] == [1] * 6


def test_with_truth_all_are_scored_against_it():
    picture = judged()
    picture.truth, picture.rivals = moved(5, 9), {"everything": moved(5, 2)}
    own, everything = work.figures(picture)
    assert own["dice"] == pytest.approx(100 / 200) and own["f1"] == 0
    assert [everything[name] for name in FIGURES] == [1] * 6
    (exported,) = pd.read_csv(io.BytesIO(summary_csv(picture.result()))).to_dict("records")
    assert exported["ground_truth_nuclei"] == 1
    assert [exported[name] for name in FIGURES] == pytest.approx([own[name] for name in FIGURES], abs=1e-6)


def test_without_truth_no_scores_are_exported():
    assert not {"ground_truth_nuclei", *FIGURES} & set(pd.read_csv(io.BytesIO(summary_csv(judged().result()))))


def test_nuclei_are_counted_by_distinct_numbers():
    picture = judged()
    rival = moved(0, 1)
    rival[0, :3] = 4, 9, 4
    picture.rivals = {"vanilla": rival, "generator": np.zeros_like(rival)}
    assert [row["nuclei"] for row in work.figures(picture)] == [1, 3, 0]


def test_figures_survive_the_way_to_the_page():
    picture = judged()
    picture.truth = moved(2, 1)
    assert orjson.loads(orjson.dumps(work.figures(picture))) == work.figures(picture)


def test_mistakes_of_the_work_shown():
    picture = judged()
    picture.truth = moved(5, 9)
    assert work.mistakes(picture) == Mistakes(missed=(9,), extra=(1,), merged=())
    picture.truth = moved(1, 9)
    assert work.mistakes(picture) == Mistakes((), (), ())


# Segmenting


def test_a_picture_is_segmented_as_by_the_road_of_one_function(image, sessions):
    found = segment(image, work.loaded("nuclei"))
    session = sessions["nuclei", "instances"]
    assert np.array_equal(session.labels, found.labels) and 20 < len(session.nuclei) <= 40
    assert session.notes == found.notes


def test_other_prompts_need_no_other_embedding(image, embedded_images):
    picture = Picture.of(image)
    settings = [
        {}, {"negatives": 0}, {"strategy": "probability"}, {"kinds": "positive"}, {"certainty": 0.8},
        {"mode": "semantic"}, {"mode": "semantic", "pairs": 2}, {"prominence": 0.5},
    ]  # fmt: skip
    found = [work.segmented(picture, "nuclei", SegmentOptions(**chosen)) for chosen in settings]
    assert embedded_images == [image.name]
    assert all(not row.points[1:] for row in found[1].rows.values())  # and yet the settings are heeded
    assert len(found[4].nuclei) < len(found[0].nuclei) and found[5].options.mode == "semantic"
    assert len(found[7].rows) < len(found[0].rows)


def test_equal_pictures_share_an_embedding_and_others_do_not(image, embedded_images):
    turned = Image("turned.png", image.pixels[::-1].copy())
    for pixels in (image, Image("copy.png", image.pixels.copy()), turned):
        work.segmented(Picture.of(pixels), "nuclei", SegmentOptions())
    assert embedded_images == [image.name, "turned.png"]


def test_what_changes_the_embedding_makes_another(image, embedded_images):
    picture = Picture.of(image)
    for options in (SegmentOptions(), SegmentOptions(scale=0.5), SegmentOptions(overlap=16)):
        work.segmented(picture, "nuclei", options)
        work.segmented(picture, "nuclei", options)
    assert len(embedded_images) == 3


def test_edits_decode_with_the_embedding_that_was_segmented_with(image, embedded_images):
    picture = Picture.of(image)
    picture.begin(("nuclei", "instances"), work.segmented(picture, "nuclei", SegmentOptions()))
    made = work.embedded(picture)()
    assert made.sac is work.loaded("nuclei") and embedded_images == [image.name]
    work.EMBEDDINGS = Cache(LIMITS.embeddings)  # it was thrown out since
    again = work.embedded(picture)()
    assert torch.equal(made.embedding.features, again.embedding.features) and len(embedded_images) == 2


@pytest.mark.parametrize("mode", ["instances", "semantic"])
def test_the_scale_of_a_segmentation_stays_when_the_size_of_a_pixel_is_told(image, embedded_images, mode):
    """Then edits and comparisons are of the same tiles; the next segmentation is at another scale."""
    picture = Picture.of(image)
    picture.begin(("nuclei", mode), work.segmented(picture, "nuclei", SegmentOptions(mode=mode)))
    first = work.embedded(picture)()
    picture.image = image.sized(1.0)
    assert work.embedded(picture)().embedding is first.embedding and embedded_images == [image.name]
    after = clicked(picture.session, work.embedded(picture)(), (128.0, 128.0), 1)[0]
    assert len(after.nuclei) > 0.9 * len(picture.session.nuclei)
    for method in ("generator", "vanilla"):
        assert work.rival(picture, method).shape == (256, 256)
    anew = work.segmented(picture, "nuclei", SegmentOptions(mode=mode))
    assert anew.options.scale != picture.session.options.scale == first.embedding.scale
    work.EMBEDDINGS = Cache(LIMITS.embeddings)  # it was thrown out since
    assert work.embedded(picture)().embedding.scale == first.embedding.scale


def test_other_settings_are_tried_at_the_scale_as_it_is(seated, canvas):
    desk = seated()
    before = desk.picture.session.options
    desk.picture.image = desk.picture.image.sized(1.0)
    Handlers(canvas).prompt(desk, "", "", "", "probability", "both", 8, 2, 0.5, 0.2)
    told = replace(before, strategy="probability", negatives=2, certainty=0.5, prominence=0.2)
    assert desk.picture.session.options == told and len(desk.picture.history.past) == 1
    Handlers(canvas).press(desk, "", "nuclei", "instances", "centroid", "both", 8, 4, 0.5, 0.2)
    assert desk.picture.session.options.scale != before.scale


def test_progress_is_told_in_order(image, embedded_images):
    told = []
    work.segmented(Picture.of(image), "nuclei", SegmentOptions(), lambda share, word: told.append((share, word)))
    assert told == [(0.0, "Measuring nuclei"), (0.1, "Embedding the image"), (0.6, "Decoding masks")]


@pytest.mark.parametrize("model", ["tiny", "", "../nuclei", "somebody/model", "Nuclei"])
def test_no_other_model_is_ever_loaded(image, model):
    with pytest.raises(OptionError, match="nuclei, nuclei-he, glands"):
        work.segmented(Picture.of(image), model, SegmentOptions())
    with pytest.raises(OptionError, match="nuclei, nuclei-he, glands"):
        work.segment_file(image, model, "instances")


def test_a_model_that_is_let_go_works_on_for_who_has_it(image, monkeypatch):
    first = work.loaded("nuclei")
    monkeypatch.setattr(work, "MODELS", Cache(first.nbytes))
    first = work.loaded("nuclei")
    assert work.loaded("nuclei") is first and work.MODELS.nbytes == first.nbytes
    other = work.loaded("nuclei-he")
    assert work.MODELS.nbytes == other.nbytes and work.loaded("nuclei-he") is other
    assert len(segment(image, first)) > 20


# SAC_MODEL


def test_a_folder_is_loaded_once_and_called_by_its_whole_path(tmp_path, monkeypatch):
    shutil.copytree(hub.WEIGHTS / "nuclei", tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(work, "MODELS", Cache(LIMITS.models))
    monkeypatch.setenv("SAC_MODEL", work.settled("own"))
    assert models.place(models.default()) == str(tmp_path / "own")
    kept = work.MODELS.nbytes
    assert work.loaded(models.default()).config == hub.config_of("nuclei") and work.MODELS.nbytes == kept


@pytest.mark.parametrize("told", ["nucleus", "", "/", "a/b/c", "ada/cells@", "ada/cells@../x", "no\nthing"])
def test_what_is_no_checkpoint_is_said_in_a_sentence(told):
    with pytest.raises(CheckpointError, match="no checkpoint|holds no") as refused:
        work.settled(told)
    assert "\n" not in str(refused.value)


def test_a_damaged_folder_is_refused(tmp_path):
    folder = shutil.copytree(hub.WEIGHTS / "nuclei", tmp_path / "own")
    (folder / hub.ADAPTER).write_bytes(b"no")
    with pytest.raises(CheckpointError, match="own: adapter_model.safetensors is damaged"):
        work.settled(str(folder))


def test_what_is_set_is_kept_for_every_picture(image, monkeypatch):
    monkeypatch.delenv("SAC_MODEL", raising=False)
    assert (work.fitting(image), work.fitting(stained_tissue())) == ("nuclei", "nuclei-he")
    for told in ("nuclei", "nuclei-he"):
        monkeypatch.setenv("SAC_MODEL", told)
        assert work.fitting(image) == work.fitting(stained_tissue()) == told


# Comparing


def test_the_generator_alone_needs_no_other_embedding(seated, embedded_images):
    picture = seated().picture
    found = work.rival(picture, "generator")
    assert picture.rivals["generator"] is found and found.shape == (256, 256)
    work.rival(picture, "generator")
    assert len(embedded_images) == 1
    assert work.figures(picture)[1]["dice"] > 0.9  # on bright ellipses the two agree


def test_the_generator_alone_parts_nuclei_as_the_work_shown_does(seated):
    picture = seated().picture
    many = np.unique(work.rival(picture, "generator")).size
    picture.begin(("nuclei", "instances"), work.segmented(picture, "nuclei", SegmentOptions(prominence=0.5)))
    assert np.unique(work.rival(picture, "generator")).size < many


def test_vanilla_is_embedded_once_more_without_the_adapter(seated, embedded_images):
    picture = seated().picture
    before = picture.session.labels.copy()
    found = work.rival(picture, "vanilla")
    assert len(embedded_images) == 2 and embedded_images[1] == "vanilla" and found.max() > 0
    work.rival(picture, "vanilla")
    assert len(embedded_images) == 2
    assert np.array_equal(picture.session.labels, before) and not np.array_equal(found, before)
    assert list(picture.rivals) == ["vanilla"]


def test_vanilla_is_not_asked_for_nuclei_whose_points_are_off():
    picture = Picture.of(generated_field(seed=7, side=256, count=40))  # its corner is light
    picture.begin(("nuclei", "instances"), work.segmented(picture, "nuclei", SegmentOptions()))
    session = picture.session
    off = {number: replace(point, on=False) for number, point in session.points.items()}
    picture.commit(picture.history.then(replace(session, points=off)))
    assert not work.rival(picture, "vanilla").any()


def test_everything_mode_is_a_map_of_the_picture(seated, monkeypatch):
    monkeypatch.setattr("sac.model.everything.POINTS_PER_SIDE", 4)
    picture = seated().picture
    found = work.rival(picture, "everything")
    assert found.shape == (256, 256) and picture.rivals["everything"] is found


def test_an_unknown_rival_is_refused(seated):
    picture = seated().picture
    with pytest.raises(OptionError, match="vanilla, everything, generator"):
        work.rival(picture, "cellpose")
    assert picture.rivals == {}


# One file, beside any desk


def test_a_file_is_segmented_and_summed_up(image, sessions):
    run = work.segment_file(image, "nuclei", "instances")
    told = run.summary()
    assert told["nuclei"] == len(sessions["nuclei", "instances"].nuclei) == len(run.result.found)
    assert told["positive_prompts"] + told["negative_prompts"] == len(run.result.found.prompts.shown)
    assert told["seconds"] > 0 and orjson.loads(orjson.dumps(told)) == told


def test_a_file_is_segmented_as_its_checkpoint_says(image, tmp_path, monkeypatch):
    shutil.copytree(hub.WEIGHTS / "nuclei", tmp_path / "own")
    path = tmp_path / "own" / hub.CONFIG
    told = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps(told | {"provenance": told["provenance"] | {"certainty": 0.7, "prominence": 0.5}}))
    monkeypatch.setattr(work, "MODELS", Cache(LIMITS.models))
    monkeypatch.setenv("SAC_MODEL", work.settled(str(tmp_path / "own")))
    run = work.segment_file(image, models.default(), "instances")
    assert run.result.options.certainty == 0.7 and run.result.found.certainty.min() >= 0.7
    assert run.summary()["settings"]["prominence"] == 0.5


def test_an_unknown_mode_is_refused(image):
    with pytest.raises(OptionError, match="instances, semantic"):
        work.segment_file(image, "nuclei", "panoptic")

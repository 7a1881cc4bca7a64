"""What is brought becomes a set on disk; what is doubtful is said."""

import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from sac.errors import DataError
from training.datasets.gather import HELD, SURVEY, TABLE, Survey, TrainingSet, gather
from training.datasets.sample import Sample

GREY = np.full((40, 60, 3), 90, np.uint8)


def sample(name="a", nuclei=30, image=GREY, **more):
    """Squares of 2 x 2 pixels, numbered from 1, in rows of 20."""
    labels = np.zeros((40, 60), np.int32)
    for n in range(nuclei):
        y, x = n // 20 * 4, n % 20 * 3
        labels[y : y + 2, x : x + 2] = n + 1
    return Sample(name, image, labels, **more)


def problems(tmp_path, *samples):
    return " ".join(gather(samples, tmp_path).survey.problems)


def test_what_goes_in_comes_out(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    labels = sample().labels * 70_000  # beyond 16 bit
    gather([Sample("ü 1", image, labels, "x.zip", ("binary",), microns=0.25), sample()], tmp_path)
    again = TrainingSet(tmp_path)
    assert len(again) == 2
    assert np.array_equal(again[0].image, image) and np.array_equal(again[0].labels, labels)
    assert (again[0].name, again[0].source, again[0].doubts) == ("ü 1", "x.zip", ("binary",))
    assert again[0].labels.dtype == np.int32 and again[1].name == "a"
    assert (again[0].microns, again[1].microns) == (0.25, 0)


def test_facts_are_known_without_reading(tmp_path):
    (facts,) = gather([sample(nuclei=30)], tmp_path).survey.facts
    assert (facts.height, facts.width, facts.nuclei, facts.covered) == (40, 60, 30, 30 * 4 / 2400)
    assert facts.diameter == pytest.approx(np.sqrt(4 * 4 / np.pi), abs=0.01)
    assert not facts.coloured and not facts.bright


def test_refused_ones_are_told_and_the_others_kept(tmp_path):
    survey = gather([DataError("b.png is damaged"), sample()], tmp_path).survey
    assert survey.refused == ("b.png is damaged",) and len(survey.facts) == 1


@pytest.mark.parametrize(
    "brought, words",
    [
        ([], "no image with its nuclei was found"),
        ([DataError("b.png is damaged")], "b.png is damaged"),
        ([sample(nuclei=0), sample("b", nuclei=0)], "none of the 2 images has a nucleus"),
    ],
)
def test_nothing_to_learn_is_an_error(tmp_path, brought, words):
    with pytest.raises(DataError, match=words):
        gather(brought, tmp_path)


def test_a_set_whose_making_was_cut_short_is_not_there(tmp_path):
    def cut_short():
        yield sample()
        raise KeyboardInterrupt

    gather([sample()], tmp_path)
    with pytest.raises(KeyboardInterrupt):
        gather(cut_short(), tmp_path)
    with pytest.raises(DataError, match="no longer here: bring them again"):
        TrainingSet(tmp_path)


def test_who_reads_a_set_reads_on_while_it_is_made_anew(tmp_path):
    """As two benchmarks with one folder do. A mapped table that is written over ends the process that reads it."""
    former = gather([sample("former", image=GREY + 1)], tmp_path)
    gather([sample("new"), sample("newer")], tmp_path)
    assert former[0].name == "former" and (former[0].image == GREY + 1).all()
    assert [kept.name for kept in TrainingSet(tmp_path)] == ["new", "newer"]


def test_two_may_make_a_set_at_once(tmp_path):
    """As two benchmarks that begin together do: both come to the same set."""

    def while_another_makes_it():
        yield sample("a")
        with ThreadPoolExecutor() as another:
            assert len(another.submit(gather, [sample("a"), sample("b")], tmp_path).result()) == 2
        yield sample("b")

    assert [made.name for made in gather(while_another_makes_it(), tmp_path)] == ["a", "b"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [TABLE, SURVEY]


def test_sizes_must_agree():
    with pytest.raises(DataError, match=r"a: the image is of \(40, 60\), its labels of \(40, 50\)"):
        Sample("a", GREY, np.zeros((40, 50), np.int32))


def test_likely_problems_are_said(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert "1 image are binary masks" in problems(tmp_path, sample(doubts=("binary",)), sample("b", image=noise))
    assert "2 images are JPEG files" in problems(tmp_path, *[sample(n, doubts=("jpeg",)) for n in "ab"])
    assert "1 image has no nucleus" in problems(tmp_path, sample(), sample("b", nuclei=0))
    assert "came twice" in problems(tmp_path, sample(), sample("b"))
    assert "only 3 nuclei" in problems(tmp_path, sample(nuclei=3))
    full = replace(sample(), labels=np.ones((40, 60), np.int32))
    assert "is the ground marked" in problems(tmp_path, full, sample())
    assert "one nucleus only" in problems(tmp_path, full, full)
    assert "look alike (grey, dark)" in problems(tmp_path, sample(), sample("b", image=GREY + 1))


def test_a_good_set_has_no_problem(tmp_path):
    stained = np.broadcast_to(np.array([220, 120, 180], np.uint8), (40, 60, 3)).copy()
    assert gather([sample(), sample("b", image=stained)], tmp_path).survey.problems == ()


def test_a_survey_of_nothing_says_nothing():
    assert Survey(()).problems == ()


def test_of_many_images_few_are_held_at_once(tmp_path):
    """Two thousand: as they come, and as they are read again."""
    held, most = [], []

    def many():
        for number in range(2000):
            image = np.full((40, 60, 3), number % 256, np.uint8)
            held.append(weakref.ref(image))
            most.append(sum(ref() is not None for ref in held[-50:]))
            yield sample(str(number), image=image)

    whole = gather(many(), tmp_path)
    assert len(whole) == 2000 and max(most) < 5
    assert [whole[n].image[0, 0, 0] for n in range(0, 2000, 20)] == [n % 256 for n in range(0, 2000, 20)]
    assert whole._sample.cache_info().currsize == HELD

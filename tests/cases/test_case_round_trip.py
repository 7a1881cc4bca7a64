"""What is saved comes back to the bit, and can be worked on as if it had never been away."""

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
from case_works import SHOWN, by_hand, digest, facts, numbered, work

from sac.cases import Work, packing
from sac.cases.packing import from_bytes, packed, to_bytes, unpacked
from sac.config import LIMITS, SegmentOptions
from sac.errors import CaseError
from sac.export import Result, geojson
from sac.images import Image, Place
from sac.inference import edits, reprompt
from sac.inference.history import History
from sac.inference.scale import KNOWN_SCALES
from sac.inference.session import Point, Session


def same(one: Session, other: Session) -> bool:
    known = [(s.labels.dtype, s.options, s.nuclei, s.points, s.rows, s.last, s.notes) for s in (one, other)]
    return np.array_equal(one.labels, other.labels) and known[0] == known[1]


def test_everything_comes_back(cases, case, ada):
    told, back = cases.open(case.id, ada)
    assert facts(back) == facts(work()) and digest(back) == digest(work())
    assert back.image.name == "Biopsy 7" and back.image.pixels.dtype == np.uint8
    assert back.image.values.dtype == np.uint16 and back.truth.dtype == np.int32
    assert (told.name, told.author, told.version, told.nuclei, told.level) == ("Biopsy 7", "ada", 1, 3, "own")
    assert told == case == cases.facts(case.id, ada) and cases.mine(ada) == [case]
    assert told.thumbnail[:2] == b"\xff\xd8" and told.size > work().image.values.nbytes  # noise cannot be packed


def values_of(shape: tuple[int, ...], kind: str) -> np.ndarray:
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(kind)


@pytest.mark.parametrize(
    "values",
    [
        None,
        values_of((20, 30, 1), "u1"),
        values_of((20, 30, 1), ">u2"),
        values_of((20, 30, 2), "i2"),
        values_of((20, 30, 3), "f4") / 7,
        np.full((20, 30, 5), np.nan, "f8"),
        np.asfortranarray(values_of((20, 30, 4), "u4")),
        values_of((40, 60, 3), "f2")[::2, ::2],
    ],
    ids=lambda values: "none" if values is None else f"{values.dtype.str}x{values.shape[2]}",
)
def test_intensities_of_every_kind_come_back(cases, ada, values):
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    if values is not None and values.dtype == np.uint8:
        pixels = np.repeat(values, 3, axis=2)  # grey: the values are not kept a second time
    before = Image("a", pixels, values=values)
    _, back = cases.open(cases.create(ada, "a", Work(before)).id, ada)
    assert back.image.values.dtype == before.values.dtype and back.image.values.shape == before.values.shape
    assert np.array_equal(back.image.values, before.values, equal_nan=before.values.dtype.kind == "f")
    assert np.array_equal(back.image.pixels, pixels) and back.image.nbytes <= before.nbytes


def test_a_picture_of_one_pixel_and_a_narrow_one(cases, ada):
    for shape in [(1, 1, 3), (1, 3000, 3), (3000, 1, 3)]:
        before = Work(Image("a", np.full(shape, 7, np.uint8)))
        assert digest(cases.open(cases.create(ada, "a", before).id, ada)[1]) == digest(before)


def test_work_goes_on_as_without_the_detour(cases, case, ada):
    session = work().sessions[SHOWN]
    back = cases.open(case.id, ada)[1].sessions[SHOWN]
    for edit in (
        lambda s: edits.deleted(s, [3, 4]),
        lambda s: edits.merged(s, [2, 1])[0],
        lambda s: edits.split(s, [(15, 0), (15, 30)]),
        lambda s: edits.accepted(s, 3),
        lambda s: edits.cleared(s),
    ):
        assert same(edit(back), edit(session))
        there_and_back = History(back).then(edit(back)).undone().redone()
        assert same(there_and_back.now, edit(session)) and same(there_and_back.undone().now, session)
    assert same(replace(back, labels=back.labels.copy()), session)  # no edit touched what it began from


def test_what_is_exported_is_the_same(cases, case, ada):
    before, back = work(), cases.open(case.id, ada)[1]
    before = replace(before, image=replace(before.image, name="Biopsy 7"))
    one, other = (
        Result(w.image, w.sessions[SHOWN].instances(), "nuclei", w.sessions[SHOWN].options) for w in (before, back)
    )
    assert geojson(one) == geojson(other) and one.measurements == other.measurements


@pytest.mark.parametrize("place", [Place((5000, 6000), (1000, 600)), Place((60, 80), depth_and_time=(3, 1))])
def test_outlines_lie_where_the_picture_lay(cases, ada, place):
    before = replace(work(), image=replace(work().image, place=place))
    back = cases.open(cases.create(ada, before.image.name, before).id, ada)[1]
    one, other = (Result(w.image, w.sessions[SHOWN].instances(), "nuclei", SegmentOptions()) for w in (before, back))
    assert back.image.place == place and geojson(one) == geojson(other)


def test_a_case_that_knows_no_place_is_a_picture_of_its_own():
    """As older ones are, and those of whole files."""
    told, arrays = packed(work())
    assert "place" not in json.loads(told)["image"]
    assert unpacked(told, arrays, "a").image.place == Place((60, 80))


def test_a_real_segmentation_is_asked_on_as_without_the_detour(cases, ada):
    """Clicks decode with the model: the session, its prompts and the picture must all be what they were."""
    from sac.ui import work as model
    from sac.ui.examples import generated_field
    from sac.ui.picture import Picture

    picture, after = Picture.of(generated_field(side=128, count=10)), {}
    for mode in ("instances", "semantic"):
        picture.begin(("nuclei", mode), model.segmented(picture, "nuclei", SegmentOptions(mode=mode)))
        case = cases.create(ada, "field", Work(picture.image, {("nuclei", mode): picture.session}, ("nuclei", mode)))
        reopened = Picture.of(cases.open(case.id, ada)[1].image)
        reopened.begin(("nuclei", mode), cases.open(case.id, ada)[1].sessions["nuclei", mode])
        for desk in (picture, reopened):
            after[desk] = reprompt.clicked(desk.session, model.embedded(desk)(), (64.0, 64.0), 1)[0]
            assert after[desk].last > 0 and len(after[desk].points) == len(desk.session.points) + 1
        assert same(after[picture], after[reopened])
        last = cases.save(
            case.id, ada, Work(picture.image, {("nuclei", mode): after[picture]}, ("nuclei", mode)), 1, ""
        )
        assert same(cases.open(last.id, ada)[1].sessions["nuclei", mode], after[picture])


def test_the_scale_of_a_segmentation_is_kept(cases, ada, monkeypatch):
    """The largest that may be estimated, too; a case from before it was kept has 0."""
    for scale in (0.0, 1.6, KNOWN_SCALES[1]):
        session = replace(by_hand(), options=SegmentOptions(scale=scale))
        case = cases.create(ada, "a", replace(work(), sessions={SHOWN: session}))
        assert cases.open(case.id, ada)[1].sessions[SHOWN].options == session.options
    monkeypatch.setattr(packing, "LIMITS", replace(LIMITS, pixels=36 * 60 * 80 - 1))  # larger than a picture may be
    with pytest.raises(CaseError, match="damaged"):
        cases.open(case.id, ada)


def test_a_version_is_what_was_saved_then(cases, ada):
    case = cases.create(ada, "a", numbered(1), "ada")
    for number in (2, 3, 4):
        assert cases.save(case.id, ada, numbered(number), number - 1, f"author {number}").version == number
    told = [(v.number, v.author, v.nuclei, v.beside) for v in cases.versions(case.id, ada)]
    assert told == [(4, "author 4", 0, 0), (3, "author 3", 0, 0), (2, "author 2", 0, 0), (1, "ada", 0, 0)]
    for number in (1, 2, 3, 4):
        assert digest(cases.open(case.id, ada, number)[1]) == digest(numbered(number))
    assert digest(cases.open(case.id, ada)[1]) == digest(numbered(4))
    for unknown in (0, -1, 5, 2**70):
        with pytest.raises(CaseError):
            cases.open(case.id, ada, unknown)


def test_versions_share_what_they_have_in_common(cases, case, ada):
    """The picture of 19,200 bytes of noise is kept once."""
    before = cases.path.stat().st_size
    for number in range(1, 11):
        cases.save(case.id, ada, replace(work(), notes=f"look {number}"), number, "")
    assert cases.path.stat().st_size - before < 10 * work().image.values.nbytes


def test_a_duplicate_is_a_case_of_its_own(cases, case, ada):
    cases.link(case.id, ada, "view", 3)
    cases.comment(case.id, ada, 1, 2, "here", "ada")
    twin = cases.duplicate(case.id, ada)
    assert twin.id != case.id and twin.name == "Biopsy 7 (copy)" and twin.author == "ada"
    assert digest(cases.open(twin.id, ada)[1]) == digest(work())
    assert cases.links(twin.id, ada) == cases.comments(twin.id, ada) == []
    cases.delete(case.id, ada)  # what both have in common stays for the one
    assert digest(cases.open(twin.id, ada)[1]) == digest(work()) and cases.mine(ada) == [twin]


def test_a_new_name_is_the_pictures_too(cases, case, ada):
    cases.rename(case.id, ada, "  two\nlines  ")
    assert cases.open(case.id, ada)[1].image.name == "two lines"
    assert cases.rename(case.id, ada, "x" * 500).name == "x" * 120
    assert cases.rename(case.id, ada, "half a letter \ud83d").name == "half a letter ?"
    with pytest.raises(CaseError, match="needs a name"):
        cases.rename(case.id, ada, " \n ")


def test_text_of_any_kind_is_kept(cases, ada):
    odd = "a\0b \ud83d ' \" ; DROP TABLE cases; -- 核"
    case = cases.create(ada, odd, numbered(1), odd)
    assert cases.save(case.id, ada, replace(numbered(1), notes=odd, models={odd: odd}), 1, odd).version == 2
    pinned = cases.comment(case.id, ada, 1, 2, odd, odd)
    assert cases.comments(case.id, ada) == [pinned] and pinned.text == odd.replace("\ud83d", "?")
    assert cases.open(case.id, ada)[1].notes == odd.replace("\ud83d", "?")
    assert cases.link(case.id, ada, "view", 1, odd)[0].note == " ".join(odd.replace("\ud83d", "?").split())


def test_texts_of_a_file_that_are_too_long_do_not_stop_a_save(cases, ada):
    """A file may bring channels with endless names."""
    image = replace(work().image, channels=("x" * 5000, "Ki-67"), notes=tuple(str(n) for n in range(2000)))
    back = cases.open(cases.create(ada, "a", replace(work(), image=image)).id, ada)[1].image
    assert back.channels == ("x" * 2000, "Ki-67") and back.notes == image.notes[:1000]


def test_what_could_not_be_opened_again_is_not_saved(cases, case, ada):
    """It would be lost, although it was said to be saved."""
    session = by_hand()
    lost = replace(session, labels=np.roll(session.labels, 1) * 2)
    with pytest.raises(CaseError, match="^This work cannot be kept: it could not be opened again.$"):
        cases.save(case.id, ada, replace(work(), sessions={SHOWN: lost}), 1, "")
    assert cases.facts(case.id, ada) == case


def test_points_off_and_moved_are_kept(cases, ada):
    session = replace(by_hand(), points={**by_hand().points, 2: Point(33.25, 14.125, 1, by_hand=True, on=False)})
    case = cases.create(ada, "a", replace(work(), sessions={SHOWN: session}))
    assert cases.open(case.id, ada)[1].sessions[SHOWN].points == session.points


def test_an_array_is_packed_and_unpacked():
    for array in (np.arange(6).reshape(1, 2, 3), np.zeros((0, 3), ">f4"), np.asfortranarray(np.eye(3))):
        back = from_bytes(to_bytes(array))
        assert np.array_equal(back, array) and back.dtype == array.dtype and back.flags.c_contiguous
    assert to_bytes(np.eye(3)) == to_bytes(np.eye(3).T)  # equal arrays are kept once


@pytest.mark.parametrize("content", [b"", b"no zlib", to_bytes(np.arange(9))[:-9], zlib.compress(b"no array")])
def test_what_is_damaged_is_said(content):
    with pytest.raises(CaseError, match="^The case is damaged: restore a backup, or open another of its versions.$"):
        from_bytes(content)


def test_notes_have_a_limit(cases, case, ada):
    assert cases.save(case.id, ada, replace(work(), notes="x" * LIMITS.notes), 1, "").version == 2
    with pytest.raises(CaseError, match="^Notes have up to 20,000 characters, not 20,001.$"):
        cases.save(case.id, ada, replace(work(), notes="x" * (LIMITS.notes + 1)), 2, "")


def test_nothing_of_the_file_is_kept_but_its_pixels(cases, ada, tmp_path):
    """Promise H: neither its name nor its path, nor what it says of itself; but, in numbers, where it lay in it."""
    from sac.config import View

    place = Place((9_876_543, 90), (1, 2))
    image = replace(
        work().image, name="SECRET-name.tif", source=tmp_path / "SECRET-path.tif", planes=("SECRET-plane", "b"),
        view=View(region=(7_654_321, 1, 80, 60)), place=place,
    )  # fmt: skip
    case = cases.create(ada, "a", replace(work(), image=image))
    kept = cases.export(case.id, ada) + cases.path.read_bytes()
    told = cases.open(case.id, ada)[1].image
    assert not any(word in kept for word in (b"SECRET", b"7654321"))
    assert (told.name, told.source, told.planes, told.view, told.place) == ("a", None, ("",), View(), place)

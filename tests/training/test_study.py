"""The comparison, whole: a made-up set of the official layout is learnt from, asked about and put into tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sac import hub
from sac.config import SACConfig
from training.__main__ import main
from training.benchmark import costs
from training.benchmark.costs import cost
from training.benchmark.measure import Task
from training.benchmark.plan import ABLATIONS, MSA, NOBODY, RIVALS, SAM_FT, UNET, WHOLE, Budget, Student
from training.benchmark.report import MARKS, Report
from training.benchmark.school import FACTS, Curve, Lessons, built, taught
from training.benchmark.sets import ground
from training.benchmark.study import Found, Study
from training.benchmark.tables import SCORES, markdown, summary
from training.datasets.sample import Sample
from training.disk import read_json, write_json

SMALL = ["--steps", "2", "--batch", "2", "--prompts", "2", "--most", "1", "--hold-out", "0.2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data folders dsb2018/train and dsb2018/val of pictures of discs."""
    root = tmp_path_factory.mktemp("data") / "dsb2018"
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 2)):
        for kind in ("images", "labels"):
            (root / part / kind).mkdir(parents=True)
        for number in range(count):
            y, x = np.mgrid[:128, :128]
            labels = np.zeros((128, 128), np.uint16)
            for label, (row, column) in enumerate(((30, 30), (30, 90), (90, 30), (90, 90)), start=1):
                cy, cx = (row, column) + rng.uniform(-8, 8, 2)
                labels[(x - cx) ** 2 + (y - cy) ** 2 < 12**2] = label
            grey = np.where(labels > 0, 180, 20) + rng.normal(0, 3, labels.shape)
            pixels = np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
            Image.fromarray(pixels).save(root / part / "images" / f"{part}-{number}.png")
            Image.fromarray(labels).save(root / part / "labels" / f"{part}-{number}.png")
    return root


def test_rivals_are_taught_asked_and_told_of(folder, tmp_path, capsys):
    results = tmp_path / "RESULTS.md"
    sections = [
        "\nold\n".join(mark.format(part=part, data="dsb2018") for mark in MARKS)
        for part in ("rivals", "curves", "ablations")
    ]
    results.write_text("\n".join(["before", *sections, "after\n"]))
    out = tmp_path / "out"
    command = ["benchmark", "--data", str(folder), "--parts", "rivals", "curves", "--out", str(out), *SMALL]
    command += ["--results", str(results)]
    assert main(command) == 0
    table = pd.read_csv(out / "rivals-dsb2018.csv")
    assert list(table["label"]) == [line.label for line in RIVALS] and set(table["images"]) == {2}
    images = pd.read_csv(out / "rivals-dsb2018-images.csv")
    assert set(images["image"]) == {"val-0", "val-1"} and len(images) == 2 * len(RIVALS)
    mine = images[images["label"] == "**SAC**"]
    assert table.set_index("label").loc["**SAC**", "dice"] == pytest.approx(mine["dice"].mean())
    text = results.read_text()
    assert (
        text.startswith("before\n") and text.endswith("after\n") and text.count("\nold\n") == 1 and "](results/" in text
    )
    for name in ("rivals-dsb2018.png", "rivals-dsb2018-example.png", "curves-dsb2018.png"):
        assert Image.open(tmp_path / "results" / name).width > 100
    curves = pd.read_csv(out / "curves-dsb2018.csv")
    assert set(curves["student"]) == {"sam-ft", "msa", "unet", "sac"} and curves["dice"].between(0, 1).all()

    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    lost = next(out.rglob("test-generator.csv"))
    was = pd.read_csv(lost).drop(columns="seconds")
    lost.unlink()
    capsys.readouterr()
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == kept  # nobody is taught again
    pd.testing.assert_frame_equal(pd.read_csv(lost).drop(columns="seconds"), was)


def test_some_rivals_are_compared_and_no_other_is_taught(folder, tmp_path):
    out = tmp_path / "out"
    command = ["benchmark", "--data", str(folder), "--parts", "rivals", "curves", "--out", str(out), *SMALL, "--rivals"]
    assert main([*command, "otsu", "U-Net", "SAC"]) == 0
    labels = ["Otsu with watershed", "U-Net alone", "SAC, one mask", "SAC, masks of any certainty", "**SAC**"]
    assert list(pd.read_csv(out / "rivals-dsb2018.csv")["label"]) == labels
    assert set(pd.read_csv(out / "curves-dsb2018.csv")["student"]) == {"unet", "sac"}
    assert not list(out.rglob("msa-*")) and not list(out.rglob("sam-ft-*"))
    assert main([*command, "nnU-Net"]) == 1


def test_another_budget_is_another_training(folder, tmp_path):
    there = ground(folder, tmp_path, 0.2)
    first, second = (Lessons(there, Budget(steps=steps), 0, tmp_path).folder(WHOLE) for steps in (4, 5))
    assert first != second
    assert Lessons(there, Budget(steps=4, most=7), 0, tmp_path).folder(WHOLE) == first
    assert Lessons(there, Budget(steps=4), 1, tmp_path).folder(WHOLE) != first


def test_what_is_held_out_is_not_learnt_from(folder, tmp_path):
    there = ground(folder, tmp_path, 0.2)
    learn, held = ({f.name for f in pieces.facts} for pieces in (there.learn(0, 0), there.held_out(0)))
    assert len(learn) == 5 and len(held) == 1 and not learn & held
    few = [{f.name for f in there.learn(2, seed).facts} for seed in range(6)]
    assert all(len(names) == 2 and names <= learn for names in few) and len(set(map(frozenset, few))) > 1
    assert not {f.name for f in there.test.survey.facts} & (learn | held)


def test_a_set_of_one_magnification_is_learnt_as_it_is_asked_about(folder, tmp_path):
    measured = ground(folder, tmp_path, 0.2)
    assert measured.scale == measured.zoom.own == 0
    alike, glands = (replace(measured, name="monuseg", changes=changes) for changes in ({}, {"diameter": 40.0}))
    empty = Sample("empty", np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.int32))
    assert [set_.zoom.of(empty) for set_ in (alike, glands)] == pytest.approx([alike.scale, glands.scale])
    assert glands.scale / alike.scale == pytest.approx(40 / 24, rel=0.02)


@pytest.mark.parametrize(
    ("student", "learning"),
    [
        (Student("a", "decoder"), {"mask_decoder"}),
        (Student("b", "adapters"), {"mask_decoder", "adapter"}),
        (Student("c", "generator"), {"generator"}),
        (Student("d"), {"mask_decoder", "generator", "lora"}),
        (Student("e", decoder=False), {"generator", "lora"}),
        (Student("f", adapter=False), {"generator", "mask_decoder"}),
        (Student("g", "nothing"), set()),
    ],
    ids=lambda value: value.name if isinstance(value, Student) else "",
)
def test_only_what_shall_learn_does(folder, tmp_path, student, learning):
    lessons = Lessons(ground(folder, tmp_path, 0.2), Budget(steps=4), 0, tmp_path)
    names = [name for name, w in built(student, lessons).named_parameters() if w.requires_grad]
    parts = {part for part in ("mask_decoder.", "generator.", "lora_", "adapter.") if any(part in n for n in names)}
    trunk = [n for n in names if n.startswith("sam.") and "lora_" not in n and ".adapter." not in n]
    assert {part.strip("._") for part in parts} == learning and trunk == []


@pytest.mark.parametrize("sources, told", [(("glas/testA", "glas/testB"), 2), (("dsb2018/val", "dsb2018/val"), 1)])
def test_parts_of_a_test_are_told_apart(folder, tmp_path, sources, told):
    study = Study(folder, ("rivals",), (0,), tmp_path, 1, Budget())
    lessons = Lessons(ground(folder, tmp_path, 0.2), study.budget, 0, tmp_path)
    for line in RIVALS:
        path = Task(line.student, (), lessons).path("test", line.method)
        path.parent.mkdir(parents=True, exist_ok=True)
        figures = dict.fromkeys((*SCORES, "seconds"), 0.5)
        pd.DataFrame([{"source": s, "image": i, **figures, "commit": ""} for i, s in enumerate(sources)]).to_csv(path)
    rows = study._rows("rivals", [lessons])
    empty = pd.DataFrame()
    example = tmp_path / "example.png"
    Image.new("RGB", (4, 4)).save(example)
    page = Report(study, Found(rows, empty, empty, empty, example))._rivals()
    assert sum(text.startswith("**") for text in page) == told and len(rows) == 2 * len(RIVALS)
    assert set(rows["data"]) == (set(sources) if told == 2 else {"dsb2018, test"})


def test_all_begin_with_the_same_heads(folder, tmp_path):
    lessons = Lessons(ground(folder, tmp_path, 0.2), Budget(), 0, tmp_path)
    begun = hub.new(SACConfig()).state_dict()

    def same(student: Student, part: str, other: str = "") -> bool:
        weights = built(student, lessons).state_dict()
        mine = {n: w for n, w in weights.items() if n.startswith(part)}
        return all(torch.equal(w, begun[n.replace(part, other or part, 1)]) for n, w in mine.items())

    assert all(same(student, "mask_decoder.") for student in (WHOLE, SAM_FT, MSA))
    assert all(same(student, "generator.") for student in (WHOLE, UNET))
    frozen = Student("frozen", decoder=False)
    assert same(frozen, "mask_decoder.", "sam.mask_decoder.") and not same(frozen, "mask_decoder.")
    assert not same(Student("fresh", scenes=False), "generator.")


def test_ablations_change_what_they_say():
    students = {line.student.name: line.student for lines in ABLATIONS.values() for line in lines}
    assert dict(students["sac-rank-64"].changes) == {"rank": 64, "alpha": 128.0}
    assert dict(students["sac-on-qkv"].changes) == {"projections": ("q", "k", "v")}
    assert "sac-rank-4" not in students and "sac-on-qv" not in students  # those are SAC itself
    assert students["sac-images-3"].images == 3 and not students["sac-in-turn"].joint


def test_some_ablations_are_asked_alone(folder, tmp_path):
    out = tmp_path / "out"
    command = ["benchmark", "--data", str(folder), "--parts", "ablations", "--out", str(out), *SMALL]
    assert main([*command, "--tables", "discriminating", "Kinds"]) == 0
    table = pd.read_csv(out / "ablations-dsb2018.csv")
    assert sorted(set(table["table"])) == ["Discriminating strategy", "Kinds of prompts (one mask, 8 pairs)"]
    assert [folder.name[:4] for folder in (out / "trained" / "dsb2018").iterdir()] == ["sac-"]  # no other is taught


def test_means_and_deviations_are_those_of_the_seeds():
    rows = pd.DataFrame(
        {"data": "x, test", "table": "rivals", "label": "SAC", "seed": [0, 0, 1, 1], "image": ["a", "b", "a", "b"],
         "dice": [0.8, 0.6, 0.9, 0.9], "seconds": 1.0, "commit": "abc"}
    )  # fmt: skip
    line = summary(rows).iloc[0]
    assert line["dice"] == pytest.approx(0.8) and line["dice_sd"] == pytest.approx(0.2 / np.sqrt(2))
    assert (line["seeds"], line["images"], line["commit"]) == (2, 2, "abc")
    assert "| SAC | 0.800 ± 0.141 |" in markdown(summary(rows))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (["--jobs", "0"], "jobs 0"),
        (["--seeds", "1", "1"], "seeds"),
        (["--steps", "0"], "steps 0"),
        (["--results", "nowhere.md"], "benchmark rivals dsb2018: begin"),
        (["--seeds", "0", "-1"], "seed -1"),
        (["--base", "vit_x"], "vit_x"),
        (["--most", "-1"], "most -1"),
        (["--hold-out", "0"], "hold out 0"),
        (["--tables", "colour"], "no ablation begins with colour; there are: Prompt pairs"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_taught(folder, tmp_path, capsys, change, word):
    out = tmp_path / "out"
    assert main(["benchmark", "--data", str(folder), "--parts", "all", "--out", str(out), *change]) == 1
    assert word in capsys.readouterr().err and not list(tmp_path.rglob("*.safetensors"))


def test_a_set_is_compared_on_once(folder, tmp_path, capsys):
    command = ["benchmark", "--data", str(folder), f"{folder}/", "--parts", "rivals", "--out", str(tmp_path)]
    assert main(command) == 1 and "each set can be compared on once" in capsys.readouterr().err


def test_costs_are_those_of_what_learns(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(costs, "STEPS", 2)
    lessons = Lessons(ground(folder, tmp_path, 0.2), Budget(steps=2, batch=2, prompts=2), 0, tmp_path)
    least, most = cost(SAM_FT, lessons), cost(WHOLE, lessons)
    assert 0 < least.learnt < most.learnt and least.memory > 2**27
    # SAM's mask decoder at 128 channels
    assert least.learnt == sum(w.numel() for w in built(NOBODY, lessons).mask_decoder.parameters())


def test_who_is_killed_goes_on(folder, tmp_path, monkeypatch):
    """What is learnt from a state on is what would have been learnt without the break."""
    whole, broken = (
        Lessons(
            ground(folder, tmp_path / name, 0.2), Budget(steps=4, batch=2, prompts=2, save_every=2), 0, tmp_path / name
        )
        for name in ("whole", "broken")
    )
    weights = taught(SAM_FT, whole).state_dict()

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Curve, "after", lambda self, step, lesson: {} if step < 3 else killed())
        taught(SAM_FT, broken)
    assert (broken.folder(SAM_FT) / "state-2").exists() and not broken.has_taught(SAM_FT)
    again = taught(SAM_FT, broken).state_dict()
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_thresholds_are_found_once_and_by_a_student_who_was_taught_before_there_were_any(folder, tmp_path, monkeypatch):
    lessons = Lessons(ground(folder, tmp_path, 0.4), Budget(steps=1, batch=1, prompts=1), 0, tmp_path)
    asked = []

    def found(sac, held, scale, decoded):
        asked.append((len(held), decoded))
        return {"prominence": 0.3}

    monkeypatch.setattr("training.benchmark.school.thresholds", found)
    assert [taught(UNET, lessons).config.prominence for _ in range(2)] == [0.3, 0.3]
    assert asked == [(2, False)]
    facts = lessons.folder(UNET) / FACTS
    write_json(facts, {name: told for name, told in read_json(facts).items() if not name.startswith("thresholds")})
    assert taught(UNET, lessons).config.prominence == 0.3 and len(asked) == 2
    fewer = replace(lessons, budget=replace(lessons.budget, most=1))
    assert fewer.folder(UNET) == lessons.folder(UNET)
    assert taught(UNET, fewer).config.prominence == 0.3 and asked[2:] == [(1, False)]  # of other images, found anew

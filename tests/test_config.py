"""Settings check themselves, and a stored configuration is read back as it was or not at all."""

import json
from dataclasses import FrozenInstanceError, asdict

import pytest

from sac.config import BASES, LIMITS, MODES, STRATEGIES, SACConfig, SegmentOptions
from sac.errors import CheckpointError, OptionError, SacError


def through_json(config):
    return json.loads(json.dumps(config.to_json()))


@pytest.mark.parametrize(
    "config",
    [
        SACConfig(),
        SACConfig(base="vit_h", base_sha256="ab" * 32, rank=16, alpha=32.0, projections=("q", "k", "v"), blocks="late"),
        SACConfig(window_encoding="place", generator_widths=(8, 16), provenance={"data": ["a", "b"], "seed": 3}),
    ],
)
def test_a_configuration_survives_its_file(config):
    assert SACConfig.from_json(through_json(config)) == config


def test_a_missing_or_unknown_key_is_a_foreign_checkpoint():
    stored = through_json(SACConfig())
    with pytest.raises(CheckpointError, match="colour"):
        SACConfig.from_json({**stored, "colour": 1})
    del stored["rank"]
    with pytest.raises(CheckpointError, match="rank"):
        SACConfig.from_json(stored)
    with pytest.raises(CheckpointError):
        SACConfig.from_json({})


def test_a_checkpoint_from_before_generators_saw_the_embedding_has_one_that_sees_the_picture():
    stored = through_json(SACConfig(generator_sees="picture"))
    del stored["generator_sees"]
    assert SACConfig.from_json(stored) == SACConfig(generator_sees="picture")


@pytest.mark.parametrize(
    "name, value",
    [
        ("base", "vit_x"), ("projections", []), ("projections", ["q", "o"]), ("blocks", "early"),
        ("window_encoding", "corner"), ("generator_sees", "all"), ("rank", 0), ("rank", 257),
    ],
)  # fmt: skip
def test_a_configuration_refuses_what_it_does_not_know(name, value):
    with pytest.raises(SacError, match=name):
        SACConfig(**{name: value})


@pytest.mark.parametrize(
    "name, value",
    [
        ("rank", "four"), ("rank", None), ("projections", 4), ("generator_widths", 16), ("generator_widths", ["a"]),
        ("tile", "256"), ("window", None), ("diameter", "large"), ("base", ["tiny"]), ("provenance", "mine"),
    ],
)  # fmt: skip
def test_a_stored_value_of_a_wrong_kind_is_said_in_words(name, value):
    with pytest.raises(SacError):
        SACConfig.from_json({**through_json(SACConfig()), name: value})


@pytest.mark.parametrize(
    "setting",
    [
        {"mode": "both"}, {"strategy": "random"}, {"negatives": -1}, {"negatives": 65}, {"pairs": 0}, {"pairs": 65},
        {"scale": 0.01}, {"scale": 21.0}, {"scale": -1.0}, {"scale": float("nan")}, {"overlap": -1},
        {"certainty": -0.1}, {"certainty": 1.5}, {"prominence": 0.0}, {"prominence": 0.6},
    ],
)  # fmt: skip
def test_options_outside_what_is_accepted(setting):
    ((name, value),) = setting.items()
    with pytest.raises(OptionError, match=name) as caught:
        SegmentOptions(**setting)
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [
        {"negatives": 0}, {"negatives": 64}, {"pairs": 1}, {"pairs": 64}, {"scale": 0.0}, {"scale": 0.05},
        {"scale": 20.0}, {"overlap": 0}, {"certainty": 0.0}, {"certainty": 1.0}, {"prominence": 0.01},
        {"prominence": 0.5},
        *({"mode": mode} for mode in MODES), *({"strategy": strategy} for strategy in STRATEGIES),
    ],
)  # fmt: skip
def test_options_at_the_edge_of_what_is_accepted(setting):
    assert setting.items() <= asdict(SegmentOptions(**setting)).items()


@pytest.mark.parametrize("base", BASES)
def test_every_known_base_is_accepted(base):
    assert SACConfig(base=base).base == base


@pytest.mark.parametrize("value, name", [(SACConfig(), "rank"), (SegmentOptions(), "mode"), (LIMITS, "pixels")])
def test_settings_are_frozen(value, name):
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, 1)


def test_instances_with_neighbours_as_negatives_are_the_default():
    options = SegmentOptions()
    assert options.mode == "instances" and options.negatives > 0 and options.adapted


@pytest.mark.parametrize(
    "told, finds", [({}, "nuclei"), ({"microns": 80}, "objects"), ({"microns": 80, "finds": "glands"}, "glands")]
)
def test_what_is_larger_than_a_nucleus_is_called_so_only_where_that_was_told(told, finds):
    assert SACConfig(provenance=told).finds == finds


@pytest.mark.parametrize("said", ["", "Glands", "gl<b>", "glands\n", None, 3, "g" * 31])
def test_words_for_what_is_found_are_plain(said):
    with pytest.raises(OptionError, match="not a word such as glands"):
        SACConfig(provenance={"finds": said})


@pytest.mark.parametrize("said", [-0.1, 1.5, float("nan"), "0.5", None, True])
def test_a_least_certainty_is_a_share(said):
    assert SACConfig(provenance={"certainty": 0}).options().certainty == 0
    with pytest.raises(OptionError, match="certainty"):
        SACConfig(provenance={"certainty": said})


@pytest.mark.parametrize("said", [0.0, 0.6, float("nan"), "0.2", None, True])
def test_a_prominence_is_a_share_of_the_distance(said):
    assert SACConfig(provenance={"prominence": 0.1}).options().prominence == 0.1
    with pytest.raises(OptionError, match="prominence"):
        SACConfig(provenance={"prominence": said})


@pytest.mark.parametrize("said", [None, 1, "yes"])
def test_one_scale_is_said_plainly(said):
    with pytest.raises(OptionError, match="neither true nor false"):
        SACConfig(provenance={"one_scale": said})

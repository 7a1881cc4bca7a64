"""Which points were given, by whom, and what became of them."""

from export_cases import case, nothing, result, strict

from sac.export import prompts_json


def test_prompts_say_which_nucleus_they_became():
    told = strict(prompts_json(result()))
    assert [row["nucleus"] for row in told["prompts"]] == [1, 2, 3, 4, None]
    own, neighbour = {"x": 19, "y": 9, "label": 1, "by_hand": False}, {"x": 9, "y": 7, "label": 0, "by_hand": False}
    assert told["prompts"][1] == {"nucleus": 2, "points": [own, neighbour]}
    assert [len(row["points"]) for row in told["prompts"]] == [2, 2, 1, 2, 1]


def test_semantic_prompts_belong_to_no_single_nucleus():
    told = strict(prompts_json(result(mode="semantic")))
    assert {row["nucleus"] for row in told["prompts"]} == {None}


def test_no_prompts_are_an_empty_list():
    assert strict(prompts_json(nothing()))["prompts"] == strict(prompts_json(case("noise")))["prompts"] == []

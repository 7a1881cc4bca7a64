"""JSON and CSV at their edges."""

import math

import pytest
from export_cases import cells

from sac.export.text import to_csv, to_json


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_refuses_what_is_no_number(value):
    with pytest.raises(ValueError):
        to_json({"area": [value]})


def test_json_is_ascii_whatever_a_name_holds():
    assert to_json({"name": "\udcff µ"}) == b'{"name":"\\udcff \\u00b5"}'


def test_none_is_an_empty_cell_and_text_never_runs():
    raw = to_csv(["a", "b", "c"], [[None, -1.5, "-1.5"], ["=A1", 0, "a=1"]])
    assert cells(raw) == [["a", "b", "c"], ["", "-1.5", "'-1.5"], ["'=A1", "0", "a=1"]]

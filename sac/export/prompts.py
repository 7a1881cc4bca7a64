"""What the model was asked, so that it can be asked again."""

from __future__ import annotations

from typing import Any

import numpy as np

from sac.export.result import Result
from sac.export.text import to_json
from sac.prompts import UNUSED, Prompts


def prompts_json(result: Result) -> bytes:
    """The prompts, row by row, with the nucleus each row became (null where it became none)."""
    nucleus = {int(row): int(number) for row, number in zip(result.found.prompt, result.found.numbers)}
    rows = [
        {"nucleus": nucleus.get(row), **_asked(result.found.prompts[[row]])} for row in range(len(result.found.prompts))
    ]
    return to_json({**result.about(), "prompts": rows})


def _asked(row: Prompts) -> dict[str, Any]:
    """One row's points, each with whether a user set it, and its box, where it has one."""
    by_hand = row.by_hand[0].tolist() if row.by_hand is not None else [False] * row.labels.shape[1]
    asked: dict[str, Any] = {
        "points": [
            {"x": round(x, 2), "y": round(y, 2), "label": kind, "by_hand": hand}
            for (x, y), kind, hand in zip(row.points[0].tolist(), row.labels[0].tolist(), by_hand)
            if kind != UNUSED
        ]
    }
    if row.boxes is not None and np.isfinite(row.boxes).all():
        asked["box"] = [round(v, 2) for v in row.boxes[0].tolist()]
    return asked

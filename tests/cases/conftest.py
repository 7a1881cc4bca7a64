"""Cases in a folder of the test's own, and limits that a test can reach."""

from __future__ import annotations

from dataclasses import replace

import pytest
from case_works import work

from sac import config
from sac.cases import Cases, Owner, packing, store, versions
from sac.cases import file as case_file


@pytest.fixture
def cases(tmp_path) -> Cases:
    return Cases(tmp_path / "cases")


@pytest.fixture
def ada() -> Owner:
    return Owner("login:ada")


@pytest.fixture
def case(cases, ada):
    """One with everything that a case may have."""
    return cases.create(ada, "Biopsy 7", work(), "ada")


@pytest.fixture
def limits(monkeypatch):
    """Sets limits for one test: limits(versions=3)."""

    def limit(**changed: int) -> None:
        lower = replace(config.LIMITS, **changed)
        for module in (store, versions, packing, case_file):
            monkeypatch.setattr(module, "LIMITS", lower)

    return limit

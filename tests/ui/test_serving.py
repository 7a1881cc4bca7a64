"""How the page is served: limits that a user may set, and no others."""

import pytest

from sac.config import LIMITS
from sac.errors import OptionError
from sac.ui.page import launch_settings


def test_an_upload_has_the_limit_or_what_the_environment_says(monkeypatch):
    monkeypatch.delenv("SAC_UPLOAD_MB", raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert launch_settings()["max_file_size"] == LIMITS.upload == 512 * 2**20
    monkeypatch.setenv("SPACE_ID", "owner/cells")
    assert launch_settings()["max_file_size"] == 200 * 2**20
    monkeypatch.setenv("SAC_UPLOAD_MB", "3000")
    assert launch_settings()["max_file_size"] == 3000 * 2**20


@pytest.mark.parametrize("told", ["much", "-1", "1.5"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch, told):
    monkeypatch.setenv("SAC_UPLOAD_MB", told)
    with pytest.raises(OptionError, match="SAC_UPLOAD_MB"):
        launch_settings()

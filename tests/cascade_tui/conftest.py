"""What the tests of the app share."""

from __future__ import annotations

import pytest
from looks import Looks
from pytest_textual_snapshot import SVGImageExtension
from syrupy import SnapshotAssertion


@pytest.fixture
def looks(snapshot: SnapshotAssertion, tmp_path_factory: pytest.TempPathFactory) -> Looks:
    """The stored pictures of this test."""
    return Looks(snapshot.use_extension(SVGImageExtension), tmp_path_factory.mktemp("looks"))

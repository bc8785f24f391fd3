"""The golden prior and its inputs."""

import pytest
from safetensors.torch import load_file

from tests.engine.adapters.learnt_adapters import GOLDEN, golden_prior


@pytest.fixture
def prior():
    return golden_prior()


@pytest.fixture(scope="session")
def io():
    return load_file(GOLDEN / "unet_tiny_io.safetensors")

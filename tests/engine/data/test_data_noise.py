"""Offset and perturbation change the noise as they say, by position, and nothing else."""

import numpy as np
import pytest

from engine.data.noise import NoiseChanges
from engine.data.randomness import draws

NOISE = draws(42, 7, 3, (16, 6, 5)).noise


def test_without_changes_the_noise_is_the_published_draw():
    target, seen = NoiseChanges().apply(NOISE, 42, 7, 3)
    assert target is NOISE
    assert seen is None


def test_an_offset_is_one_number_a_channel_for_target_and_input_alike():
    target, seen = NoiseChanges(offset=0.1).apply(NOISE, 42, 7, 3)
    offset = (target - NOISE) / 0.1
    assert seen is None
    np.testing.assert_allclose(offset, offset[:, :1, :1] * np.ones_like(offset), atol=1e-5)
    assert len(np.unique(offset[:, 0, 0])) == 16
    many = [
        NoiseChanges(offset=1.0).apply(np.zeros_like(NOISE), 42, step, 0)[0][:, 0, 0]
        for step in range(200)
    ]
    assert np.mean(many) == pytest.approx(0, abs=0.06)
    assert np.std(many) == pytest.approx(1, abs=0.06)


def test_perturbation_leaves_the_target_and_adds_fresh_noise_to_the_input():
    target, seen = NoiseChanges(input_perturbation=0.1).apply(NOISE, 42, 7, 3)
    assert target is NOISE
    added = (seen - NOISE) / 0.1
    assert added.std() == pytest.approx(1, abs=0.1)
    assert abs(np.corrcoef(added.ravel(), NOISE.ravel())[0, 1]) < 0.15


def test_the_input_has_the_offset_of_the_target():
    both = NoiseChanges(offset=0.5, input_perturbation=0.1).apply(NOISE, 42, 7, 3)
    offset, _ = NoiseChanges(offset=0.5).apply(NOISE, 42, 7, 3)
    _, perturbed = NoiseChanges(input_perturbation=0.1).apply(NOISE, 42, 7, 3)
    np.testing.assert_array_equal(both[0], offset)
    np.testing.assert_allclose(both[1] - both[0], perturbed - NOISE, atol=1e-6)


@pytest.mark.parametrize("other", [(43, 7, 3), (42, 8, 3), (42, 7, 4)])
def test_what_is_drawn_hangs_on_the_position(other):
    changes = NoiseChanges(offset=0.1, input_perturbation=0.1)
    one, again, two = (changes.apply(NOISE, *at) for at in ((42, 7, 3), (42, 7, 3), other))
    for index in range(2):
        np.testing.assert_array_equal(one[index], again[index])
        assert not np.array_equal(one[index], two[index])

"""Random numbers hang on the position alone; these values are part of what a seed means."""

import numpy as np
import pytest

from engine.data.randomness import Stream, draws, generator


def test_these_draws_stay_these_draws():
    drawn = draws(42, 7, 3, (16, 24, 24))
    assert drawn.u == GOLDEN["u"]
    assert drawn.caption_dropout == GOLDEN["caption_dropout"]
    assert drawn.caption_choice == GOLDEN["caption_choice"]
    assert drawn.noise.dtype == np.float32
    assert drawn.noise.shape == (16, 24, 24)
    np.testing.assert_array_equal(drawn.noise.ravel()[:4], np.float32(GOLDEN["noise"]))


@pytest.mark.parametrize("other", [(43, 7, 3), (42, 8, 3), (42, 7, 4), (42, 3, 7)])
def test_another_seed_step_or_place_draws_other_numbers(other):
    one, two = draws(42, 7, 3, (16, 4, 4)), draws(*other, (16, 4, 4))
    assert not np.array_equal(one.noise, two.noise)
    assert len({one.u, two.u, one.caption_choice, two.caption_choice}) == 4


def test_streams_do_not_repeat_each_other():
    numbers = {generator(42, stream, 7, 3).random() for stream in Stream}
    assert len(numbers) == len(Stream)


def test_neighbouring_positions_are_independent():
    noise = np.stack([draws(42, step, k, (64,)).noise for step in range(16) for k in range(16)])
    correlation = np.corrcoef(noise) - np.eye(len(noise))
    assert abs(noise.mean()) < 0.03
    assert abs(noise.std() - 1) < 0.03
    assert np.abs(correlation).max() < 0.65


def test_uniforms_fill_the_unit_interval_evenly():
    numbers = [draws(42, step, 0, (1,)).u for step in range(2000)]
    counts, _ = np.histogram(numbers, bins=10, range=(0, 1))
    assert counts.min() > 150
    assert counts.max() < 250


def test_a_long_run_and_a_large_seed_have_their_own_numbers():
    far = draws(2**64 - 1, 10**12, 10**6, (4,))
    assert 0 <= far.u < 1
    assert far.u != draws(2**64 - 2, 10**12, 10**6, (4,)).u
    assert far.u != draws(2**64 - 1, 10**12 + 1, 10**6, (4,)).u


GOLDEN = {
    "u": 0.4422248271911505,
    "caption_dropout": 0.5888946909544646,
    "caption_choice": 0.7459599329150692,
    "noise": [-1.121357, -0.7802646, 0.52253306, -0.28557196],
}

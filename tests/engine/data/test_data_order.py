"""The order of samples is a function of (seed, position) and of nothing else."""

from collections import Counter
from itertools import pairwise

import pytest

from engine.data.order import BatchPlan, EmptyOrderError, Order

SHAPES = [(24, 24)] * 13 + [(27, 21)] * 6 + [(21, 27)]


def epoch(order, number):
    size = order.batches_per_epoch
    return [order.batch(step) for step in range(number * size, (number + 1) * size)]


def test_every_batch_is_full_and_of_one_shape():
    order = Order(SHAPES, seed=1, global_batch_size=4)
    for plan in epoch(order, 0) + epoch(order, 1):
        assert len(plan.indices) == 4
        assert len({SHAPES[index] for index in plan.indices}) == 1


def test_an_epoch_shows_every_sample_and_none_more_than_once_over():
    order = Order(SHAPES, seed=1, global_batch_size=4)
    assert order.batches_per_epoch == 4 + 2 + 1
    for number in range(3):
        seen = Counter(index for plan in epoch(order, number) for index in plan.indices)
        assert set(seen) == set(range(len(SHAPES)))
        assert max(seen[index] for index in range(19)) <= 2
        assert seen[19] == 4  # alone in its bucket, it fills the batch


def test_repeats_are_the_times_an_epoch_shows_a_sample():
    order = Order([(24, 24)] * 4, seed=1, global_batch_size=1, repeats=[0, 1, 2, 5])
    seen = Counter(plan.indices[0] for plan in epoch(order, 0))
    assert seen == {0: 1, 1: 1, 2: 2, 3: 5}


def test_a_batch_can_be_asked_for_anywhere_and_is_always_the_same():
    walked = [Order(SHAPES, seed=1, global_batch_size=4).batch(step) for step in range(50)]
    order = Order(SHAPES, seed=1, global_batch_size=4)
    assert [order.batch(step) for step in reversed(range(50))] == walked[::-1]
    assert [plan.epoch for plan in walked] == [step // 7 for step in range(50)]
    assert [order.epoch_of(step) for step in range(50)] == [plan.epoch for plan in walked]


def test_epochs_and_seeds_differ():
    order = Order(SHAPES, seed=1, global_batch_size=4)
    other = Order(SHAPES, seed=2, global_batch_size=4)
    indices = [
        [plan.indices for plan in epoch(o, n)] for o, n in ((order, 0), (order, 1), (other, 0))
    ]
    assert indices[0] != indices[1] != indices[2] != indices[0]


def test_shapes_come_mixed_and_not_one_after_the_other():
    order = Order([(24, 24)] * 64 + [(27, 21)] * 64, seed=1, global_batch_size=4)
    shapes = [plan.indices[0] < 64 for plan in epoch(order, 0)]
    assert 8 < sum(a != b for a, b in pairwise(shapes)) < 24


def test_these_batches_stay_these_batches():
    order = Order(SHAPES, seed=42, global_batch_size=4)
    assert [order.batch(step) for step in (0, 1, 100)] == GOLDEN


def test_a_set_of_no_samples_has_no_order():
    with pytest.raises(EmptyOrderError):
        Order([], seed=1, global_batch_size=4)


GOLDEN = [
    BatchPlan(0, (6, 9, 12, 7)),
    BatchPlan(0, (16, 17, 13, 15)),
    BatchPlan(14, (17, 18, 14, 15)),
]

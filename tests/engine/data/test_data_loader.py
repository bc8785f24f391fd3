"""Training sees the same samples and numbers however a step is split, and hears of every fault."""

import threading
from itertools import pairwise

import pytest
import torch

from engine.cache.store import CorruptEntryError, MissingEntryError, ShardStore
from engine.data.loader import LoadedSample, Loader
from engine.data.noise import NoiseChanges
from engine.data.order import Order
from engine.data.randomness import draws

SHAPES = [(6, 6)] * 10 + [(7, 5)] * 7
EMPTY = "empty"
CPU = torch.device("cpu")


def text_entry(value):
    return {
        "clip_text": torch.full((77, 8), value).bfloat16(),
        "clip_text_pooled": torch.full((1, 8), value).bfloat16(),
    }


@pytest.fixture
def stores(tmp_path):
    """Latents full of the sample's number, text full of 100 x sample + caption; empty is -1."""
    latents, texts = ShardStore(tmp_path / "latents"), ShardStore(tmp_path / "text")
    with latents.writer() as writer:
        for number, shape in enumerate(SHAPES):
            writer.add(f"latent{number}", {"latents": torch.full((16, *shape), float(number))})
    with texts.writer() as writer:
        writer.add(EMPTY, text_entry(-1.0))
        for number in range(len(SHAPES)):
            for caption in range(2):
                writer.add(f"text{number}.{caption}", text_entry(2.0 * number + caption))
    return latents, texts


@pytest.fixture
def samples():
    return [
        LoadedSample(f"photo{n}.jpg", f"latent{n}", (f"text{n}.0", f"text{n}.1"))
        for n in range(len(SHAPES))
    ]


@pytest.fixture
def loader(stores, samples):
    """Make a loader over global batches of 8, closed when the test ends."""
    made = []

    def make(**options):
        settings = {
            "empty_text_key": EMPTY,
            "seed": 1,
            "caption_dropout_probability": 0.0,
            "rank": 0,
            "world_size": 1,
            "micro_batch_size": 8,
            "num_micro_batches": 1,
            "first_step": 0,
            "last_step": 6,
            "device": CPU,
        }
        order = Order(SHAPES, seed=1, global_batch_size=8)
        made.append(Loader(order, samples, *stores, **settings | options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def walk(loader, steps):
    """All micro-batches of the steps: a list a step."""
    with loader:
        return [list(loader.micro_batches(step)) for step in steps]


def test_a_batch_has_the_documented_shapes_and_is_all_float32(loader):
    [[batch], *_] = walk(loader(), range(2))
    h, w = batch.latents.shape[2:]
    assert (h, w) in SHAPES
    shapes = {
        "latents": (8, 16, h, w),
        "noise": (8, 16, h, w),
        "u": (8,),
        "clip_text": (8, 77, 8),
        "clip_text_pooled": (8, 1, 8),
    }
    for field, shape in shapes.items():
        assert getattr(batch, field).shape == shape
        assert getattr(batch, field).dtype == torch.float32
    numbers = batch.latents[:, 0, 0, 0].int().tolist()
    assert batch.names == tuple(f"photo{number}.jpg" for number in numbers)
    # Each sample has a caption of its own.
    assert (batch.clip_text[:, 0, 0] // 2).int().tolist() == numbers
    assert torch.equal(batch.clip_text[:, 0, 0], batch.clip_text_pooled[:, 0, 0])


def test_batches_follow_the_order_and_the_draws(loader):
    order = Order(SHAPES, seed=1, global_batch_size=8)
    for step, [batch] in enumerate(walk(loader(), range(6))):
        assert batch.names == tuple(f"photo{i}.jpg" for i in order.batch(step).indices)
        for k in range(8):
            drawn = draws(1, step, k, tuple(batch.latents.shape[1:]))
            assert torch.equal(batch.noise[k], torch.from_numpy(drawn.noise))
            assert batch.u[k] == torch.tensor(drawn.u, dtype=torch.float32)


def test_changed_noise_comes_with_the_batch_and_leaves_the_other_draws(loader):
    changes = NoiseChanges(offset=0.1, input_perturbation=0.2)
    changed = walk(loader(noise_changes=changes), range(3))
    for step, ([plain], [batch]) in enumerate(zip(walk(loader(), range(3)), changed, strict=True)):
        assert plain.input_noise is None
        assert torch.equal(plain.u, batch.u)
        assert torch.equal(plain.clip_text, batch.clip_text)
        for k in range(8):
            noise, seen = changes.apply(plain.noise[k].numpy(), 1, step, k)
            assert torch.equal(batch.noise[k], torch.from_numpy(noise))
            assert torch.equal(batch.input_noise[k], torch.from_numpy(seen))
            assert not torch.equal(batch.noise[k], plain.noise[k])


@pytest.mark.parametrize(
    ("world_size", "micro_batch_size", "num_micro_batches"),
    [(1, 4, 2), (2, 4, 1), (2, 2, 2), (4, 1, 2), (8, 1, 1), (1, 1, 8)],
)
def test_a_step_is_the_same_whatever_the_world_size_and_the_micro_batch(
    loader, world_size, micro_batch_size, num_micro_batches
):
    whole = walk(loader(caption_dropout_probability=0.3), range(3))
    ranks = [
        walk(
            loader(
                caption_dropout_probability=0.3,
                rank=rank,
                world_size=world_size,
                micro_batch_size=micro_batch_size,
                num_micro_batches=num_micro_batches,
            ),
            range(3),
        )
        for rank in range(world_size)
    ]
    for step in range(3):
        parts = [ranks[r][step][a] for a in range(num_micro_batches) for r in range(world_size)]
        [batch] = whole[step]
        assert sum((part.names for part in parts), ()) == batch.names
        for field in ("latents", "noise", "u", "clip_text", "clip_text_pooled"):
            joined = torch.cat([getattr(part, field) for part in parts])
            assert torch.equal(joined, getattr(batch, field))


def test_a_resumed_loader_goes_on_as_if_it_had_never_stopped(loader):
    whole = walk(loader(), range(6))
    resumed = walk(loader(first_step=4), range(4, 6))
    for [one], [two] in zip(whole[4:], resumed, strict=True):
        assert one.names == two.names
        assert torch.equal(one.noise, two.noise)
        assert torch.equal(one.clip_text, two.clip_text)


def test_dropped_captions_become_the_empty_caption(loader):
    for [batch] in walk(loader(caption_dropout_probability=1.0), range(2)):
        assert (batch.clip_text == -1).all()
        assert (batch.clip_text_pooled == -1).all()
    batches = walk(loader(caption_dropout_probability=0.5, last_step=40), range(40))
    dropped = torch.cat([batch.clip_text[:, 0, 0] == -1 for [batch] in batches])
    assert 0.4 < dropped.float().mean() < 0.6


def test_every_caption_of_a_photograph_gets_its_turn(loader):
    batches = walk(loader(last_step=40), range(40))
    second = torch.cat([batch.clip_text[:, 0, 0] % 2 for [batch] in batches])
    assert 0.4 < second.mean() < 0.6


def test_a_missing_entry_is_raised_where_its_batch_is_asked_for(loader, stores, samples):
    samples[:] = [LoadedSample("photo.jpg", "nowhere", ("text0.0",))] * len(SHAPES)
    with loader() as broken:
        for _ in range(2):
            with pytest.raises(MissingEntryError, match="nowhere"):
                next(broken.micro_batches(broken._next_step))


def test_a_corrupt_entry_is_raised_and_not_trained_on(loader, stores):
    [path] = stores[0].root.glob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-len(content) // 2 :] = bytes(len(content) // 2 + len(content) % 2)
    path.write_bytes(content)
    with pytest.raises(CorruptEntryError, match="set aside"):
        walk(loader(), range(6))


def test_only_so_many_steps_are_made_ahead(loader):
    with loader(num_micro_batches=2, micro_batch_size=4, last_step=1000, prefetch=2) as ahead:
        waiting = threading.Event()
        while ahead._ready.qsize() < 4:
            waiting.wait(0.001)
        list(ahead.micro_batches(0))
        assert ahead._ready.qsize() <= 4


def test_closing_ends_the_thread_though_nobody_took_what_it_made(loader):
    before = threading.active_count()
    with loader(last_step=10**9):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_closing_twice_or_before_the_start_is_harmless(loader):
    unused = loader()
    unused.close()
    with loader() as used:
        pass
    used.close()


def test_steps_out_of_turn_are_a_fault_of_ours(loader):
    with loader() as strict:
        list(strict.micro_batches(0))
        for wrong in (0, 2):
            with pytest.raises(AssertionError):
                next(strict.micro_batches(wrong))


def test_the_time_spent_waiting_is_counted_once(loader):
    with loader() as counted:
        list(counted.micro_batches(0))
        assert counted.take_wait_seconds() > 0
        assert counted.take_wait_seconds() == 0


def test_batches_differ_from_step_to_step(loader):
    for [one], [two] in pairwise(walk(loader(), range(6))):
        assert not torch.equal(one.u, two.u)

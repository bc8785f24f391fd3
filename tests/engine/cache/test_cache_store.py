"""Shards are whole or absent, and what is read is what was written."""

import errno
import json
import os
import threading
import time
from hashlib import blake2b
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from engine.cache.store import CorruptEntryError, MissingEntryError, ShardStore


def name(number):
    return f"{number:032x}"


def value(number):
    return {"value": torch.full((1024,), float(number))}


def fill(store, numbers, **limits):
    with store.writer(**limits) as writer:
        for number in numbers:
            writer.add(name(number), value(number))


def shards(root):
    return sorted(root.glob("*.safetensors"))


def assert_holds(store, numbers):
    for number in numbers:
        assert torch.equal(store.get(name(number))["value"], value(number)["value"])


def flip_a_byte(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        [byte] = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def test_entries_come_back_as_they_were_in_every_dtype_and_shape(tmp_path):
    entry = {
        "text": torch.randn(77, 64).bfloat16(),
        "pooled": torch.randn(1, 64).half(),
        "latents": torch.randn(16, 24, 24),
        "ids": torch.arange(77),
        "turned": torch.randn(8, 4).T,
        "number": torch.tensor(3.0),
    }
    with ShardStore(tmp_path).writer() as writer:
        writer.add(name(1), entry)
    found = ShardStore(tmp_path).get(name(1))
    assert found.keys() == entry.keys()
    for field, tensor in entry.items():
        assert found[field].dtype == tensor.dtype
        assert torch.equal(found[field], tensor)


def test_a_row_of_a_batch_is_stored_alone(tmp_path):
    # In the file; in memory it may well be the batch's.
    store = ShardStore(tmp_path)
    batch = torch.randn(64, 1024)
    with store.writer() as writer:
        writer.add(name(1), {"value": batch[3]})
    assert torch.equal(store.get(name(1))["value"], batch[3])
    assert store.num_bytes < 3 * 4096


def test_missing_names_what_is_not_there_once_and_in_order(tmp_path):
    store = ShardStore(tmp_path)
    fill(store, [1, 3])
    asked = [name(n) for n in (4, 1, 2, 4, 3)]
    assert store.missing(asked) == [name(4), name(2)]
    assert store.has(name(1))
    assert not store.has(name(2))
    with pytest.raises(MissingEntryError):
        store.get(name(2))


def test_shards_are_cut_at_the_asked_bytes_entries_or_seconds(tmp_path):
    fill(ShardStore(tmp_path / "entries"), range(10), max_entries=4)
    assert len(shards(tmp_path / "entries")) == 3
    fill(ShardStore(tmp_path / "bytes"), range(10), max_shard_bytes=4 * 4096)
    assert len(shards(tmp_path / "bytes")) == 3
    fill(ShardStore(tmp_path / "seconds"), range(3), max_seconds=0)
    assert len(shards(tmp_path / "seconds")) == 3


def test_a_shard_is_plain_safetensors_that_other_readers_open(tmp_path):
    store = ShardStore(tmp_path)
    odd = {"b": torch.arange(3, dtype=torch.float16), "a": torch.arange(5), "c": torch.tensor(2.0)}
    with store.writer() as writer:
        writer.add(name(1), value(1))
        writer.add(name(2), odd)
    [path] = shards(tmp_path)
    with safe_open(path, framework="pt") as file:
        found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    expected = {f"{name(1)}/value": value(1)["value"]}
    expected |= {f"{name(2)}/{field}": tensor for field, tensor in odd.items()}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_the_same_entries_make_the_same_file_and_are_not_written_twice(tmp_path):
    store = ShardStore(tmp_path)
    fill(store, range(3))
    before = [(path, path.stat().st_mtime_ns) for path in shards(tmp_path)]
    fill(store, range(3))
    assert [(path, path.stat().st_mtime_ns) for path in shards(tmp_path)] == before


def test_entries_added_before_an_exception_are_kept(tmp_path):
    store = ShardStore(tmp_path)

    def interrupted():
        with store.writer() as writer:
            writer.add(name(1), value(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert_holds(ShardStore(tmp_path), [1])


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "list", "other version", "older"])
def test_the_index_is_made_again_when_it_is_missing_or_wrong(tmp_path, damage):
    store = ShardStore(tmp_path)
    fill(store, range(6), max_entries=3)
    index = tmp_path / "index.json"
    whole = index.read_text()
    fill(store, range(6, 9))
    newest = index.read_text()
    document = json.loads(newest)
    damaged = {
        "empty": "",
        "cut": newest[: len(newest) // 2],
        "list": "[1]",
        "other version": json.dumps(document | {"version": 99}),
        "older": whole,
    }
    index.unlink()
    if damage in damaged:
        index.write_text(damaged[damage])
    again = ShardStore(tmp_path)
    assert_holds(again, range(9))
    assert len(again) == 9
    assert index.read_text() == newest


def test_a_healthy_index_spares_the_headers(tmp_path):
    fill(ShardStore(tmp_path), range(3))
    [path] = shards(tmp_path)
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len(ShardStore(tmp_path)) == 3


def test_a_shard_that_vanished_takes_its_entries_along(tmp_path):
    store = ShardStore(tmp_path)
    fill(store, range(6), max_entries=3)
    shards(tmp_path)[0].unlink()
    store.refresh()
    assert len(store) == len(ShardStore(tmp_path)) == 3


@pytest.mark.parametrize("where", [-1, -4096, -3 * 4096])
def test_a_flipped_byte_is_noticed_and_the_shard_made_again(tmp_path, where):
    store = ShardStore(tmp_path)
    fill(store, range(3))
    [path] = shards(tmp_path)
    flip_a_byte(path, path.stat().st_size + where)
    store = ShardStore(tmp_path)
    with pytest.raises(CorruptEntryError, match=path.name):
        assert_holds(store, range(3))
    assert store.missing(map(name, range(3))) == [name(0), name(1), name(2)]
    assert [problem.path for problem in store.problems] == [path]
    assert path.with_name(f"{path.name}.corrupt").exists()
    fill(ShardStore(tmp_path), range(3))
    again = ShardStore(tmp_path)
    assert_holds(again, range(3))
    assert again.problems == []


@pytest.mark.parametrize("offset", [3, 9, 30])
def test_a_damaged_header_counts_as_missing_when_the_store_is_opened(tmp_path, offset):
    fill(ShardStore(tmp_path), range(3))
    [path] = shards(tmp_path)
    flip_a_byte(path, offset)
    store = ShardStore(tmp_path)
    # The index, made before, still knows the file by its size and date; its header does not.
    if store.has(name(0)):
        with pytest.raises(CorruptEntryError):
            store.get(name(0))
    assert [problem.path for problem in store.problems] == [path]
    assert len(store) == 0


@pytest.mark.parametrize("keep", [0, 5, 100, 8000])
def test_a_cut_off_shard_counts_as_missing_when_the_store_is_opened(tmp_path, keep):
    fill(ShardStore(tmp_path), range(3))
    [path] = shards(tmp_path)
    os.truncate(path, keep)
    store = ShardStore(tmp_path)
    assert len(store) == 0
    assert [problem.path for problem in store.problems] == [path]
    fill(store, range(3))
    assert_holds(ShardStore(tmp_path), range(3))


def test_a_shard_cut_off_under_a_reader_is_an_error_and_no_crash(tmp_path):
    store = ShardStore(tmp_path)
    fill(store, range(3))
    assert_holds(store, [0])
    [path] = shards(tmp_path)
    os.truncate(path, 1000)
    with pytest.raises(CorruptEntryError):
        store.get(name(2))


def test_verify_finds_what_only_reading_everything_can_find(tmp_path):
    store = ShardStore(tmp_path)
    fill(store, range(6), max_entries=3)
    assert store.verify() == []
    bad, good = shards(tmp_path)
    flip_a_byte(bad, bad.stat().st_size - 1)
    assert [problem.path for problem in store.verify()] == [bad]
    assert len(store) == 3
    assert shards(tmp_path) == [good]


def test_other_files_of_the_folder_are_neither_read_nor_touched(tmp_path):
    others = ["model.safetensors", "notes.txt", f".{name(1)}.json.tmp"]
    for other in others:
        (tmp_path / other).write_bytes(b"mine")
    store = ShardStore(tmp_path)
    fill(store, range(3))
    ShardStore(tmp_path).refresh()
    assert all((tmp_path / other).read_bytes() == b"mine" for other in others)
    assert store.problems == []


def test_a_shard_of_another_format_is_left_alone(tmp_path):
    from safetensors.torch import save

    content = save(value(1), {"format": "cascade-cache-99", "crc32": "{}"})
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    path = tmp_path / f"{blake2b(header, digest_size=16).hexdigest()}.safetensors"
    path.write_bytes(content)
    store = ShardStore(tmp_path)
    assert len(store) == 0
    assert "cascade-cache-99" in store.problems[0].reason
    assert path.read_bytes() == content


def test_only_old_leftovers_of_killed_writers_are_swept(tmp_path):
    old, new = (tmp_path / f".{name(n)}.safetensors.77-ab.tmp" for n in (1, 2))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    ShardStore(tmp_path)
    assert not old.exists()
    assert new.exists()


def test_a_killed_writer_leaves_its_finished_shards_and_nothing_half(tmp_path, write_in_process):
    process = write_in_process(tmp_path, 0, 25, 10, "hold")
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.readline() == "added\n"
    process.kill()
    process.wait()
    store = ShardStore(tmp_path)
    assert store.missing(map(name, range(25))) == [name(number) for number in range(20, 25)]
    assert_holds(store, range(20))
    assert store.problems == []
    fill(store, range(25))
    assert_holds(ShardStore(tmp_path), range(25))


def test_a_writer_killed_at_any_moment_leaves_a_store_that_opens(tmp_path, write_in_process):
    for attempt in range(2):
        root = tmp_path / str(attempt)
        process = write_in_process(root, 0, 3000, 20)
        process.stdin.write("go\n")
        process.stdin.flush()
        waiting = threading.Event()
        while len(shards(root)) <= attempt * 20:
            waiting.wait(0.001)
        process.kill()
        process.wait()
        store = ShardStore(root)
        assert store.problems == []
        assert len(store) >= 20
        assert_holds(store, [n for n in range(3000) if store.has(name(n))])


def test_two_processes_write_into_one_folder_at_once(tmp_path, write_in_process):
    # They overlap in 100..199, and each has entries of its own.
    processes = [write_in_process(tmp_path, first, first + 200, 7) for first in (0, 100)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert process.stdout.readline() == "closed\n"
        assert process.wait() == 0
    store = ShardStore(tmp_path)
    assert store.problems == []
    assert len(store) == 300
    assert_holds(store, range(300))


def test_an_open_store_sees_what_another_process_finished_after_a_refresh(
    tmp_path, write_in_process
):
    store = ShardStore(tmp_path)
    process = write_in_process(tmp_path, 0, 5, 10)
    process.communicate("go\n")
    assert len(store) == 0
    store.refresh()
    assert_holds(store, range(5))


def test_many_threads_read_at_once(tmp_path):
    store = ShardStore(tmp_path)
    fill(store, range(64), max_entries=4)
    failures = []

    def read():
        try:
            assert_holds(store, range(64))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_more_shards_than_may_be_open_are_read_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.cache.store._MAX_OPEN_SHARDS", 3)
    store = ShardStore(tmp_path)
    fill(store, range(12), max_entries=1)
    for _ in range(2):
        assert_holds(store, range(12))
    store.close()
    assert_holds(store, range(12))


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC])
def test_a_cache_on_a_read_only_or_full_disk_is_still_read(tmp_path, monkeypatch, code):
    fill(ShardStore(tmp_path), range(3))
    (tmp_path / "index.json").unlink()
    (tmp_path / f"{'0' * 32}.safetensors").write_bytes(b"damaged")
    open_file = os.open

    def refuse(path, flags, *rest, **options):
        if flags & os.O_CREAT:
            raise OSError(code, os.strerror(code), str(path))
        return open_file(path, flags, *rest, **options)

    def refuse_rename(path, *rest):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "rename", refuse_rename)
    store = ShardStore(tmp_path)
    assert_holds(store, range(3))
    assert len(store.problems) == 1
    with pytest.raises(OSError, match=os.strerror(code)):
        fill(store, range(4))


def test_a_shard_that_cannot_be_written_is_the_writers_error(tmp_path):
    store = ShardStore(tmp_path / "cache")
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError):
        fill(store, range(3))

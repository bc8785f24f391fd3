"""What a scan finds, what it leaves out, and that it says so."""

import errno
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.config.backends import parse_backends
from engine.data.buckets import plan_image
from engine.data.decode import content_id_of
from engine.data.scan import NoImagesError, find_images, scan_backend


def quarantined(report):
    return {item.path.name: item.reason for item in report.quarantined}


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def test_photographs_of_every_kind_are_found_in_the_order_of_their_paths(backend, photograph):
    names = ["b.jpg", "a/z.PNG", "a/b/c.webp", "c.jpeg", "d.bmp", "e.tiff", "f.tif"]
    paths = [photograph(name) for name in names]
    report = scan_backend(backend())
    assert [sample.path for sample in report.samples] == sorted(paths)
    assert report.quarantined == ()
    first = report.samples[0]
    assert (first.width, first.height, first.backend_id) == (64, 64, "primary")
    assert first.content_id == content_id_of(first.path.read_bytes())


def test_a_truncated_jpeg_is_quarantined_with_the_reason_and_left_where_it_is(backend, photograph):
    whole, cut = photograph("whole.jpg"), photograph("cut.jpg", 256, 256)
    content = cut.read_bytes()[: cut.stat().st_size * 2 // 3]
    cut.write_bytes(content)
    report = scan_backend(backend())
    assert [sample.path for sample in report.samples] == [whole]
    assert "truncated" in quarantined(report)["cut.jpg"]
    assert cut.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "known format"), (b"not a picture", "known format"), (b"\x89PNG\r\n\x1a\n", "decoded")],
)
def test_a_file_that_is_no_picture_is_quarantined(backend, photograph, folder, content, reason):
    photograph("good.jpg")
    (folder / "bad.png").write_bytes(content)
    assert reason in quarantined(scan_backend(backend()))["bad.png"]


def test_floating_point_pixels_are_quarantined(backend, photograph, folder):
    photograph("good.jpg")
    Image.fromarray(np.ones((64, 64), np.float32)).save(folder / "float.tiff")
    assert "no fixed range" in quarantined(scan_backend(backend()))["float.tiff"]


def test_a_link_to_nothing_is_quarantined(backend, photograph, folder):
    photograph("good.jpg")
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    assert "can't be read" in quarantined(scan_backend(backend()))["gone.jpg"]


def refuse(path, error):
    pytest.fail(f"{path} should be readable: {error}")


def test_a_folder_linked_into_itself_is_entered_once(photograph, folder):
    path = photograph("a/one.jpg")
    (folder / "a" / "again").symlink_to(folder)
    assert list(find_images(folder, on_unreadable=refuse)) == [path]


def test_hidden_folders_are_not_entered(photograph, folder):
    path = photograph("one.jpg")
    photograph(".thumbnails/one.jpg")
    assert list(find_images(folder, on_unreadable=refuse)) == [path]


@pytest.mark.parametrize("name", ["loop", "loop.jpg"])
def test_a_link_to_itself_is_quarantined_and_the_scan_goes_on(backend, photograph, folder, name):
    photograph("good.jpg")
    (folder / name).symlink_to(name)
    report = scan_backend(backend())
    assert [sample.path.name for sample in report.samples] == ["good.jpg"]
    assert "can't be read: Too many levels" in quarantined(report)[name]


def test_a_folder_that_may_not_be_entered_is_quarantined_in_its_place(
    backend, photograph, folder, monkeypatch
):
    photograph("a.jpg").write_bytes(b"no picture")
    photograph("locked/one.jpg")
    photograph("z.jpg")
    scandir = os.scandir

    def locked(path):  # by hand: root may enter whatever its mode says
        if os.path.basename(path) == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    report = scan_backend(backend())
    assert [sample.path.name for sample in report.samples] == ["z.jpg"]
    assert [item.path.name for item in report.quarantined] == ["a.jpg", "locked"]
    assert report.quarantined[1].reason == "can't be read: Permission denied"


def test_a_named_pipe_is_quarantined_and_not_waited_for(backend, photograph, folder):
    photograph("good.jpg")
    os.mkfifo(folder / "pipe.jpg")
    assert quarantined(scan_backend(backend()))["pipe.jpg"] == "can't be read: not a regular file"


def test_damaged_exif_data_is_quarantined(backend, photograph, folder):
    photograph("good.jpg")
    content = photograph("bad.webp", exif=orientation(6)).read_bytes()
    (folder / "bad.webp").write_bytes(content.replace(b"MM\0*", b"MM\0c"))
    assert "EXIF data is damaged" in quarantined(scan_backend(backend()))["bad.webp"]


def test_a_folder_may_be_given_as_text_and_under_the_home_folder(
    backend, photograph, folder, monkeypatch
):
    path = photograph("good.jpg")
    monkeypatch.setenv("HOME", str(folder.parent))
    for given in (str(folder), f"~/{folder.name}"):
        [sample] = scan_backend(replace(backend(), instance_data_dir=given)).samples
        assert sample.path == path


def test_the_quickstarts_own_backend_is_scanned_as_the_config_reads_it(photograph, folder):
    photograph("a_red_barn.jpg", 900, 800)
    photograph("low.jpg", 900, 700)
    quickstart = Path(__file__).parents[3] / "config/stable_cascade/multidatabackend.json"
    raw = json.loads(quickstart.read_text())
    raw[0]["instance_data_dir"] = str(folder)
    (backend, _), problems = parse_backends(raw)
    assert not [problem for problem in problems if problem.severity == "error"]
    report = scan_backend(backend)
    assert [sample.captions for sample in report.samples] == [("a red barn",)]
    assert "minimum_image_size 768" in quarantined(report)["low.jpg"]
    assert plan_image(report.samples[0], backend, seed=42).bucket == (1024, 1024)


def test_size_is_judged_by_the_shorter_side_as_the_picture_is_seen(backend, photograph):
    photograph("wide_enough.jpg", 200, 128)
    photograph("low.jpg", 200, 127)
    photograph("turned.jpg", 200, 128, exif=orientation(6))
    report = scan_backend(backend(minimum_image_size=128))
    sizes = {sample.path.name: (sample.width, sample.height) for sample in report.samples}
    assert sizes == {"wide_enough.jpg": (200, 128), "turned.jpg": (128, 200)}
    assert "minimum_image_size 128" in quarantined(report)["low.jpg"]


def test_a_strip_that_no_bucket_could_show_half_of_is_quarantined(backend, photograph):
    photograph("four_to_one.jpg", 256, 64)
    photograph("strip.jpg", 260, 64)
    report = scan_backend(backend())
    assert [sample.path.name for sample in report.samples] == ["four_to_one.jpg"]
    assert "more than 4:1" in quarantined(report)["strip.jpg"]


def test_a_photograph_without_a_caption_is_quarantined(backend, photograph, folder):
    photograph("with.jpg")
    photograph("without.jpg")
    photograph("empty.jpg")
    (folder / "with.txt").write_text("a dog\n")
    (folder / "empty.txt").write_text("\n")
    report = scan_backend(backend(caption_strategy="textfile"))
    assert [sample.captions for sample in report.samples] == [("a dog",)]
    assert set(quarantined(report)) == {"without.jpg", "empty.jpg"}


def test_nothing_good_is_an_error_that_names_the_folder_and_the_reasons(
    backend, photograph, folder
):
    photograph("one.jpg")
    (folder / "two.jpg").write_bytes(b"no")
    with pytest.raises(NoImagesError) as caught:
        scan_backend(backend(minimum_image_size=4096))
    message = str(caught.value)
    assert str(folder) in message
    assert "all 2 are left out" in message
    assert "too small" in message
    assert "known format" in message


def test_an_empty_or_missing_folder_is_an_error_that_names_it(backend, folder):
    with pytest.raises(NoImagesError, match="holds no file that ends in bmp, jpeg, jpg"):
        scan_backend(backend())
    folder.rmdir()
    with pytest.raises(NoImagesError, match=f"{folder} does not exist"):
        scan_backend(backend())


def test_a_known_file_is_not_read_again_and_a_changed_one_is(backend, photograph, tmp_path):
    index = tmp_path / "index.json"
    kept, edited = photograph("kept.jpg", seed=1), photograph("edited.jpg", seed=2)
    before = scan_backend(backend(), index_path=index)
    # Same size and date, other bytes: only the index can still say what it said.
    status = kept.stat()
    kept.write_bytes(bytes(status.st_size))
    os.utime(kept, ns=(status.st_atime_ns, status.st_mtime_ns))
    photograph("edited.jpg", seed=3)
    os.utime(edited, ns=(0, edited.stat().st_mtime_ns + 1))
    after = scan_backend(backend(), index_path=index)
    was = {sample.path.name: sample.content_id for sample in before.samples}
    now = {sample.path.name: sample.content_id for sample in after.samples}
    assert now["kept.jpg"] == was["kept.jpg"]
    assert now["edited.jpg"] == content_id_of(edited.read_bytes()) != was["edited.jpg"]


def test_a_caption_edited_in_its_text_file_is_seen_though_the_photograph_is_known(
    backend, photograph, folder, tmp_path
):
    photograph("dog.jpg")
    for caption in ("a dog", "a good dog"):
        (folder / "dog.txt").write_text(caption)
        report = scan_backend(backend(caption_strategy="textfile"), index_path=tmp_path / "i.json")
        assert report.samples[0].captions == (caption,)


def test_a_damaged_index_counts_as_none(backend, photograph, tmp_path):
    index = tmp_path / "index.json"
    photograph("dog.jpg")
    first = scan_backend(backend(), index_path=index)
    whole = index.read_text()
    for damage in (whole[:-9], "[]", '{"version": 1, "files": [[1]]}', '{"version": 99}'):
        index.write_text(damage)
        assert scan_backend(backend(), index_path=index) == first
        assert index.read_text() == whole


def test_what_is_gone_from_the_folder_goes_from_the_index(backend, photograph, tmp_path):
    index = tmp_path / "index.json"
    photograph("stays.jpg")
    gone = photograph("goes.jpg")
    scan_backend(backend(), index_path=index)
    gone.unlink()
    scan_backend(backend(), index_path=index)
    assert [os.path.basename(row[0]) for row in json.loads(index.read_text())["files"]] == [
        "stays.jpg"
    ]


def test_a_scan_that_is_asked_to_stop_says_so_and_keeps_what_it_learnt(
    backend, photograph, tmp_path
):
    index = tmp_path / "index.json"
    for number in range(5):
        photograph(f"dog_{number}.jpg")
    seen = []
    report = scan_backend(
        backend(),
        index_path=index,
        on_progress=lambda done, total: seen.append((done, total)),
        should_stop=lambda: len(seen) == 2,
    )
    assert report.stopped
    assert seen == [(1, 5), (2, 5)]
    assert len(report.samples) == 2
    assert len(json.loads(index.read_text())["files"]) == 2
    assert not scan_backend(backend(), index_path=index).stopped


def test_the_decoder_is_not_told_to_forgive_truncation(backend, photograph):
    from PIL import ImageFile

    photograph("dog.jpg")
    scan_backend(backend())
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_equal_bytes_have_equal_content_ids_whatever_the_name(backend, photograph, folder):
    original = photograph("a.jpg")
    buffer = io.BytesIO(original.read_bytes())
    (folder / "b.jpg").write_bytes(buffer.getvalue())
    ids = {sample.content_id for sample in scan_backend(backend()).samples}
    assert len(ids) == 1


def test_the_configs_own_backend_is_what_a_scan_asks_for(photograph, folder):
    from engine.config.backends import ImageBackend

    photograph("a_dog_001.jpg")
    [sample] = scan_backend(ImageBackend(id="primary", instance_data_dir=str(folder))).samples
    assert sample.captions == ("a dog",)
    assert plan_image(sample, ImageBackend(id="primary"), seed=1).bucket == (1024, 1024)

from pathlib import Path

import pytest

from engine.data.captions import CaptionError, caption_from_name, read_captions


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        ("a_red_barn.jpg", "a red barn"),
        ("a_red_barn_001.jpg", "a red barn"),
        ("a red barn (2).png", "a red barn"),
        ("a_red_barn_001 (2).png", "a red barn"),
        ("a red barn, 1984.jpg", "a red barn, 1984"),
        ("boeing-747.webp", "boeing-747"),
        ("route 66.jpg", "route 66"),
        ("7_dwarfs.jpg", "7 dwarfs"),
        ("ein_großer_Hund__3.jpg", "ein großer Hund"),
    ],
)
def test_a_file_name_spells_its_caption_without_the_numbering(name, caption):
    assert caption_from_name(Path(name)) == caption


def test_a_file_name_of_numbering_alone_is_no_caption():
    with pytest.raises(CaptionError, match="no caption"):
        caption_from_name(Path("_001.jpg"))


def test_a_file_name_that_is_not_unicode_is_no_caption():
    with pytest.raises(CaptionError, match="UTF-8"):
        caption_from_name(Path("caf\udce9.jpg"))


def test_each_line_of_the_text_file_is_a_caption(folder, backend):
    (folder / "dog.txt").write_bytes(b"\xef\xbb\xbfa dog\r\n\r\n  a good dog  \n")
    captions = read_captions(folder / "dog.jpg", backend(caption_strategy="textfile"))
    assert captions == ("a dog", "a good dog")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "no caption file dog.txt"), (b" \n\n", "empty"), (b"caf\xe9", "not UTF-8")],
)
def test_a_missing_or_unusable_text_file_is_a_reason(folder, backend, content, reason):
    if content is not None:
        (folder / "dog.txt").write_bytes(content)
    with pytest.raises(CaptionError, match=reason):
        read_captions(folder / "dog.jpg", backend(caption_strategy="textfile"))


def test_the_instance_prompt_captions_everything(folder, backend):
    options = {"caption_strategy": "instanceprompt", "instance_prompt": "a photo of sks dog"}
    assert read_captions(folder / "1.jpg", backend(**options)) == ("a photo of sks dog",)
    assert read_captions(folder / "1.jpg", backend(**options, prepend_instance_prompt=True)) == (
        "a photo of sks dog",
    )


def test_the_instance_prompt_can_come_before_each_caption(folder, backend):
    options = {"instance_prompt": "sks dog,", "prepend_instance_prompt": True}
    assert read_captions(folder / "on_the_beach.jpg", backend(**options)) == (
        "sks dog, on the beach",
    )


def test_an_instance_prompt_that_is_asked_for_must_be_there(folder, backend):
    with pytest.raises(CaptionError, match="no instance_prompt"):
        read_captions(folder / "1.jpg", backend(caption_strategy="instanceprompt"))

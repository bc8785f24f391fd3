"""`cascade-tui report`: one page that holds what the run did, runs nothing and calls nobody."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from cascade_tui.cli import main
from cascade_tui.plots.report_pictures import MAX_STEPS
from engine.config.environment import Environment
from engine.config.frozen import freeze
from engine.config.live import LiveChange, write_changes
from engine.config.loading import load_project
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import emit_pictures, write_run

EVIL = "<script>alert('x')</script>\x1b[31m\ud800 & \"quoted\""
_VOID = ("meta", "img", "br")


class Page(HTMLParser):
    """The page's tags, balanced, its texts and its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " | ".join(text.strip() for text in self.texts if text.strip())


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunDirectory:
    """A failed run with a frozen config, a meta.json, and hostile texts everywhere."""
    root = tmp_path_factory.mktemp("report") / "a <b>run"
    directory = write_run(root, "failed")
    config = root.parent / "config.toml"
    config.write_text(
        'lora_rank = 8\noutput_dir = "run"\n[validation_prompts]\nfog = "a <i>valley</i>"\n'
        '[[data_backend]]\nid = "mine"\ninstance_data_dir = "photographs"\n'
    )
    freeze(load_project(config, environment=Environment((), frozenset()), check=False), root)
    launch = {"launched": "now", "argv": ["cascade-tui", EVIL], "versions": {"torch": "2.9<"}}
    meta = {"launches": [launch], "hardware": {"name": "NVIDIA H100", "world_size": 2}}
    directory.meta.write_text(json.dumps(meta))
    with EventWriter(directory.events) as writer:
        writer.emit("problem", severity="warning", key="", message=EVIL.replace("\ud800", ""))
        for step in range(600, 2000, 100):
            emit_pictures(directory, writer, step)
        fields = {"text": "x", "seed": 1, "source": "preview"}
        writer.emit("image", step=100, prompt="outside", path="../secret.png", **fields)
        writer.emit("image", step=100, prompt="damaged", path="config.toml", **fields)
        writer.emit("image", step=100, prompt="gone", path="validation/absent.png", **fields)
    write_changes(directory, LiveChange({"checkpoint_step_interval": 250}, {"fog": "<b>rain"}))
    checkpoint = directory.checkpoint_dir(500)
    checkpoint.mkdir(parents=True)
    manifest = {"files": {"a": {"bytes": 1_500_000}, "b": {"bytes": 500_000}}}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    (directory.export / "peft").mkdir(parents=True)
    (directory.export / "peft" / "adapter_model.safetensors").write_bytes(bytes(3000))
    (directory.export / "lora.safetensors").write_bytes(bytes(2000))
    Image.new("RGB", (8, 8)).save(root.parent / "secret.png")
    return directory


@pytest.fixture(scope="module")
def html(run, tmp_path_factory) -> str:
    """The report, as it is written."""
    target = tmp_path_factory.mktemp("page") / "report.html"
    assert main(["report", str(run.root), "--to", str(target)]) == 0
    return target.read_text()


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_it_refers_to_nothing_outside_and_runs_nothing(html, page):
    assert not {"script", "link", "iframe", "object", "form", "a", "base"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "href"]
    urls = [value for name, value in page.attributes if name in ("src", "srcset", "data")]
    assert urls
    assert all(url.startswith("data:image/jpeg;base64,") for url in urls)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", html)
    assert "default-src &#x27;none&#x27;" in html or "default-src 'none'" in html


def test_every_text_of_the_run_is_escaped(html, page):
    assert "a <b>run" in page.text
    assert "a <i>valley</i>" in page.text
    assert "<script>alert('x')</script>␛[31m" in page.text
    assert "\x1b" not in html
    assert "2.9<" in page.text


def test_the_summary_says_how_it_went(page):
    for words in ("failed, exit code 1: CUDA out of memory", "500 of 1000", "2 × NVIDIA H100"):
        assert words in page.text
    assert re.search(r"loss, first → last \| 0\.\d+ → 0\.\d+", page.text)


def test_each_metric_with_values_has_a_curve(page):
    titles = [value for name, value in page.attributes if name == "aria-label"]
    assert [title.split(",")[0] for title in titles] == [
        "loss",
        "learning rate",
        "gradient norm",
        "images per second",
    ]


def test_pictures_are_small_few_and_of_this_run_alone(html, page):
    urls = [value for name, value in page.attributes if name == "src"]
    assert len(urls) <= 3 * MAX_STEPS
    assert "step 100 |" in page.text
    assert "step 1900" in page.text
    assert "11 steps are left out here" in page.text
    for url in urls:
        image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
        assert max(image.size) <= 256
    for problem in ("outside the run", "cannot be read", "the file is gone"):
        assert problem in page.text


def test_checkpoints_and_exports_are_told_with_their_sizes(page):
    assert "checkpoint | checkpoints/step-000000500 | 2.0 MB" in page.text
    assert "export | export/lora.safetensors | 2.0 kB" in page.text
    assert "export | export/peft | 3.0 kB" in page.text


def test_what_was_changed_while_it_ran_is_told_with_both_values(page):
    head = "changed while it ran | at the launch | at last"
    assert f"{head} | checkpoint_step_interval | 500 | 250" in page.text
    assert "validation_prompts.fog | a <i>valley</i> | <b>rain" in page.text


def test_changed_values_are_marked(html):
    assert re.search(r'<tr class="changed"><td>• lora_rank</td><td class="value">8</td>', html)
    assert re.search(r"<tr><td>seed</td>", html)
    assert re.search(r'class="changed"><td>• instance_data_dir', html)


def test_problems_and_checkpoints_are_among_the_events(page):
    assert "checkpoint checkpoints/step-000000500" in page.text
    assert "error: train_batch_size: CUDA out of memory" in page.text


def test_an_empty_run_still_makes_a_page(tmp_path, capsys):
    directory = write_run(tmp_path / "new", "empty")
    assert main(["report", str(directory.root)]) == 0
    target = directory.root / "report.html"
    assert capsys.readouterr().out == f"{target}\n"
    page = Page(target.read_text())
    assert "new" in page.text
    assert "Curves" not in page.text


def test_a_folder_that_is_no_run_is_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "is not a run directory" in capsys.readouterr().err
    assert list(Path(tmp_path).iterdir()) == []

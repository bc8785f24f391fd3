"""Missing weights: told in short, and fetched from the form in the terminal itself."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from form_pilot import checked_form, go_to, open_app, until
from form_project import CONFIG, ENVIRONMENT, write_project
from textual.widgets import OptionList, Static

from cascade_tui.app import CascadeApp
from cascade_tui.draft import Draft
from cascade_tui.fetching import fetch_command, question
from cascade_tui.screens.confirm import ConfirmFetch
from cascade_tui.screens.refused import LaunchRefused
from cascade_tui.widgets.field_list import FieldList
from engine.config.hub import hub_cache
from engine.config.problems import Download
from tests.cascade_tui.hub_stand_in import serving
from tests.pty_terminal import Terminal

_WITHOUT_WEIGHTS = CONFIG.replace('pretrained_model_name_or_path = "weights"\n', "").replace(
    'pretrained_vae_model_name_or_path = "weights"\n', ""
)
_EMPTY = (2).to_bytes(8, "little") + b"{}"
_PUBLISHED = {
    "prior/config.json": b"{}",
    "prior/diffusion_pytorch_model.bf16.safetensors": _EMPTY,
    "text_encoder/config.json": b"{}",
    "text_encoder/model.bf16.safetensors": _EMPTY,
    "tokenizer/vocab.json": b"{}",
    "tokenizer/merges.txt": b"#version",
    "tokenizer/tokenizer_config.json": b"{}",
    "effnet_encoder.safetensors": _EMPTY,
    "previewer.safetensors": _EMPTY,
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config whose weights are on the hub alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return write_project(tmp_path, _WITHOUT_WEIGHTS)


@contextmanager
def _app(config: Path, endpoint: str, *arguments: str) -> Iterator[Terminal]:
    command = [sys.executable, "-m", "cascade_tui", str(config), *arguments]
    variables = {
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with Terminal(command, (80, 24), variables, Path()) as terminal:
        yield terminal


def _fetch(terminal: Terminal) -> None:
    terminal.press("f")
    terminal.shows("y fetch")
    terminal.press("y")


def test_f_fetches_what_both_repositories_lack_in_the_terminal_and_checks_again(config):
    with serving() as hub, _app(config, hub.endpoint) as terminal:
        hub.files = {k: v for k, v in _PUBLISHED.items() if k != "previewer.safetensors"}
        told = terminal.shows("8 files, 8.57 GB, of stabilityai/stable-cascade-prior are not on")
        assert "f fetches them here; or: cascade-tui models config.toml --fetch" in told
        _fetch(terminal)
        told = terminal.shows("enter goes back to cascade-tui")
        assert "previewer.safetensors could not be fetched" in terminal.text().replace("\r\n", "")
        terminal.press("\r")
        terminal.shows("previewer.safetensors .16 MB. of stabilityai/stable-cascade")
        terminal.shows("not everything was fetched")
        hub.files = _PUBLISHED
        began = terminal.now
        _fetch(terminal)
        fetched = "(?s)all are here.*enter goes back to cascade-tui"
        assert terminal.until(fetched, 30, since=began) is not None
        terminal.press("\r")
        terminal.wait_screen(
            lambda screen: "Configure" in screen.text and "✖" not in screen.text, "no error is left"
        )
        terminal.press("q")
        assert terminal.wait_end() == 0
        assert terminal.termios() == terminal.termios_before
    assert hub_cache().is_relative_to(Path().absolute())


def test_ctrl_c_breaks_a_fetch_off_and_leaves_the_app_and_its_edits_alone(config):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with _app(config, f"http://127.0.0.1:{port}", "--set", "lora_rank=8") as terminal:
            terminal.shows("not on this")
            terminal.press("U")
            terminal.shows("nothing to redo")
            _fetch(terminal)
            told = terminal.shows("fetching stabilityai/stable-cascade-prior")
            assert "$ cascade-tui models config.toml --set lora_rank=8 --fetch" in told
            silent.accept()
            terminal.press("\x03")
            terminal.shows("enter goes back to cascade-tui")
            terminal.press("\x03")
            terminal.shows("Configure  config.toml")
            terminal.press("q")
            assert terminal.wait_end() == 0


async def test_the_launch_that_was_refused_tells_each_error_in_short_and_fetches_on_enter(config):
    async with open_app(config).run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        assert form.query_one(FieldList).field.key == "pretrained_model_name_or_path"
        for key in ("enter", "f"):
            await pilot.press("L")
            await until(pilot, lambda: isinstance(pilot.app.screen, LaunchRefused))
            errors = pilot.app.screen.query_one(OptionList)
            assert errors.option_count == 2
            told = str(errors.get_option_at_index(0).prompt)
            assert "8 files, 8.57 GB, of" in told
            assert told.count("\n") == 2
            assert "f fetches them here" in told
            assert "merges.txt" not in told
            await pilot.press(key)
            await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmFetch))
            asked = str(pilot.app.screen.query_one(Static).render())
            assert "Fetch about 8.7 GB of stabilityai/stable-cascade-prior and stabil" in asked
            await pilot.press("escape")
            assert pilot.app.screen is form
        await go_to(pilot, "lora_rank")
        await pilot.press("W")
        assert isinstance(pilot.app.screen, ConfirmFetch)
        await pilot.press("escape")
        write_project(Path(), CONFIG)
        form.draft.set("pretrained_model_name_or_path", "weights")
        form.draft.set("pretrained_vae_model_name_or_path", "weights")
        form.start_check()
        await until(pilot, lambda: form.is_checked)
        await pilot.press("W")
        assert [*pilot.app._notifications][-1].message.startswith("nothing that could be fetched")


@pytest.mark.parametrize(
    ("is_readonly", "offline", "told"), [(True, "", "read only"), (False, "1", "HF_HUB_OFFLINE")]
)
async def test_nothing_is_fetched_when_it_may_not_be(
    config, monkeypatch, is_readonly, offline, told
):
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    app = CascadeApp(config, environment=ENVIRONMENT, is_readonly=is_readonly)
    async with app.run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        await pilot.press("f")
        assert pilot.app.screen is form
        assert told in [*app._notifications][-1].message


def test_the_question_says_how_much_from_where_to_where_and_whether_there_is_room(config):
    asked = question([Download("a/b", 8_570_000_000), Download("c", 10**15)])
    assert "about 1000008.6 GB of a/b and c from huggingface.co into " in asked
    assert "that is not enough" in asked
    asked = question([Download("a/b", 0)], {"HF_ENDPOINT": "https://hf.example/x", "HF_HOME": "."})
    assert asked.startswith("Fetch the missing files of a/b from hf.example into hub? ")
    assert "not enough" not in asked


def test_edits_that_are_not_saved_say_what_is_fetched(config):
    draft = Draft.open(config, ("seed=1",))
    with fetch_command(draft) as command:
        assert command.shown == "cascade-tui models config.toml --set seed=1 --fetch"
    draft.set("model_flavour", "stage-c-lite")
    with fetch_command(draft) as command:
        named = Path(command.arguments[4])
        assert Draft.open(named).document.get("model_flavour") == "stage-c-lite"
        assert Draft.open(named).check(ENVIRONMENT).config.model_flavour == "stage-c-lite"
    assert not named.exists()

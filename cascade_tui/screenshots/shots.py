"""Which pictures are taken: of each screen at the sizes that show it best."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual.widgets import OptionList, SelectionList, Static

from cascade_tui.app import CascadeApp
from cascade_tui.screens.accelerate import AccelerateScreen
from cascade_tui.screens.alerts import AlertScreen
from cascade_tui.screens.change import ChangeForm
from cascade_tui.screens.chart import ChartScreen
from cascade_tui.screens.choose_source import ChooseSource
from cascade_tui.screens.compare import CompareScreen
from cascade_tui.screens.compare_runs import CompareRunsScreen
from cascade_tui.screens.configure import ConfigureScreen
from cascade_tui.screens.confirm import Confirm
from cascade_tui.screens.datasets import DatasetsScreen
from cascade_tui.screens.forecast import ForecastScreen
from cascade_tui.screens.gallery import GalleryScreen, PictureGrid
from cascade_tui.screens.gpus import GpuScreen
from cascade_tui.screens.guide import GuideScreen
from cascade_tui.screens.help import HelpScreen
from cascade_tui.screens.log import LogScreen
from cascade_tui.screens.monitor import MonitorScreen
from cascade_tui.screens.other_runs import OtherRuns
from cascade_tui.screens.picture import PictureScreen
from cascade_tui.screens.presets import PresetsScreen
from cascade_tui.screens.prompts import PromptsScreen
from cascade_tui.screens.raw_text import RawTextScreen
from cascade_tui.screens.runs import RunsScreen
from cascade_tui.screens.welcome import WelcomeScreen
from cascade_tui.screenshots.camera import Camera, Shot
from cascade_tui.screenshots.demo_runs import CONFIG, MAIN, RUNS
from cascade_tui.widgets.field_list import FieldList
from cascade_tui.widgets.run_table import RunTable

SMALL, MIDDLE, LARGE = (80, 24), (120, 36), (200, 50)

Bring = Callable[[Camera], Awaitable[object]]


def while_training() -> tuple[Shot, ...]:
    """Of a run that goes on."""
    return (
        _of_run("monitor", SMALL, monitor),
        _of_run("monitor", MIDDLE, monitor),
        _of_run("monitor", LARGE, monitor),
        _of_run("monitor-light", MIDDLE, monitor, "light"),
        _of_run("monitor-colour-blind", MIDDLE, monitor, "colour-blind"),
        _of_run("monitor-high-contrast", SMALL, monitor, "high-contrast"),
        _of_run("change", SMALL, _over_monitor("i", ChangeForm)),
        _of_run("stop", SMALL, _over_monitor("S", Confirm)),
        _of_run("gpus", SMALL, _over_monitor("u", GpuScreen)),
        _of_run("alerts", SMALL, _over_monitor("exclamation_mark", AlertScreen)),
        _of_runs("runs", SMALL, runs),
    )


def afterwards() -> tuple[Shot, ...]:
    """Of finished runs, and of their config."""
    return (
        _of_run("finished", MIDDLE, monitor),
        _of_run("chart", SMALL, chart),
        _of_run("chart", MIDDLE, chart),
        _of_run("gallery", SMALL, gallery),
        _of_run("gallery", MIDDLE, gallery),
        _of_run("picture", MIDDLE, picture),
        _of_run("log", SMALL, log),
        _of_run("help", SMALL, _over_monitor("question_mark", HelpScreen)),
        _of_run("palette", SMALL, palette),
        _of_runs("compare-runs", MIDDLE, compare_runs),
        _of_runs("welcome", SMALL, welcome),
        _of_runs("guide", SMALL, guide),
        _of_config("configure", SMALL, configure),
        _of_config("configure", MIDDLE, configure),
        _of_config("configure", LARGE, configure),
        _of_config("configure-problem", MIDDLE, configure_problem),
        _of_config("forecast", SMALL, forecast),
        _of_config("presets", MIDDLE, presets),
        _of_config("compare", MIDDLE, compare),
        _of_config("text", MIDDLE, text),
        _of_config("datasets", SMALL, datasets),
        _of_config("datasets", MIDDLE, datasets),
        _of_config("prompts", MIDDLE, prompts),
        _of_config("accelerate", MIDDLE, accelerate),
    )


def _of_run(name: str, size: tuple[int, int], bring: Bring, theme: str = "dark") -> Shot:
    return Shot(name, size, lambda: CascadeApp(run_directory=MAIN, theme=theme), bring)


def _of_runs(name: str, size: tuple[int, int], bring: Bring) -> Shot:
    return Shot(name, size, lambda: CascadeApp(runs_root=RUNS, theme="dark"), bring)


def _of_config(name: str, size: tuple[int, int], bring: Bring) -> Shot:
    return Shot(name, size, lambda: CascadeApp(CONFIG, runs_root=RUNS, theme="dark"), bring)


# -- a run -------------------------------------------------------------------------------------


async def monitor(camera: Camera) -> None:
    """The Monitor, once the run was read."""
    screen = await camera.screen(MonitorScreen)
    await camera.until(lambda: screen.snapshot is not None, "run")


def _over_monitor(key: str, kind: type) -> Bring:
    """What a key opens above the Monitor."""

    async def bring(camera: Camera) -> None:
        await monitor(camera)
        await camera.press(key)
        await camera.screen(kind)

    return bring


async def chart(camera: Camera) -> None:
    """The loss, with the other run over it and the crosshair at a step."""
    await monitor(camera)
    await camera.press("f")
    await camera.screen(ChartScreen)
    await camera.press("o")
    others = await camera.screen(OtherRuns)
    await camera.until(lambda: others.query_one(SelectionList).option_count, "other run")
    await camera.press("space", "enter")
    await camera.screen(ChartScreen)
    await camera.settle()
    await camera.press(*["left"] * 25)


async def gallery(camera: Camera) -> None:
    """Prompts by steps."""
    await monitor(camera)
    await camera.press("4")
    screen = await camera.screen(GalleryScreen)
    await camera.until(lambda: screen.query(PictureGrid), "grid")


async def picture(camera: Camera) -> None:
    """The first prompt's newest picture, as large as can be."""
    await gallery(camera)
    await camera.settle()
    await camera.press("enter")
    await camera.screen(PictureScreen)


async def log(camera: Camera) -> None:
    """The end of the log."""
    await monitor(camera)
    await camera.press("5")
    await camera.screen(LogScreen)


async def palette(camera: Camera) -> None:
    """Everything that a key does now."""
    await monitor(camera)
    await camera.settle()
    await camera.press("ctrl+p")


async def runs(camera: Camera) -> None:
    """Every run in a line."""
    screen = await camera.screen(RunsScreen)
    await camera.until(lambda: screen.query_one(RunTable).runs, "run")


async def compare_runs(camera: Camera) -> None:
    """The two runs beside each other."""
    await runs(camera)
    await camera.settle()
    await camera.press("space", "space", "c")
    screen = await camera.screen(CompareRunsScreen)
    await camera.until(lambda: screen.compared, "run")


# -- a config ----------------------------------------------------------------------------------


async def welcome(camera: Camera) -> None:
    """What there is to begin with."""
    await runs(camera)
    await camera.press("o")
    await camera.screen(WelcomeScreen)


async def guide(camera: Camera) -> None:
    """The four questions, with the folder answered."""
    await welcome(camera)
    await camera.press("n")
    screen = await camera.screen(GuideScreen)
    await camera.write("photographs")
    counted = screen.query_one("#counted", Static)
    await camera.until(lambda: "8 pictures" in str(counted.render()), "count of the pictures")


async def configure(camera: Camera) -> None:
    """The form, checked, at an option of the adapter."""
    screen = await camera.screen(ConfigureScreen)
    await camera.until(lambda: screen.is_checked, "check")
    await _go_to(camera, "lora_rank")


async def configure_problem(camera: Camera) -> None:
    """A value that Stage C does not bear, with the reason and the fix."""
    await configure(camera)
    await _go_to(camera, "mixed_precision")
    await camera.press("space")
    screen = await camera.screen(ConfigureScreen)
    await camera.until(lambda: screen.is_checked, "check")


async def _go_to(camera: Camera, key: str) -> None:
    fields = camera.app.screen.query_one(FieldList)
    await camera.until(lambda: fields.go_to(key), f"field {key}")


async def forecast(camera: Camera) -> None:
    """What the run will take, as the runs before it took it."""
    await configure(camera)
    await camera.press("v")
    await camera.screen(ForecastScreen)


async def presets(camera: Camera) -> None:
    """Starting points, and what one of them would change."""
    await configure(camera)
    await camera.press("p")
    screen = await camera.screen(PresetsScreen)
    await camera.until(lambda: screen.query_one(OptionList).highlighted is not None, "preset")


async def compare(camera: Camera) -> None:
    """The config beside what the shorter run was launched with."""
    await configure(camera)
    await camera.press("d")
    screen = await camera.screen(CompareScreen)
    await camera.press("o")
    sources = await camera.screen(ChooseSource)
    await camera.until(lambda: sources.query_one(OptionList).option_count, "source")
    await camera.write("rank-8")
    await camera.settle()
    await camera.press("enter")
    await camera.until(lambda: screen.is_read and screen.differences, "difference")
    await camera.press("down")


async def text(camera: Camera) -> None:
    """The file itself with a name that was misspelt, and what is said of it."""
    await configure(camera)
    await camera.press("t")
    screen = await camera.screen(RawTextScreen)
    await camera.press("home", "right", "right", "right", "delete")
    await camera.until(lambda: screen.is_checked, "check")


async def datasets(camera: Camera) -> None:
    """The data backends, and the buckets of one."""
    await configure(camera)
    await camera.press("B")
    screen = await camera.screen(DatasetsScreen)
    await camera.press("b")
    told = screen.query_one("#buckets", Static)
    await camera.until(lambda: "to train on" in str(told.render()), "bucket")


async def prompts(camera: Camera) -> None:
    """The validation prompts as a list."""
    await configure(camera)
    await camera.press("V")
    await camera.screen(PromptsScreen)
    await camera.press("down")


async def accelerate(camera: Camera) -> None:
    """How the run will be started."""
    await configure(camera)
    await camera.press("a")
    screen = await camera.screen(AccelerateScreen)
    await camera.until(lambda: screen.plan is not None, "plan")

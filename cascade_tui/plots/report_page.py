"""A run as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from cascade_tui.headless_view import format_bytes, format_duration
from cascade_tui.plots.data import METRICS, line_of
from cascade_tui.plots.report_data import ConfigRow, Report, first_and_last
from cascade_tui.plots.report_files import changes_table, files_section
from cascade_tui.plots.report_pictures import Cell, Grid, picture_grid
from cascade_tui.plots.svg_chart import CHART_CSS, escaped, svg_chart
from cascade_tui.widgets.chart_axis import format_value

_CHART_SIZE = (560, 320)
_SMOOTHING = {"loss": 0.9, "grad_norm": 0.9, "images_per_second": 0.9}
_GLYPHS = {"finished": "✔", "failed": "✖", "lost": "✖", "stopped": "■", "running": "●"}
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_CSS = """
:root{color-scheme:light dark;--ground:#f6f8fa;--card:#ffffff;--ink:#1f2328;--soft:#57606a;
--edge:#d8dee4;--accent:#0b6e99;--bad:#b3261e;--warn:#8a5a00;--good:#1a7f37}
@media (prefers-color-scheme: dark){:root{--ground:#0d1014;--card:#14181d;--ink:#e6edf3;
--soft:#9aa4af;--edge:#2b323a;--accent:#5cc8f2;--bad:#ff8a80;--warn:#e5c558;--good:#7ed67f}}
*{box-sizing:border-box}
body{margin:0 auto;padding:24px 20px 60px;max-width:1220px;background:var(--ground);
color:var(--ink);font:15px/1.5 system-ui,'Segoe UI','DejaVu Sans',Helvetica,Arial,sans-serif}
h1{font-size:24px;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:17px;margin:34px 0 10px}
h3{font-size:14px;margin:18px 0 6px;color:var(--soft)}
p{margin:4px 0}
.soft{color:var(--soft)}
.bad{color:var(--bad)}.warn{color:var(--warn)}.good{color:var(--good)}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:10px;
margin:16px 0}
.facts div{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:8px 12px}
.facts dt{color:var(--soft);font-size:12px}
.facts dd{margin:0;font-size:16px;font-weight:600;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,500px),1fr));gap:14px}
.charts svg{width:100%;height:auto;border:1px solid var(--edge);border-radius:8px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;background:var(--card);font-size:13px;min-width:min(100%,640px)}
th,td{border:1px solid var(--edge);padding:4px 9px;text-align:left;vertical-align:top}
th{color:var(--soft);font-weight:600}
td.value,code{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;
overflow-wrap:anywhere}
tr.changed td.value:not(.soft){font-weight:700;color:var(--accent)}
.when span{white-space:nowrap}
td.size{text-align:right;white-space:nowrap}
.wide{width:100%;table-layout:fixed}
.wide td{overflow-wrap:anywhere}
.pictures td{text-align:center;padding:5px}
.pictures th{max-width:210px}
.pictures th .soft{font-weight:400}
.pictures th:first-child{position:sticky;left:0;background:var(--card)}
.pictures img{display:block;margin:auto}
details{margin:8px 0}
summary{cursor:pointer;color:var(--accent)}
@media (max-width:640px){
body{padding:16px 12px 40px}
.facts{grid-template-columns:repeat(auto-fill,minmax(140px,1fr))}
.charts .chart text{font-size:15px}
.charts .chart text.chart-title{font-size:20px}
.charts .chart text.chart-name{font-size:17px}
.pictures th:first-child{width:96px;min-width:96px;font-size:12px;overflow-wrap:anywhere}
.pictures img{width:116px;height:auto}
table{min-width:100%}
}
@media print{section,svg,tr{break-inside:avoid}.scroll{overflow:visible}}
"""


def report_page(report: Report) -> str:
    """The whole page; every text of the run is escaped."""
    name = escaped(report.run.root.resolve().name)
    sections = [
        _summary(report, name),
        _section("Curves", _curves(report)),
        _section("Validation pictures", _pictures(report)),
        _section("Files", files_section(report.checkpoints, report.exports)),
        _section("Events", _events(report)),
        _section("Config", _config(report)),
        _section("Origin", _origin(report)),
    ]
    made = time.strftime("%Y-%m-%d %H:%M:%S %z")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{name}</title><style>{_CSS}{CHART_CSS}</style></head><body>",
            *filter(None, sections),
            f'<p class="soft">Made by cascade-tui on {made}.</p>',
            "</body></html>\n",
        ]
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>\n{content}\n</section>" if content else ""


# -- the head ---------------------------------------------------------------------------------


def _summary(report: Report, name: str) -> str:
    snapshot, state = report.snapshot, report.snapshot.state
    look = {"failed": "bad", "lost": "bad", "lost-at-reboot": "bad", "finished": "good"}
    words = f"{_GLYPHS.get(state.name, '○')} {state.name}"
    if state.exit_code is not None:
        words += f", exit code {state.exit_code}"
    why = snapshot.exit_reason or state.message
    facts = "".join(
        f"<div><dt>{title}</dt><dd>{escaped(text)}</dd></div>"
        for title, text in _facts(report)
        if text
    )
    state_line = escaped(f"{words}: {why}" if why else words)
    path = escaped(str(report.run.root.resolve()))
    return (
        f'<h1>{name}</h1><p class="{look.get(state.name, "warn")}">{state_line}</p>'
        f'<p class="soft">{path}</p><dl class="facts">{facts}</dl>'
    )


def _facts(report: Report) -> Iterable[tuple[str, str]]:
    snapshot, start = report.snapshot, report.snapshot.start
    total = f" of {snapshot.max_steps}" if snapshot.max_steps else ""
    yield "steps", f"{snapshot.step}{total}"
    yield "began", _moment(report.first_moment)
    yield "last event", _moment(report.last_moment)
    if report.training_seconds:
        yield "time in steps", format_duration(report.training_seconds)
    loss = first_and_last(snapshot.series["loss"])
    if loss is not None:
        yield "loss, first → last", f"{format_value(loss[0])} → {format_value(loss[1])}"
    validation = first_and_last(snapshot.series["validation_loss"])
    if validation is not None:
        first, last = map(format_value, validation)
        yield "validation loss", f"{first} → {last}"
    if snapshot.images_per_second:
        yield "images per second, last", format_value(snapshot.images_per_second)
    if snapshot.peak_memory_bytes:
        yield "peak memory", format_bytes(snapshot.peak_memory_bytes)
    yield "hardware", _hardware(report)
    for key, title in (
        ("num_images", "images"),
        ("num_captions", "captions"),
        ("trainable_parameters", "trained parameters"),
    ):
        if isinstance(start.get(key), int):
            yield title, f"{start[key]:,}"
    if snapshot.last_checkpoint is not None:
        yield "last checkpoint", f"step {snapshot.last_checkpoint}"


def _hardware(report: Report) -> str:
    hardware = report.meta.get("hardware")
    hardware = hardware if isinstance(hardware, dict) else {}
    name = hardware.get("name") or report.snapshot.start.get("device") or ""
    world = hardware.get("world_size") or report.snapshot.start.get("world_size") or 1
    return f"{world} × {name}" if name and world != 1 else str(name)


def _moment(seconds: float) -> str:
    if not math.isfinite(seconds) or not 0 < seconds < 1e11:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


# -- curves and pictures ----------------------------------------------------------------------


def _curves(report: Report) -> str:
    charts = []
    for metric, title in METRICS.items():
        smoothing = _SMOOTHING.get(metric, 0.0)
        line = line_of(report.snapshot, metric, report.snapshot.name, smoothing)
        if first_and_last(line.series) is None:
            continue
        heading = f"{title}, smoothing {smoothing:g}" if smoothing else title
        charts.append(svg_chart(heading, [line], *_CHART_SIZE, has_style=False))
    return f'<div class="charts">{"".join(charts)}</div>' if charts else ""


def _pictures(report: Report) -> str:
    grid = picture_grid(report.snapshot, report.run.root)
    if grid is None:
        return ""
    heads = "".join(f"<th>step {step}</th>" for step in grid.steps)
    rows = "".join(
        f"<tr><th>{escaped(name)}<br><span class='soft'>{escaped(text)}</span></th>"
        f"{''.join(_picture(cell, name) for cell in cells)}</tr>"
        for (name, text), cells in zip(grid.prompts, grid.cells, strict=True)
    )
    table = (
        f'<div class="scroll"><table class="pictures"><tr><th></th>{heads}</tr>{rows}</table></div>'
    )
    return table + _left_out(grid)


def _picture(cell: Cell | None, name: str) -> str:
    if cell is None:
        return "<td></td>"
    if cell.problem:
        return f'<td class="warn">{cell.problem}</td>'
    return (
        f'<td><img src="{cell.url}" width="{cell.width}" height="{cell.height}" '
        f'alt="{escaped(name)}"></td>'
    )


def _left_out(grid: Grid) -> str:
    parts = []
    if grid.num_steps_left_out:
        parts.append(f"{grid.num_steps_left_out} steps")
    if grid.num_prompts_left_out:
        parts.append(f"{grid.num_prompts_left_out} prompts")
    told = f"{' and '.join(parts)} are left out here; their pictures are in the run's validation/"
    return f'<p class="soft">{told}</p>' if parts else ""


# -- events, config, origin -------------------------------------------------------------------


def _events(report: Report) -> str:
    looks = {"error": "bad", "warning": "warn", "quarantine": "warn", "exit": ""}
    rows = "".join(
        f'<tr><td class="when">{_parted(_moment(item.moment))}</td><td>{escaped(item.kind)}</td>'
        f'<td class="{looks.get(item.severity or item.kind, "")}">{escaped(item.text)}</td></tr>'
        for item in report.happenings
    )
    if not rows:
        return ""
    earlier = ""
    if report.num_left_out:
        earlier = f'<p class="soft">{report.num_left_out} earlier ones are left out.</p>'
    return f'{earlier}<div class="scroll"><table>{rows}</table></div>'


def _parted(moment: str) -> str:
    """Date and time, to be broken between them alone."""
    return " ".join(f"<span>{part}</span>" for part in moment.split())


def _config(report: Report) -> str:
    parts = []
    if report.config_trouble:
        parts.append(f'<p class="warn">{escaped(report.config_trouble)}</p>')
    changed = [row for row in report.config if row.is_changed]
    if report.config:
        parts.append(f"<p>{len(changed)} values differ from their defaults (•).</p>")
    if report.changes:
        parts.append(changes_table(report.changes))
    for group, rows in groupby(report.config, key=lambda row: row.group):
        own = list(rows)
        body = "".join(map(_config_row, own))
        num_changed = sum(row.is_changed for row in own)
        told = f", {num_changed} changed" if num_changed else ""
        is_open = " open" if num_changed or group == "validation prompts" else ""
        parts.append(
            f"<details{is_open}><summary>{escaped(group)}: {len(own)}{told}</summary>"
            '<div class="scroll"><table class="wide">'
            "<tr><th>option</th><th>value</th><th>default</th></tr>"
            f"{body}</table></div></details>"
        )
    return "\n".join(parts)


def _config_row(row: ConfigRow) -> str:
    mark, look = ("• ", ' class="changed"') if row.is_changed else ("", "")
    unit = f" <span class='soft'>({escaped(row.unit)})</span>" if row.unit else ""
    default = "" if row.group == "validation prompts" else _shown(row.default)
    return (
        f"<tr{look}><td>{mark}{escaped(row.key)}{unit}</td>"
        f'<td class="value">{escaped(_shown(row.value))}</td>'
        f'<td class="value soft">{escaped(default)}</td></tr>'
    )


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if value != "" else '""'


def _origin(report: Report) -> str:
    """Versions, hashes, and every launch with its command line."""
    meta, parts = report.meta, []
    launches = [item for item in _listed(meta.get("launches")) if isinstance(item, dict)]
    for launch in launches:
        argv = " ".join(map(str, _listed(launch.get("argv"))))
        where = f"{launch.get('user', '?')} on {launch.get('hostname', '?')}"
        parts.append(f"<p>{escaped(str(launch.get('launched', '')))}, {escaped(where)}: ")
        parts.append(f"<code>{escaped(argv)}</code></p>")
    facts: dict[str, Any] = {}
    hardware = meta.get("hardware")
    for key, value in (hardware if isinstance(hardware, dict) else {}).items():
        facts[f"hardware, {str(key).replace('_', ' ')}"] = value
    if launches:
        last = launches[-1]
        facts |= {key: last[key] for key in ("python", "platform") if key in last}
        versions = last.get("versions")
        facts |= versions if isinstance(versions, dict) else {}
    if meta.get("dataset_fingerprint"):
        facts["dataset fingerprint"] = meta["dataset_fingerprint"]
    hashes = meta.get("weight_hashes")
    for name, value in (hashes if isinstance(hashes, dict) else {}).items():
        facts[f"{name} weights"] = value
    rows = "".join(
        f'<tr><td>{escaped(str(name))}</td><td class="value">{escaped(str(value))}</td></tr>'
        for name, value in facts.items()
    )
    return "".join(parts) + (f"<table>{rows}</table>" if rows else "")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

"""Options of optimizer, schedule and loss that would have no effect, or a bad one, are told."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("key", "severity", "options"),
    [
        ("lr_num_cycles", "warning", {"lr_num_cycles": 3}),
        ("lr_num_cycles", "warning", {"lr_scheduler": "cosine_with_restarts"}),
        ("lr_power", "warning", {"lr_power": 2.0}),
    ],
)
def test_what_does_not_go_together_is_told_with_an_edit_that_mends_it(
    files, key, severity, options
):
    problem = files.problem(key, **options)
    assert problem.severity == severity
    assert problem.edit is not None
    files.options[problem.edit.key] = problem.edit.value
    if problem.edit.value is None:
        del files.options[problem.edit.key]
    assert files.problems() == ()


@pytest.mark.parametrize(
    "options",
    [
        {"lr_scheduler": "cosine_with_restarts", "lr_num_cycles": 3},
        {"lr_scheduler": "polynomial", "lr_power": 2.0, "lr_end": 1e-6},
        {"lr_scheduler": "sine"},
    ],
)
def test_what_goes_together_is_not_remarked_on(files, options):
    assert files.problems(**options) == ()

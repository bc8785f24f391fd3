"""The hub as far as it concerns a config: where its cache lies, whether it may be asked, by whom.

Nothing here reads a token or opens a connection.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_TRUE = ("1", "on", "yes", "true")
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?", re.ASCII)
_MAX_CHARACTERS = 96


def hub_cache(variables: Mapping[str, str] = os.environ) -> Path:
    """Where huggingface_hub keeps its files: HF_HUB_CACHE, HF_HOME/hub, or ~/.cache."""
    if variables.get("HF_HUB_CACHE"):
        return Path(variables["HF_HUB_CACHE"]).expanduser()
    return hub_home(variables) / "hub"


def is_offline(variables: Mapping[str, str] = os.environ) -> bool:
    """Whether HF_HUB_OFFLINE forbids every request."""
    return variables.get("HF_HUB_OFFLINE", "").lower() in _TRUE


def has_token(variables: Mapping[str, str] = os.environ) -> bool:
    """Whether a token is in the environment, or lies where `hf auth login` puts it."""
    if variables.get("HF_TOKEN") or variables.get("HUGGING_FACE_HUB_TOKEN"):
        return True
    path = variables.get("HF_TOKEN_PATH")
    return (Path(path).expanduser() if path else hub_home(variables) / "token").is_file()


def name_fault(name: str) -> str:
    """Why ``name`` cannot be that of a repository (``name`` or ``owner/name``); empty if it can."""
    parts = name.split("/")
    if len(parts) > 2:
        return "has more than one slash"
    if len(name) > _MAX_CHARACTERS:
        return f"is longer than {_MAX_CHARACTERS} characters"
    if any(not _NAME.fullmatch(part) for part in parts):
        return "may hold letters, digits, '-', '_' and '.', and begin and end with none of '-', '.'"
    if "--" in name or ".." in name or name.endswith(".git"):
        return "may neither hold -- or .., nor end with .git"
    return ""


def hub_failures() -> tuple[type[Exception], ...]:
    """What huggingface_hub raises where a request fails.

    A connection that breaks off comes up as its HTTP library's own exception (httpx, or httpx2 in
    newer releases), which the hub's own derives from.
    """
    from huggingface_hub.errors import HfHubHTTPError

    transport = HfHubHTTPError.__bases__[0]
    return (transport, OSError, ValueError)


def hub_home(variables: Mapping[str, str] = os.environ) -> Path:
    """Where the hub's tools keep what is theirs: HF_HOME, or ~/.cache/huggingface."""
    cache = variables.get("XDG_CACHE_HOME") or "~/.cache"
    home = variables.get("HF_HOME") or os.path.join(cache, "huggingface")
    return Path(home).expanduser()

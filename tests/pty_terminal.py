"""A program in a pty, watched as the far end of a slow link would see it. Linux only."""

from __future__ import annotations

import fcntl
import os
import platform
import pty
import re
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.vt_screen import VtScreen

_QUIET_SECONDS = 0.06
_BURST_GAP_SECONDS = 0.004
_SYSCALLS = {"x86_64": ("1", "202"), "aarch64": ("64", "98")}  # write, futex
_ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|.)"
)
# What is asked of a terminal, and a modern one's answer: mode 2026 is known, no kitty keyboard.
_ANSWERS = {
    b"\x1b[c": b"\x1b[?62;22c",
    b"\x1b[>0q": b"\x1bP>|bench\x1b\\",
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",
    b"\x1b]11;?": b"\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\",
}
_MODES_OFF = {
    "alternate screen": (b"\x1b[?1049h", b"\x1b[?1049l"),
    "hidden cursor": (b"\x1b[?25l", b"\x1b[?25h"),
    "mouse": (b"\x1b[?1000h", b"\x1b[?1000l"),
    "bracketed paste": (b"\x1b[?2004h", b"\x1b[?2004l"),
}


class Terminal:
    """Runs ``command`` in a terminal of ``size`` (columns, rows), reading at once all it writes.

    ``variables`` are added to the environment; None takes one away. It works in ``folder``.
    ``chunks`` are (seconds since the start, bytes), ``screen`` what they show. CPU and memory are
    of the whole process tree.
    """

    def __init__(
        self,
        command: list[str],
        size: tuple[int, int],
        variables: Mapping[str, str | None] | None = None,
        folder: Path | None = None,
    ) -> None:
        columns, rows = size
        added = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "SSH_TTY": "/dev/pts/9"}
        whose = {"COLUMNS": None, "LINES": None}  # of the terminal that the tests run in
        merged = {**os.environ, **whose, **added, **(variables or {})}
        environment = {name: value for name, value in merged.items() if value is not None}
        self.started = time.monotonic()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            # Here and not by the other end: the program is not to see another size first.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.chdir(folder or Path())
            os.execvpe(command[0], command, environment)
        self.termios_before = termios.tcgetattr(self._fd)
        self.chunks: list[tuple[float, bytes]] = []
        self.screen = VtScreen(size)
        self._is_over = False
        self._changed = threading.Condition()
        self._is_reading = threading.Event()
        self._is_reading.set()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._is_over:
            self._is_reading.wait()
            try:
                if not select.select([self._fd], [], [], 0.5)[0]:
                    continue
                self._is_reading.wait()
                content = os.read(self._fd, 1 << 16)
            except (OSError, ValueError):
                return
            if not content:
                return
            for question, answer in _ANSWERS.items():
                if question in content:
                    os.write(self._fd, answer)
            with self._changed:
                self.chunks.append((time.monotonic() - self.started, content))
                self.screen.feed(content)
                self._changed.notify_all()

    # -- looking -------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def text(self, since: float = 0.0) -> str:
        """What was written since then, without control sequences."""
        content = b"".join(chunk for at, chunk in self.chunks if at >= since)
        return _ESCAPES.sub(b"", content).decode(errors="replace")

    def num_bytes(self, since: float, until: float | None = None) -> int:
        """Bytes written between two times."""
        end = self.now if until is None else until
        return sum(len(chunk) for at, chunk in self.chunks if since <= at <= end)

    def until(self, pattern: str, timeout: float, since: float = 0.0) -> float | None:
        """The time at which what was written matches; None if it did not in time."""
        deadline = time.monotonic() + timeout
        known, text = 0, ""
        while True:
            with self._changed:
                for at, chunk in self.chunks[known:]:
                    known += 1
                    if at < since:
                        continue
                    text = (text + _ESCAPES.sub(b"", chunk).decode(errors="replace"))[-20000:]
                    if re.search(pattern, text):
                        return at
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(min(left, 0.5))

    def shows(self, pattern: str, timeout: float = 30.0) -> str:
        """Wait until the screen shows a pattern; its text. AssertionError if it never does."""
        return self.wait_screen(
            lambda screen: re.search(pattern, screen.text) is not None, pattern, timeout
        )

    def wait_screen(
        self, condition: Callable[[VtScreen], bool], wanted: str, timeout: float = 30.0
    ) -> str:
        """Wait until the screen is as wanted; its text. AssertionError if it never is.

        What is drawn is looked at in whole frames (mode 2026), never in the middle of one.
        """
        with self._changed:
            is_there = self._changed.wait_for(
                lambda: "2026" not in self.screen.modes and condition(self.screen), timeout
            )
            assert is_there, f"not there: {wanted}\n{self.screen.text}"
            return self.screen.text

    def quiet(self, seconds: float = _QUIET_SECONDS, timeout: float = 10.0) -> None:
        """Wait until nothing was written for a while."""
        end = self.now + timeout
        while self.now < end:
            last = self.chunks[-1][0] if self.chunks else 0.0
            if self.now - last > seconds:
                return
            time.sleep(seconds / 6)

    def after_key(self, key: str, timeout: float = 2.0) -> float | None:
        """Press a key; seconds to the end of the next burst of output, None if there is none."""
        self.quiet()
        pressed, known = self.now, len(self.chunks)
        os.write(self._fd, key.encode())
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.chunks) > known, timeout):
                return None
        self.quiet(_BURST_GAP_SECONDS * 3, timeout)
        end = None
        for at, _ in self.chunks[known:]:
            if end is not None and at - end > _BURST_GAP_SECONDS:
                break
            end = at
        return None if end is None else end - pressed

    # -- acting --------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """Type something."""
        os.write(self._fd, key.encode())

    def stall(self) -> None:
        """Read no more, as when a link hangs."""
        self._is_reading.clear()

    def go_on(self) -> None:
        """Read again."""
        self._is_reading.set()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        os.kill(self.pid, number)

    def resize(self, size: tuple[int, int]) -> None:
        """Give the terminal another number of columns and rows."""
        with self._changed:
            self.screen.resize(size)
            columns, rows = size
            fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        """Close the terminal's window, whatever runs in it."""
        self._is_over = True
        self._is_reading.set()
        self._thread.join()  # or it would read from what next has the descriptor's number
        os.close(self._fd)
        self._fd = -1

    def termios(self) -> list[Any]:
        """The settings of the terminal's line, to compare with ``termios_before``."""
        return termios.tcgetattr(self._fd)

    def wait_end(self, timeout: float = 20.0) -> int | None:
        """The exit code; None if it had to be killed because it did not end in time.

        What it wrote last was read by then.
        """
        deadline = time.monotonic() + timeout
        while (ended := os.waitpid(self.pid, os.WNOHANG)) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return None
            time.sleep(0.005)
        self._thread.join(1.0)  # it ends when nobody has the other end open
        return os.waitstatus_to_exitcode(ended[1])

    def end(self, number: signal.Signals | None) -> tuple[float, list[str]]:
        """Send a signal (None: type q); seconds until it is gone, and what was left switched on."""
        began = time.monotonic()
        if number is None:
            self.press("q")
        else:
            os.kill(self.pid, number)
        self.wait_end()
        return time.monotonic() - began, self.left_on()

    def left_on(self) -> list[str]:
        """The modes of the terminal that were switched on and not off again."""
        content = b"".join(chunk for _, chunk in self.chunks)
        return [
            name for name, (on, off) in _MODES_OFF.items() if content.rfind(on) > content.rfind(off)
        ]

    # -- costs ---------------------------------------------------------------------------------

    def cpu_seconds(self) -> float:
        """User and system time of the process tree."""
        ticks = 0
        for pid in self._tree():
            fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15])) if fields else 0
        return ticks / os.sysconf("SC_CLK_TCK")

    def wait_switches(self, number: int) -> int:
        """Wait until its threads have slept and woken that often; how often it was."""
        before = self._num_switches()
        while (passed := self._num_switches() - before) < number:
            time.sleep(0.05)
        return passed

    def _num_switches(self) -> int:
        texts = [_read(f"{task}/status") for task in Path(f"/proc/{self.pid}/task").glob("*")]
        found = [re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M) for text in texts]
        return sum(int(match[1]) for match in found if match)

    def is_stuck(self) -> bool:
        """Whether it waits for somebody to read its output, its main thread included."""
        write, futex = _SYSCALLS[platform.machine()]
        for _ in range(10):
            tasks = Path(f"/proc/{self.pid}/task").glob("*")
            calls = {int(task.name): _read(f"{task}/syscall").split(" ")[0] for task in tasks}
            if calls.pop(self.pid, "") != futex or write not in calls.values():
                return False
            time.sleep(0.02)
        return True

    def memory_mb(self) -> float:
        """Proportional set size of the process tree."""
        total = 0
        for pid in self._tree():
            found = re.search(r"^Pss:\s+(\d+)", _read(f"/proc/{pid}/smaps_rollup"), re.M)
            total += int(found[1]) if found else 0
        return total / 1024

    def _tree(self) -> list[int]:
        found, queue = [], [self.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*"):
                queue += map(int, _read(f"{task}/children").split())
        return found

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _value: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        if self._fd >= 0:
            self.close()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, ProcessLookupError):
        return ""

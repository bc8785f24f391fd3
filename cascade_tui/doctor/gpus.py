"""The NVIDIA driver and its GPUs, asked of NVML."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cascade_tui.doctor.findings import Finding, error, ok, warning

_ANSWER_SECONDS = 15.0
_LEAST_CAPABILITY = (8, 0)  # Ampere: TF32 and bf16
_LEAST_FREE_SHARE = 0.8
_DRIVER_FILE = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU; memory in bytes, `num_processes` that compute on it now."""

    name: str
    total_bytes: int
    free_bytes: int
    capability: tuple[int, int]
    num_processes: int


@dataclass(frozen=True, slots=True)
class Driver:
    """What NVML says; `trouble` why it says nothing, `has_hung` that it did not answer."""

    version: str = ""
    cuda: tuple[int, int] = (0, 0)
    cards: tuple[Card, ...] = ()
    trouble: str = ""
    has_hung: bool = False


def ask_driver() -> Driver:
    """Ask NVML in a thread of its own: an ailing GPU can keep it from ever answering."""
    answers: list[Driver] = []
    thread = threading.Thread(target=lambda: answers.append(_ask()), daemon=True)
    thread.start()
    thread.join(_ANSWER_SECONDS)
    return answers[0] if answers else Driver(has_hung=True)


def check_gpus(
    driver: Driver, torch_cuda: str | None, variables: Mapping[str, str] = os.environ
) -> Iterator[Finding]:
    """The driver answers and suits torch; the GPUs are free and new enough."""
    if driver.has_hung:
        message = f"the driver has not answered for {_ANSWER_SECONDS:.0f} s: a GPU is ailing"
        yield error("driver", message, "look into dmesg for Xid errors; restart the machine")
        return
    if driver.trouble:
        yield from _without_driver(driver.trouble)
        return
    supported = ".".join(map(str, driver.cuda))
    yield ok("driver", f"{driver.version}, for CUDA up to {supported}")
    yield from _check_torch(driver, torch_cuda)
    if not driver.cards:
        yield warning("gpu", "the driver sees no GPU: training runs on the CPU", "look into lspci")
    for index, card in enumerate(driver.cards):
        yield from _check_card(f"gpu {index}", card)
    visible = variables.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and driver.cards:
        message = f"CUDA_VISIBLE_DEVICES={visible or '(empty)'} hides GPUs from the trainer"
        hides_all = visible.strip() in ("", "-1", "NoDevFiles")
        if hides_all or len(visible.split(",")) < len(driver.cards):
            yield warning("gpu", message, "unset CUDA_VISIBLE_DEVICES to use them all")


def _without_driver(trouble: str) -> Iterator[Finding]:
    if _DRIVER_FILE.exists():
        fix = "restart the machine, or install the user part of the driver that is loaded"
        yield error("driver", f"a driver is loaded, but NVML says: {trouble}", fix)
        return
    message = f"no NVIDIA driver ({trouble}): training runs on the CPU, for stage-c-tiny only"
    fix = "install the NVIDIA driver; in a container, start it with --gpus all"
    yield warning("driver", message, fix)


def _check_torch(driver: Driver, torch_cuda: str | None) -> Iterator[Finding]:
    if torch_cuda is None:
        return  # that torch is missing is told elsewhere
    if not torch_cuda:
        if driver.cards:
            fix = "install one with CUDA: see https://pytorch.org/get-started/locally/"
            yield error("torch", "this torch is built without CUDA: it would not use the GPU", fix)
        return
    wanted = int(torch_cuda.split(".")[0])
    if driver.cuda[0] < wanted:
        message = f"torch is built for CUDA {torch_cuda}, the driver supports {driver.cuda[0]}"
        fix = f"update the NVIDIA driver, or install a torch for CUDA {driver.cuda[0]}"
        yield error("torch", message, fix)
    else:
        yield ok("torch", f"built for CUDA {torch_cuda}")


def _check_card(check: str, card: Card) -> Iterator[Finding]:
    free, total = card.free_bytes / 2**30, card.total_bytes / 2**30
    told = f"{card.name}, {free:.1f} of {total:.1f} GiB free"
    if card.capability < _LEAST_CAPABILITY:
        capability = ".".join(map(str, card.capability))
        message = f"{told}; compute capability {capability} has neither TF32 nor bf16"
        yield warning(check, message, "use a card of the Ampere generation or newer (8.0)")
    elif card.free_bytes < _LEAST_FREE_SHARE * card.total_bytes:
        who = f"{card.num_processes} processes compute on it" if card.num_processes else "in use"
        yield warning(check, f"{told}: {who}", "see nvidia-smi, and end what is not needed")
    else:
        yield ok(check, told)


def _ask() -> Driver:
    try:
        import pynvml
    except ImportError as failure:
        return Driver(trouble=f"{failure}: pip install nvidia-ml-py")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as failure:
        return Driver(trouble=str(failure))
    try:
        cuda = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
        return Driver(
            str(pynvml.nvmlSystemGetDriverVersion()),
            (cuda // 1000, cuda % 1000 // 10),
            tuple(_card(index) for index in range(pynvml.nvmlDeviceGetCount())),
        )
    except pynvml.NVMLError as failure:
        return Driver(trouble=str(failure))
    finally:
        pynvml.nvmlShutdown()


def _card(index: int) -> Card:
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    try:
        num_processes = len(pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    except pynvml.NVMLError:
        num_processes = 0  # not told in a container, or on a card shared by MIG
    name = str(pynvml.nvmlDeviceGetName(handle))
    return Card(name, int(memory.total), int(memory.free), (major, minor), num_processes)

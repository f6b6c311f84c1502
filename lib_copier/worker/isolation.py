"""Keeps jobs of one process apart: what one changes of the process is as before when the next begins."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lib_copier.train.control import CONTROL_VARIABLE

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def apart(control: str) -> Iterator[None]:
    """A block that finds the process as it was started, with its own control file, and leaves it so."""
    with ExitStack() as stack:
        for kept in (_environment, _folder, _signals, _logging, _numbers, _torch):
            stack.enter_context(kept())
        stack.enter_context(warnings.catch_warnings())
        os.environ.pop(CONTROL_VARIABLE, None)
        if control:
            os.environ[CONTROL_VARIABLE] = control
        yield


@contextmanager
def _environment() -> Iterator[None]:
    before, path, words = dict(os.environ), list(sys.path), list(sys.argv)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
        sys.path[:], sys.argv[:] = path, words


@contextmanager
def _folder() -> Iterator[None]:
    before = Path.cwd()
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _logging() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = before
        root.setLevel(level)


@contextmanager
def _numbers() -> Iterator[None]:
    """The random numbers of Python and numpy."""
    numpy = sys.modules.get("numpy")
    before, arrays = random.getstate(), numpy.random.get_state() if numpy else None
    try:
        yield
    finally:
        random.setstate(before)
        if numpy and arrays:
            numpy.random.set_state(arrays)


@contextmanager
def _torch() -> Iterator[None]:
    """Torch's random numbers, defaults and switches; a job that loads torch itself leaves its own behind."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        yield
        return
    has_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    if has_gpu:
        torch.cuda.reset_peak_memory_stats()
    numbers = torch.get_rng_state()
    gpu_numbers = torch.cuda.get_rng_state_all() if has_gpu else None
    dtype, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    is_strict, precision = torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn
    switches = {name: getattr(cudnn, name) for name in ("benchmark", "deterministic", "allow_tf32")}
    try:
        yield
    finally:
        torch.set_rng_state(numbers)
        if gpu_numbers is not None:
            torch.cuda.set_rng_state_all(gpu_numbers)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        torch.use_deterministic_algorithms(is_strict)
        torch.set_float32_matmul_precision(precision)
        for name, value in switches.items():
            setattr(cudnn, name, value)

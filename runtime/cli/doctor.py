"""`sparsr doctor`: what of SparSR's runtime works on this machine, and what to install for the rest."""

from __future__ import annotations

import argparse
import base64
import contextlib
import os
import platform
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np

from sparsr.runtime.cli.selfcheck_models import MODELS
from sparsr.runtime.engines.native.build import library_path
from sparsr.runtime.engines.registry import ENGINES, EngineKind, available_cores, load_engine
from sparsr.runtime.errors import EXIT_CHECK_FAILED, SparsrError

_X86_FEATURES = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
)
_ARM_HALF = "asimdhp"
_ARM_FEATURES = ("asimd", _ARM_HALF, "asimddp", "i8mm", "sve")
_CHECK_TIMEOUT = 60  # seconds
_PACKAGES = ("numpy", "pillow", "av")


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `sparsr`."""
    check = commands.add_parser("doctor", help="what works on this machine, and what to install")
    check.set_defaults(command=lambda options: doctor())


def doctor() -> int:
    """Print what works here; 0 if at least one engine does, else 1."""
    print(f"{'python':24}{platform.python_version()} on {platform.system()} {platform.machine()}")
    features = cpu_features()
    print(f"{'cpu':24}{available_cores()} cores, {' '.join(features) or 'features unknown'}")
    print(f"{'--precision fp16':24}{'possible' if _ARM_HALF in features else 'needs an arm64 CPU with FEAT_FP16'}")
    print(f"{'memory':24}{_memory()}")
    for package in _PACKAGES:
        print(f"{package:24}{_version(package) or 'missing'}")
    print(f"{'video':24}{_video()}")
    working, advice = 0, []
    with contextlib.suppress(SparsrError):  # which the engines' own checks tell
        library_path()  # built here if need be: a compiler may take longer than a check is given
    for kind in ENGINES.values():
        if not kind.released:
            print(f"{kind.name:24}{kind.package} has no release for Python {platform.python_version()}; {kind.remedy}")
            continue
        if kind.optional and not kind.installed:
            print(f"{kind.name:24}not installed, optional; {kind.remedy}")
            continue
        trouble = _engine_trouble(kind)
        installed = "SparSR's own" if kind.format == "native" else _version(kind.package)
        print(f"{kind.name:24}{installed or 'missing'}{', works' if not trouble else ''}")
        working += not trouble
        if trouble:
            advice.append(f"{kind.name}: {trouble}\n  {_remedy(kind, trouble)}")
    if _version("av") is None:
        advice.append("videos need PyAV:\n  pip install av")
    if advice:
        print("\nto make the rest work:\n" + "\n".join(advice))
    return 0 if working else EXIT_CHECK_FAILED


def check_engine(name: str) -> None:
    """Run a built-in model (nearest-neighbour x2) in the engine; raises an exception if anything is wrong."""
    kind = ENGINES[name]
    engine = load_engine(name, self_check_model(kind.format), threads=1)
    image = np.random.default_rng(0).random((5, 7, 3), np.float32)
    expected = image.repeat(2, axis=0).repeat(2, axis=1)
    if kind.format == "onnx":
        image, expected = image.transpose(2, 0, 1), expected.transpose(2, 0, 1)
    result = engine.run(np.ascontiguousarray(image[None]))[0]
    if result.shape != expected.shape or np.abs(result - expected).max() > 1e-6:
        raise ValueError("it computes wrong values")


def self_check_model(format: str) -> bytes:
    """The built-in model file in `format`: every pixel becomes 2x2 pixels, any size."""
    return zlib.decompress(base64.b85decode(MODELS[format]))


def cpu_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """The instruction sets that matter for convolutions, as far as the system tells."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return []
    found = next((line.split(":", 1)[1].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return [name for name in _X86_FEATURES + _ARM_FEATURES if name in found]


def _engine_trouble(kind: EngineKind) -> str | None:
    """Why the engine does not work, from a process of its own: a broken one may take it down."""
    code = f"from sparsr.runtime.cli.doctor import check_engine; check_engine({kind.name!r})"
    try:
        result = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, errors="replace", timeout=_CHECK_TIMEOUT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"it does not answer within {_CHECK_TIMEOUT} s"
    if result.returncode == 0:
        return None
    lines = result.stderr.strip().splitlines()
    return lines[-1].split("Error: ", 1)[-1] if lines and result.returncode > 0 else "it crashes"


def _remedy(kind: EngineKind, trouble: str) -> str:
    return ENGINES["native"].remedy if "native engine" in trouble else kind.remedy


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # half a megabyte that no other command needs

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _memory() -> str:
    try:
        pages, available = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return "unknown"
    unit = os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{pages * unit:.1f} GiB, {available * unit:.1f} GiB unused"


def _video() -> str:
    try:
        import av
    except ImportError as error:
        return f"not possible ({error})"
    encoder = next((name for name in ("libx264", "mpeg4") if name in av.codecs_available), None)
    return f"writes with {encoder}" if encoder else "not possible: no encoder"

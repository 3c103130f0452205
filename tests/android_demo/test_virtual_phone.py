"""The runner on an emulated phone behind a real adbd: files to it, a run, the result back, a run cut short."""

from __future__ import annotations

import shutil
import subprocess

import arm64
import numpy as np
import pytest

from sparsr.export.writers.native import write_native
from tests.export import graphs
from tests.virtual_phone import VirtualPhone

WIDTH, HEIGHT = 21, 13


@pytest.fixture(scope="module")
def phone(tmp_path_factory):
    return VirtualPhone(tmp_path_factory.mktemp("phone"))


@pytest.fixture(scope="module")
def files(phone):
    """A runner, a model and a picture beside the phone, and what the emulated runner makes of it."""
    shutil.copy(arm64.runner(), phone.folder / "sparsr_run")
    (phone.folder / "model").write_bytes(write_native(graphs.small_network(value_range=255.0), {}))
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    (phone.folder / "in.ppm").write_bytes(b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT) + pixels.tobytes())
    names = (phone.folder / name for name in ("model", "in.ppm", "expected.ppm"))
    subprocess.run([*arm64.EMULATOR, arm64.runner(), *names], check=True, capture_output=True, timeout=60)
    return phone.folder


RUN = "timeout 60 ./sparsr_run model in.ppm out.ppm --threads 2"


def test_push_run_and_pull(phone, files):
    done = phone(f"""
        adb push sparsr_run model in.ppm {phone.storage} > /dev/null
        adb shell 'cd {phone.storage}; uname -m; getprop ro.product.cpu.abi; {RUN} > report.json'
        adb pull {phone.storage}/out.ppm {phone.storage}/report.json . > /dev/null
    """)
    assert done.returncode == 0, done.stderr
    assert "arm64-v8a" in done.stdout
    assert (files / "out.ppm").read_bytes() == (files / "expected.ppm").read_bytes()
    assert '"instruction_set": "neon"' in (files / "report.json").read_text()


def test_exit_codes_and_messages_come_through(phone, files):
    done = phone(f"""
        adb push sparsr_run in.ppm {phone.storage} > /dev/null
        adb shell 'cd {phone.storage}; timeout 60 ./sparsr_run in.ppm in.ppm bad.ppm'
    """)
    assert done.returncode == 1
    assert "sparsr_run:" in done.stdout + done.stderr


def test_a_run_cut_short_leaves_no_process_and_no_result(phone, files):
    """The phone's own timeout ends a run; so does killing it, as one must where the client went away."""
    long = "./sparsr_run model in.ppm late.ppm --repeat 1000000"
    done = phone(f"""
        adb push sparsr_run model in.ppm {phone.storage} > /dev/null
        adb shell 'cd {phone.storage}; timeout 2 {long}; echo status $?'
        adb shell 'cd {phone.storage}; echo $$ > pid; exec {long}' & client=$!
        sleep 2
        kill $client
        adb shell 'cd {phone.storage}; kill -KILL $(cat pid) 2> /dev/null; sleep 1
            kill -0 $(cat pid) 2> /dev/null || echo none left; ls'
    """)
    assert "status 124" in done.stdout
    assert "none left" in done.stdout
    assert "late.ppm\n" not in done.stdout

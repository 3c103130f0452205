"""Measuring on an emulated phone behind a real adbd: all of it, and what goes wrong on phones."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from sparsr.bench.targets.runner import worker_program
from tests.bench.targets.native_bundle import write_native_bundle
from tests.virtual_phone import VirtualPhone

WIDTH, HEIGHT = 20, 13


@pytest.fixture(scope="module")
def phone(tmp_path_factory):
    if not shutil.which("aarch64-linux-gnu-g++"):
        pytest.skip("needs aarch64-linux-gnu-g++ (apt install g++-aarch64-linux-gnu)")
    opened = VirtualPhone(tmp_path_factory.mktemp("phone"))
    worker_program("aarch64")  # built here, once, and not by every measurement within its time
    opened.bundle, opened.multiply_adds = write_native_bundle(opened.folder / "tiny", WIDTH, HEIGHT)
    return opened


def measured(phone, options="", before="", after=""):
    """The finished `sparsr bench run` on the phone; what is left there is its last lines."""
    command = f"{sys.executable} -m sparsr.bench run tiny --target adb:$ANDROID_SERIAL --engines native"
    return phone(f"""
        {before}
        {command} --size {WIDTH}x{HEIGHT} --rounds 4 --json bench.json {options} && code=0 || code=$?
        {after}
        echo "code $code"
        sleep 0.5
        echo "left:" $(ls -A storage)
    """)


def test_a_bundle_is_measured_on_the_phone_and_nothing_is_left(phone):
    done = measured(phone, "--sustained 4 --cores 0 --cool-down 0.1")
    assert "code 0" in done.stdout, done.stderr
    assert done.stdout.rstrip().endswith("left:")
    data = json.loads((phone.folder / "bench.json").read_text())
    (row,) = data["rows"]
    assert (row["source"], row["failure"]) == ("measured", None)
    assert row["target"].startswith("adb:") and len(row["wall_samples"]) == 4
    assert row["counters"]["multiply_adds"] == phone.multiply_adds
    assert row["difference"]["reference"] == "native, here" and row["difference"]["max_8bit"] == 0
    assert row["memory"]["peak"] > 0 and row["first"] > 0 and row["wall"]["p95"] > 0
    assert data["machine"]["name"] == "Virtual phone"
    assert data["settings"]["cpus"] == [0]
    for state in (data["device"]["before"], data["device"]["after"]):
        assert state["battery"] == "80 %" and state["battery temperature"] == "31.0 C"
        assert state["thermal status"] == "none"
    assert data["sustained"] and data["sustained"][-1]["at"] >= 4
    assert "sustained for" in done.stdout and "battery 80 %" in done.stdout


def said(done):
    return [line for line in (done.stdout + done.stderr).splitlines() if "hint" in line or "error" in line]


def test_a_phone_pulled_in_the_middle_is_a_sentence_and_the_phone_cleans_up(phone):
    pull = "(sleep 12; adb disconnect > /dev/null) & pulled=$!"
    back = "wait $pulled; adb connect $ANDROID_SERIAL > /dev/null"
    done = measured(phone, "--sustained 60", before=pull, after=back)
    assert "code 2" in done.stdout, done.stdout
    assert done.stdout.rstrip().endswith("left:")
    failure = json.loads((phone.folder / "bench.json").read_text())["rows"][0]
    assert failure["failure"] == "it ended before it answered"
    assert failure["hint"] == "is it connected, awake and unlocked?"
    assert "Traceback" not in done.stderr


def test_a_killed_measurer_leaves_nothing_on_the_phone(phone):
    done = phone(f"""
        {sys.executable} -m sparsr.bench run tiny --target adb:$ANDROID_SERIAL --engines native \
            --size {WIDTH}x{HEIGHT} --rounds 100000 2> log & measurer=$!
        for try in $(seq 300); do grep -q measuring log && break; sleep 0.1; done
        ls -A storage
        kill -KILL $measurer
        sleep 3
        echo "left:" $(ls -A storage)
        echo "running:" $(ps -eo args | grep -c '[.]/sparsr_bench')
    """)
    assert "sparsr-bench." in done.stdout
    assert "left:\nrunning: 0" in done.stdout, done.stdout


def test_a_full_phone_is_a_sentence_and_nothing_half_sent_is_left(phone):
    full = "root/data/local/tmp"
    done = measured(phone, before=f"mount -t tmpfs -o size=1m none {full}", after=f'echo "full: [$(ls -A {full})]"')
    assert "full: []" in done.stdout
    assert "code 2" in done.stdout
    assert any("No space left" in line for line in said(done)), done.stderr
    assert any("free some space" in line for line in said(done))


def test_a_phone_with_32_bits_is_a_sentence(phone):
    done = measured(phone, before="echo armeabi-v7a > storage/abi", after="rm storage/abi")
    assert "code 2" in done.stdout
    assert any("there is no runner for armeabi-v7a" in line for line in said(done))
    assert done.stdout.rstrip().endswith("left:")

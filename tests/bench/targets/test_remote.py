import asyncio
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from sparsr.bench.measure.measure import measure
from sparsr.bench.measure.plan import Plan, Subject
from sparsr.bench.report.table import render
from sparsr.bench.targets.adb import Adb
from sparsr.bench.targets.contract import Job, WorkerError
from sparsr.bench.targets.cpu import Cpu
from sparsr.bench.targets.runner import worker_program
from sparsr.bench.targets.ssh import Ssh
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.reference import Reference
from tests.bench.targets.native_bundle import write_native_bundle

asyncssh = pytest.importorskip("asyncssh")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An ssh server in this process; the port it listens on."""
    if not shutil.which("ssh"):
        pytest.skip("needs ssh (apt install openssh-client)")
    folder = tmp_path_factory.mktemp("ssh")
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "key")
    (folder / "key").chmod(0o600)
    key.write_public_key(folder / "key.pub")
    # The client reads its settings where the test says; ~/.ssh is the user's.
    (folder / "ssh").write_text(
        f"#!/bin/sh\nexec {shutil.which('ssh')} -F /dev/null -i {folder}/key -o IdentitiesOnly=yes "
        '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@"\n'
    )
    (folder / "ssh").chmod(0o755)

    async def handle(process):
        child = await asyncio.create_subprocess_shell(
            process.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
        await process.stdout.drain()
        await process.stderr.drain()
        process.exit(await child.wait())

    loop, ports = asyncio.new_event_loop(), []

    async def listen():
        listener = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            authorized_client_keys=str(folder / "key.pub"),
            process_factory=handle,
            encoding=None,
        )
        ports.append(listener.get_port())

    loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}:{path}"
    yield ports[0]
    os.environ["PATH"] = path
    loop.call_soon_threadsafe(loop.stop)


@pytest.fixture
def board(server, tmp_path):
    """The server as a target, whose folders are made in `tmp_path`."""
    target = Ssh(f"tester@127.0.0.1:{server}")
    target.base = str(tmp_path / "board")
    Path(target.base).mkdir()
    yield target
    target.clean_up()
    assert list(Path(target.base).iterdir()) == []


def test_a_bundle_is_measured_over_ssh_and_nothing_is_left(board, tmp_path):
    bundle, expected = write_native_bundle(tmp_path / "tiny", width=20, height=13)
    plan = Plan((Subject("tiny", bundle),), ("native",), 20, 13, 1, 3, target=board)
    (row,) = measure(plan).rows
    assert row.failure is None, row.failure
    assert (row.target, row.source) == (board.name, "measured")
    assert len(row.cpu_samples) == len(row.reference_samples) == 3
    assert min(row.cpu_samples + row.reference_samples) > 0
    assert row.counters.multiply_adds == expected
    assert 0 < row.counters.heap < row.memory.peak
    assert list(Path(board.base).iterdir()) == []


def test_the_output_is_that_of_the_engine_here(board, tmp_path):
    bundle, _ = write_native_bundle(tmp_path / "tiny", width=20, height=13)
    here, there = (
        measure_output(Plan((Subject("tiny", bundle),), ("native",), 20, 13, 1, 1, target=target), tmp_path / name)
        for name, target in (("here", Cpu()), ("there", board))
    )
    np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("change", [0, 9])
def test_a_board_is_held_against_the_result_its_bundle_stores(change, board, tmp_path):
    bundle, _ = write_native_bundle(tmp_path / "tiny", width=20, height=13)
    image = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    result = np.zeros((18, 24, 3), np.uint8)
    NativeModel(bundle.model("native")).run(image, result)
    result[3, 4, 1] += change if result[3, 4, 1] < 128 else -change
    for name, content in Reference(image, result).files().items():
        (bundle.path / name).write_bytes(content)
    results = measure(Plan((Subject("tiny", bundle),), ("native",), 20, 13, 1, 3, target=board))
    (row,) = results.rows
    assert abs(row.stored.max_8bit - change) <= 1 and row.difference.max_8bit == 0
    assert row.correct is row.as_stored is not bool(change)
    assert f"stored result {'FAILED' if change else 'passed'}" in render(results)
    assert list(Path(board.base).iterdir()) == []


def test_a_wrong_output_of_a_board_is_told(board, tmp_path, monkeypatch):
    """It is held against this machine's engine: there is no other engine on the board to disagree."""
    bundle, _ = write_native_bundle(tmp_path / "tiny", width=20, height=13)
    plan = Plan((Subject("tiny", bundle),), ("native",), 20, 13, 1, 3, target=board)
    fetch = Ssh.get

    def get(self, path, file):
        fetch(self, path, file)
        values = np.fromfile(file, "<f4")
        values[7] += 40
        values.tofile(file)

    monkeypatch.setattr(Ssh, "get", get)
    (row,) = measure(plan).rows
    assert (row.difference.reference, row.correct) == ("native, here", False)


def measure_output(plan, file):
    target, subject = plan.target, plan.subjects[0]
    plan.input_image(subject.card.value_range).astype("<f4").tofile(f"{file}.in")
    model = target.put(subject.bundle.path / "model.safetensors", "model")
    image = target.put(Path(f"{file}.in"), "image")
    session = target.run(Job("native", model, 1, (), image, plan.width, plan.height, target.path("out")), 60)
    try:
        session.run()
        session.finish()
        target.get(target.path("out"), file)
    finally:
        session.close()
        target.clean_up()
    return np.fromfile(file, "<f4")


def test_a_failing_worker_says_why(board, tmp_path):
    (tmp_path / "bad").write_bytes(b"no model")
    np.zeros((4, 4, 3), "<f4").tofile(tmp_path / "image")
    model, image = board.put(tmp_path / "bad", "model"), board.put(tmp_path / "image", "image")
    with pytest.raises(WorkerError, match=r"safetensors|model|file"):
        board.run(Job("native", model, 1, (), image, 4, 4, board.path("out")), 60)


def test_the_folder_goes_when_the_measurer_is_killed(board):
    folder = Path(board.path("x")).parent
    assert folder.is_dir()
    board._keeper.kill()
    board._keeper.wait()
    for _ in range(100):
        if not folder.exists():
            break
        threading.Event().wait(0.1)
    assert not folder.exists()


def test_an_unreachable_board_is_one_sentence():
    with pytest.raises(SparsrError, match="ssh:nobody@127") as raised:
        Ssh("nobody@127.0.0.1:1").probe()
    assert raised.value.hint


@pytest.mark.parametrize(
    ("script", "sentence", "what_to_do"),
    [
        ("echo armv7l", "there is no runner for armv7l", "x86_64"),
        ("echo 'tester@host: Permission denied (publickey).' >&2; exit 255", "Permission denied", "check the key"),
        ("case $* in *mktemp*) echo hello;; *) echo aarch64;; esac", "made no folder but said 'hello'", "shell"),
    ],
)
def test_what_a_board_cannot_do_is_one_sentence(script, sentence, what_to_do, tmp_path, monkeypatch):
    (tmp_path / "ssh").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("sparsr.bench.targets.remote.worker_program", refuse_32_bits)
    with pytest.raises(SparsrError, match=sentence) as raised:
        Ssh("host").path("x")
    assert what_to_do in raised.value.hint


def refuse_32_bits(architecture):
    return worker_program(architecture) if architecture == "armv7l" else Path(__file__)


@pytest.mark.parametrize("name", ["../x", "a b", "", "-rf", "a;b", "x" * 101, "$(x)", ".hidden"])
def test_hostile_names_of_files_are_refused(name):
    with pytest.raises(SparsrError, match="no name for a file"):
        Ssh("host").path(name)


@pytest.mark.parametrize("address", ["", "-oProxyCommand=x", "user@-host", "a b", "host:port", "h;ls", "a@b@c"])
def test_hostile_addresses_are_refused(address):
    with pytest.raises(SparsrError, match="not an address"):
        Ssh(address)


@pytest.mark.parametrize("serial", ["-e", "a b", "x;reboot", "$(id)", "x" * 101, "a\nb"])
def test_hostile_serials_are_refused(serial):
    with pytest.raises(SparsrError, match="not a serial"):
        Adb(serial)


def test_a_phone_is_spoken_to_by_lists_of_arguments():
    assert Adb("127.0.0.1:5555").command("echo 'a b'") == ["adb", "-s", "127.0.0.1:5555", "shell", "-T", "echo 'a b'"]
    assert Adb().command("x")[1] == "shell"


@pytest.mark.parametrize(
    ("said", "hint"),
    [("error: device unauthorized.", "unlock"), ("cat: write: No space left on device", "space"), ("", "connected")],
)
def test_what_a_phone_complains_of_has_a_hint(said, hint, tmp_path, monkeypatch):
    (tmp_path / "adb").write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 1\n')
    (tmp_path / "adb").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SparsrError, match="adb:X") as raised:
        Adb("X").probe()
    assert hint in raised.value.hint

"""Checkpoints as files: whole or not there, whatever kills the process or fills the disk, and no damage goes unseen."""

from __future__ import annotations

import ctypes
import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.training.small import HERE, forked
from training.checkpoint import files
from training.checkpoint.files import DamagedCheckpoint
from training.checkpoint.manager import Checkpoints, Policy, SaveFailed

NEWNS, NEWUSER = 0x00020000, 0x10000000


def tensors(step: int, size: int = 1000) -> dict[str, torch.Tensor]:
    made = torch.arange(size, dtype=torch.float32) + step
    return {"model.a": made, "model.b": made.bfloat16()[:7], "optimizer.a.step": torch.tensor(float(step))}


def state(step: int, **more: object) -> dict[str, object]:
    return {"step": step, "validation_loss": None, **more}


def open_in(folder: Path, policy: Policy | None = None, **more: object) -> Checkpoints:
    return Checkpoints(folder, policy or Policy(last=100), HERE, **more)


def saved(folder: Path, *steps: int) -> None:
    with open_in(folder) as checkpoints:
        for step in steps:
            checkpoints.save(tensors(step), state(step))


def assert_is(found: files.Checkpoint | None, step: int, size: int = 1000) -> None:
    assert found is not None
    assert found.step == step
    for name, tensor in tensors(step, size).items():
        part, _, rest = name.partition(".")
        assert torch.equal(found.tensors(part)[rest], tensor)
        assert found.tensors(part)[rest].dtype == tensor.dtype


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    with open_in(tmp_path) as checkpoints:
        assert checkpoints.newest() is None
        for step in (5, 10):
            checkpoints.save(tensors(step), state(step, note=[1, 0.1, None]))
        assert_is(checkpoints.newest(), 10)
        assert_is(checkpoints.newest(at_most=9), 5)
        assert checkpoints.newest(at_most=4) is None
        assert checkpoints.oldest() == 5
        assert checkpoints.newest().state["note"] == [1, 0.1, None]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "step-00000005", "step-00000010"]


def test_a_step_is_not_saved_over(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    with pytest.raises(FileExistsError, match="step-00000005"):
        files.write(tmp_path, {}, state(5))


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "empty"])
def test_damage_is_named_and_the_one_before_is_taken(tmp_path: Path, name: str, damage: str) -> None:
    saved(tmp_path, 10, 20)
    path = tmp_path / "step-00000020" / name
    whole = path.read_bytes()
    draw = random.Random(f"{name} {damage}")
    for _ in range(5 if damage in ("flip", "cut") else 1):
        place = draw.randrange(len(whole))
        if damage == "remove":
            path.unlink()
        else:
            flipped = whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :]
            path.write_bytes({"flip": flipped, "cut": whole[:place], "empty": b""}[damage])
        with pytest.raises(DamagedCheckpoint, match="step-00000020"):
            files.read(tmp_path / "step-00000020")
    told: list[str] = []
    with open_in(tmp_path, tell=told.append) as checkpoints:
        assert_is(checkpoints.newest(), 10)
        assert len(told) == 1
        assert str(path.parent) in told[0]
        assert "damaged-step-00000020" in told[0]
        checkpoints.save(tensors(20), state(20))  # its step is free again
        assert_is(checkpoints.newest(), 20)
    assert (tmp_path / "damaged-step-00000020").is_dir()


def test_nothing_whole_is_an_error_not_a_new_beginning(tmp_path: Path) -> None:
    saved(tmp_path, 10, 20)
    for step in (10, 20):
        (tmp_path / f"step-{step:08}/state.json").write_text("{}")
    with (
        open_in(tmp_path, tell=lambda _: None) as checkpoints,
        pytest.raises(DamagedCheckpoint, match=r"00000020.*00000010"),
    ):
        checkpoints.newest()


def test_a_manifest_leads_to_no_file_elsewhere(tmp_path: Path) -> None:
    saved(tmp_path, 10)
    manifest = tmp_path / "step-00000010/manifest.json"
    rows = json.loads(manifest.read_text())
    rows["files"]["../../elsewhere"] = rows["files"]["state.json"]
    manifest.write_text(json.dumps(rows))
    with pytest.raises(DamagedCheckpoint, match="elsewhere is missing"):
        files.read(manifest.parent)


def test_killed_at_every_operation_of_a_save_and_a_removal(tmp_path: Path) -> None:
    """The process kills itself at the n-th file operation that Python knows of, for every n."""

    def save_and_die(folder: Path, operation: int) -> None:
        with open_in(folder, Policy(last=1)) as checkpoints:
            count = 0

            def hook(event: str, arguments: tuple[object, ...]) -> None:
                nonlocal count
                if event.split(".")[0] in ("open", "os", "shutil") and str(folder) in str(arguments[:1]):
                    count += 1
                    if count == operation:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            checkpoints.save(tensors(20), state(20))

    ended, seen = 0, set()
    for operation in range(1, 200):
        folder = tmp_path / str(operation)
        saved(folder, 10)
        code, _ = forked(lambda folder=folder, operation=operation: save_and_die(folder, operation))
        left = tuple(sorted(path.name for path in folder.iterdir()))
        seen.add(left)
        with open_in(folder) as checkpoints:
            assert not list(folder.glob(".partial*"))
            newest = checkpoints.newest()
            assert newest is not None
            assert_is(newest, newest.step)
        assert code in (0, -signal.SIGKILL)
        if code == 0:
            ended = operation
            break
    assert ended > 15
    assert seen >= {
        (".lock", ".partial-step-00000020", "step-00000010"),
        (".lock", "step-00000010", "step-00000020"),
        (".lock", ".partial-step-00000010", "step-00000020"),
        (".lock", "step-00000020"),
    }


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """A process that saves without end is killed from outside, ever again, and goes on from what is there."""

    def save_without_end(told: int) -> None:
        with open_in(tmp_path, Policy(last=2)) as checkpoints:
            newest = checkpoints.newest()
            step = newest.step if newest else 0
            while True:
                step += 1
                checkpoints.save(tensors(step, 200_000), state(step))
                if step > 1:
                    os.write(told, f"{step - 1}\n".encode())  # the one before is on the disk

    draw, last = random.Random(0), 0
    for _ in range(12):
        receiver, sender = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                save_without_end(sender)
            finally:
                os._exit(1)
        os.close(sender)
        with os.fdopen(receiver, "rb") as lines:
            done = [int(lines.readline()) for _ in range(draw.randrange(1, 4))]
            time.sleep(draw.random() * 0.02)  # where it is then does not matter: what follows holds anywhere
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            done += [int(line) for line in lines.read().split()]
        told: list[str] = []
        with open_in(tmp_path, tell=told.append) as checkpoints:
            newest = checkpoints.newest()
            assert newest is not None
            assert not told
            assert newest.step >= max(done)
            assert_is(newest, newest.step, 200_000)
        assert newest.step >= last
        last = newest.step
    assert last >= 10


def mount_small_disk(folder: Path, size: int) -> bool:
    """Mount a file system of so many bytes, which this process and its children alone see. Whether that is allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(NEWNS):
        if libc.unshare(NEWNS | NEWUSER):
            return False
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    libc.mount(b"none", b"/", None, 0x44000, None)  # what is mounted here is not seen elsewhere
    return libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, f"size={size}".encode()) == 0


@pytest.mark.parametrize("limit", ["disk", "file"])
def test_a_full_disk(tmp_path: Path, limit: str) -> None:
    def fill() -> tuple[str, int, list[str], int] | None:
        if limit == "disk" and not mount_small_disk(tmp_path, 1 << 20):
            return None
        with open_in(tmp_path) as checkpoints:
            checkpoints.save(tensors(10, 20_000), state(10))
            if limit == "file":
                checkpoints.wait()
                resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, -1))
            checkpoints.save(tensors(20, 300_000), state(20))
            try:
                checkpoints.save(tensors(30, 20_000), state(30))  # the error comes with the next save at the latest
            except SaveFailed as error:
                message = str(error)
            left = [path.name for path in tmp_path.iterdir() if path.name != ".lock"]
            assert_is(checkpoints.newest(), 10, 20_000)
            checkpoints.save(tensors(30, 20_000), state(30))  # what was half written takes no room
            assert_is(checkpoints.newest(), 30, 20_000)
            return message, os.getpid(), left, 0

    code, result = forked(fill)
    assert code == 0
    if result is None:
        pytest.skip("mounting a file system needs a right that this process has not")
    message, _, left, _ = result
    assert "newest is of step 10" in message
    assert ("No space left" if limit == "disk" else "too large") in message
    assert left == ["step-00000010"]


def test_an_error_in_the_background_surfaces_and_is_not_repeated(tmp_path: Path) -> None:
    with open_in(tmp_path) as checkpoints:
        checkpoints.save(tensors(5), state(5))
        checkpoints.wait()
        assert not checkpoints.failed
        checkpoints.save(tensors(5), state(5))
        with pytest.raises(SaveFailed, match=r"already there.*newest is of step 5"):
            checkpoints.wait()
        assert not checkpoints.failed
        checkpoints.save(tensors(6), state(6))
    saved_steps = list(files.listed(tmp_path))
    assert saved_steps == [5, 6]
    checkpoints = open_in(tmp_path)
    checkpoints.save(tensors(6), state(6))
    with pytest.raises(SaveFailed):
        checkpoints.close()
    with open_in(tmp_path):  # and the folder is free again
        pass


def test_what_is_saved_is_what_was_there_when_asked(tmp_path: Path) -> None:
    changing = {name: tensor.clone() for name, tensor in tensors(5, 500_000).items()}
    with open_in(tmp_path) as checkpoints:
        checkpoints.save(changing, state(5))
        for tensor in changing.values():
            tensor.zero_()
        assert_is(checkpoints.newest(), 5, 500_000)


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    def second() -> str:
        try:
            open_in(tmp_path)
        except BlockingIOError as error:
            return str(error)
        return "no error"

    with open_in(tmp_path):
        assert "another process trains in" in forked(second)[1]
    assert forked(second)[1] == "no error"


@pytest.mark.parametrize(
    ("policy", "losses", "kept"),
    [
        (Policy(last=2, best=0), {10: None, 20: None, 30: None}, {20, 30}),
        (Policy(last=2, best=0), {10: None}, {10}),
        (Policy(last=2, best=1), {10: 3.0, 20: 2.0, 30: 2.5, 40: 2.6, 50: None}, {20, 40, 50}),
        (Policy(last=2, best=1), {10: 2.0, 20: 2.0, 30: 2.5, 40: 2.6}, {20, 30, 40}),  # of equals the newest
        (Policy(last=2, best=2), {10: 1.0, 20: 3.0, 30: 2.0, 40: None, 50: None}, {10, 30, 40, 50}),
        (Policy(last=2, best=0, every=20), {0: None, 10: None, 20: None, 30: None, 50: None, 60: None}, {0, 20, 50, 60}),
        (Policy(last=2, best=0, lookback=25), {0: None, 10: None, 20: None, 30: None, 40: None}, {10, 30, 40}),
        (Policy(last=2, best=0, lookback=20), {0: None, 10: None, 20: None, 30: None, 40: None}, {20, 30, 40}),
        (Policy(last=2, best=0, lookback=50), {0: None, 10: None, 20: None, 30: None, 40: None}, {30, 40}),
    ],
)  # fmt: skip
def test_the_policy(policy: Policy, losses: dict[int, float | None], kept: set[int]) -> None:
    assert policy.kept(losses) == kept


def test_the_folder_follows_the_policy_over_restarts(tmp_path: Path) -> None:
    measured = {10: 3.0, 20: 1.0, 30: 2.0, 40: None, 50: 2.5, 60: 2.4}
    for step, loss in measured.items():  # every save by another process, which reads the losses of those before
        with open_in(tmp_path, Policy(last=2, every=30, best=1)) as checkpoints:
            checkpoints.save(tensors(step), {"step": step, "validation_loss": loss})
    assert list(files.listed(tmp_path)) == [20, 30, 50, 60]


def test_going_back_discards_what_came_after(tmp_path: Path) -> None:
    saved(tmp_path, 10, 20, 30)
    with open_in(tmp_path) as checkpoints:
        checkpoints.discard_after(10)
        assert_is(checkpoints.newest(), 10)
        checkpoints.save(tensors(20), state(20))
    assert list(files.listed(tmp_path)) == [10, 20]

"""Ray for real: on this machine, on nodes that are killed, behind a token, and asked for what it does not have."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dataenv.errors import JobFailedError, SettingError
from dataenv.execution.executors import make_executor
from tests.faults.cluster import Cluster
from tests.faults.conftest import Faults, same_tables, until
from tests.faults.test_workers import repeated, teach

Observed = Callable[[str], None]


@pytest.fixture
def cluster(faults: Faults) -> Iterator[Cluster]:
    made = Cluster(faults.environ, token="a-token-of-at-least-some-length")
    yield made
    made.close()


@pytest.mark.fault(
    "more processors or GPUs a job than any Ray node has", "refused at once; Ray itself would wait for ever"
)
def test_ray_gives_what_this_process_gives(faults: Faults, tmp_path: Path) -> None:
    """Warm workers too: two on this machine, and no third process ever trains."""
    import ray

    reference = teach(tmp_path / "straight", None)
    executor = make_executor("ray:2")
    (faults.folder / "log").unlink()
    try:
        assert executor.width == 2
        assert teach(tmp_path / "store", executor) == reference
        assert len({pid for pid, _ in faults.log("ended")} - {os.getpid()}) <= 2
        assert os.getpid() not in {pid for pid, _ in faults.log("ended")}
        for asked, said in (({"num_cpus": 64}, "num_cpus is 64"), ({"num_gpus": 0.5}, "the largest Ray node has 0")):
            with pytest.raises(SettingError, match=said):  # Ray is up: this is answered at once, and not never
                make_executor({"kind": "ray", **asked})
        assert ray.is_initialized(), "a second executor found Ray running, and left it so"
    finally:
        executor.close()
    assert not ray.is_initialized()


@pytest.mark.slow
def test_shares_of_gpus_are_counted_as_ray_packs_them(faults: Faults, tmp_path: Path) -> None:
    """Two GPUs in the books alone: 0.25 each goes in eight times, 0.6 twice, for no share spans two."""
    import ray

    ray.init(address="local", num_cpus=8, num_gpus=2, include_dashboard=False, log_to_driver=False)
    try:
        for share, fit in ((0.25, 8), (0.5, 4), (0.6, 2), (1.0, 2), (2.0, 1)):
            assert make_executor({"kind": "ray", "num_gpus": share}).width == fit
        executor = make_executor({"kind": "ray", "num_gpus": 0.25, "workers": 3})
        assert executor.width == 3
        assert len(teach(tmp_path / "store", executor)) == 4
        executor.close()
        assert ray.is_initialized(), "who started Ray ends it"
    finally:
        ray.shutdown()


@pytest.mark.fault("a Ray address at which nobody listens", "one sentence within seconds")
def test_an_address_nobody_listens_at(observed: Observed) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take it
        began = time.monotonic()
        with pytest.raises(SettingError, match=r"cannot be reached.*give --ray-address as host:port"):
            make_executor({"kind": "ray", "address": f"127.0.0.1:{taken.getsockname()[1]}"})
    assert time.monotonic() - began < 10
    with pytest.raises(SettingError, match="'nonsense' cannot be reached"):
        make_executor({"kind": "ray", "address": "nonsense"})
    observed(f"after {time.monotonic() - began:.1f} s")


@pytest.mark.slow
@pytest.mark.fault("a Ray cluster that asks for a token", "in with the right one; with a wrong one, one sentence")
def test_a_cluster_behind_a_token(
    faults: Faults, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, observed: Observed
) -> None:
    board = faults.board()
    words = ["leaderboard", board, "--ray-address", cluster.address, "--quiet"]
    told = faults.driver(*words, RAY_AUTH_TOKEN=cluster.token)
    out, errors = told.communicate(timeout=200)
    assert told.returncode == 0, errors
    assert "training runs computed" in out
    wrong = faults.driver(*words, RAY_AUTH_TOKEN="another-token-of-some-length")
    _, errors = wrong.communicate(timeout=120)
    assert wrong.returncode == 2
    assert "does not let us in" in errors
    assert "RAY_AUTH_TOKEN" in errors
    assert "Traceback" not in errors
    observed("in; and one sentence, exit 2")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.fault(
    "SIGKILL of one of two Ray nodes, its worker held back and let go after its job was given to another",
    "the same table, no row lost or doubled",
)
def test_a_node_is_lost_and_its_worker_finishes_late(
    faults: Faults, cluster: Cluster, tmp_path: Path, observed: Observed
) -> None:
    board = faults.board(seeds=3)
    straight = faults.driver("leaderboard", board, "--quiet", "--workers", "2", "--out", "straight")
    assert straight.wait(300) == 0
    (faults.folder / "log").unlink()
    second = cluster.join()
    driver = faults.driver(
        "leaderboard", board, "--quiet", "--ray-address", cluster.address, DATAENV_FAULTS_PAUSE="0.5",
        RAY_AUTH_TOKEN=cluster.token,
    )  # fmt: skip
    twin = until(lambda: _in_training(faults, cluster.workers(second)), 120)
    os.kill(twin, signal.SIGSTOP)
    os.kill(cluster.raylet(second), signal.SIGKILL)
    begun = next(name for pid, name in reversed(faults.log("begun")) if pid == twin)
    until(lambda: [name for _, name in faults.log("begun")].count(begun) == 2, 300)  # somebody else has taken its job
    os.kill(twin, signal.SIGCONT)
    _, errors = driver.communicate(timeout=400)
    assert driver.returncode == 0, errors
    late = [pid for pid, name in faults.log("ended") if name == begun]
    assert repeated(faults) <= 1 + 1, "one job a worker of the lost node, and the one that was on its way to it"
    same_tables(faults.folder / "straight", faults.folder / "runs")
    observed(f"{repeated(faults)} job repeated; the twin {'finished too' if twin in late else 'died with its node'}")


def _in_training(faults: Faults, workers: list[int]) -> int | None:
    """A worker that began a training run and did not end it."""
    begun, ended = faults.log("begun"), faults.log("ended")
    return next(
        (pid for pid in workers if len([p for p, _ in begun if p == pid]) > len([p for p, _ in ended if p == pid])),
        None,
    )


@pytest.mark.slow
@pytest.mark.fault("a worker on Ray that is stopped and never answers", "given up and tried elsewhere")
def test_a_stopped_worker_is_given_up(faults: Faults, tmp_path: Path, observed: Observed) -> None:
    reference = teach(tmp_path / "straight", None)
    (faults.folder / "log").unlink()
    executor = make_executor({"kind": "ray", "workers": 2, "deadline": 45.0, "patience": 5.0})
    try:
        teach(tmp_path / "store", executor, steps=1)
        faults.set("stop-1")
        assert teach(tmp_path / "store", executor) == reference
    finally:
        executor.close()
    assert repeated(faults) == 1
    observed("1 job repeated, history equal")


@pytest.mark.slow
@pytest.mark.fault("a job for which Ray's memory watch ends the worker", "it fails after 2 tries; no endless loop")
def test_rays_memory_watch(faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, observed: Observed) -> None:
    fields = {
        k: int(v.split()[0]) for k, v in (line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    }
    used = 1 - fields["MemAvailable"] / fields["MemTotal"]
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{used + 0.15:.3f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "50")
    executor = make_executor("ray:1")
    try:
        faults.set("memory-always")
        with pytest.raises(JobFailedError, match="in 2 tries: it ran out of memory"):
            teach(tmp_path / "store", executor)
        assert len(faults.log("memory")) == 2
        (faults.folder / "memory-always").unlink()
        assert len(teach(tmp_path / "store", executor)) == 4
    finally:
        executor.close()
    observed("2 tries, then a failed job; the next one runs")


def test_equal_jobs_on_ray_run_once(faults: Faults, tmp_path: Path) -> None:
    from dataenv.environment.env import TeachingEnv
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import Store
    from tests.faults.conftest import FAULTY

    executor = make_executor("ray:2")
    try:
        runner = Runner(Store(tmp_path / "store"), executor)
        made = [TeachingEnv("skill-list", runner=runner, **FAULTY) for _ in range(2)]
        threads = [threading.Thread(target=env.reset, kwargs={"seed": 0}) for env in made]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    finally:
        executor.close()
    assert len(faults.log("begun")) == 1
    assert made[0].history == made[1].history

"""Jobs as plain Ray tasks: on this machine for as long as they are needed, or on a cluster that is there already.

Tasks and no actors: a job names all it depends on, so nothing is lost with a worker but the job it had. Ray itself
retries nothing (its own retries of a task that never fits are endless); the runner does, and counts.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Self

from dataenv.errors import SettingError
from dataenv.execution.blobs import Blobs
from dataenv.execution.executors.base import Slots, cores, lost_after, on_disk
from dataenv.execution.executors.worker import Limits, hand_over, read_reply, serialized, work
from dataenv.execution.inline import WorkerLostError
from dataenv.execution.jobs import Job, Outcome
from dataenv.execution.spec import ExecutorSpec, refuse_others

CALLS = 1000
"""Jobs after which a worker is made anew: warm for long, and no leak lasts for ever. The default on a GPU is 1."""
TICK = 1.0
SHORT = 40
"""Characters of a folder in which Ray's sockets surely fit: their names add 60, and the system takes 107."""
REACH = 5.0
"""Seconds to reach a cluster's address; Ray itself tries for two minutes."""


class RayTasks:
    """Runs jobs on Ray, on this machine or on a cluster.

    Args:
        spec: Of kind ``ray``.

    Raises:
        SettingError: If the cluster cannot be reached, or no node of it has what one job asks for.
    """

    def __init__(self, spec: ExecutorSpec) -> None:
        self._spec = spec
        self._ours = _connect(spec)
        try:
            self.width = _room(spec)
        except BaseException:
            self._shut()
            raise
        share = spec.num_gpus if 0 < spec.num_gpus < 1 else 1.0
        self._limits = Limits(threads=spec.threads, deadline=spec.deadline, gpu_share=share)
        self._task = _task(spec)
        self._line = Slots(self.width)
        self._flying: dict[Future[Outcome], tuple[Any, float]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    @classmethod
    def from_spec(cls, spec: ExecutorSpec) -> Self:
        """See Executor."""
        refuse_others(spec, "ray")
        return cls(spec)

    def submit(self, job: Job, key: str, blobs: Blobs) -> Future[Outcome]:
        """See Executor."""
        words = serialized(job, key, on_disk(blobs, "ray").root.resolve(), self._limits)
        return self._line.submit(lambda place: self._start(job, words))

    def _start(self, job: Job, words: tuple[str, ...]) -> Future[Outcome]:
        promised: Future[Outcome] = Future()
        if self._closed.is_set():
            raise WorkerLostError("killed", "the executor was closed")
        reference = self._task.remote(*words)
        with self._lock:
            if self._closed.is_set():  # meanwhile: nobody would answer
                raise WorkerLostError("killed", "the executor was closed")
            self._flying[promised] = (reference, time.monotonic())
        reference.future().add_done_callback(partial(self._hand_over, promised, job))
        return promised

    def _hand_over(self, promised: Future[Outcome], job: Job, done: Future[Any]) -> None:
        with self._lock:
            _, began = self._flying.pop(promised, (None, None))
        if began is None:  # given up before
            return
        error = None if done.cancelled() else done.exception()
        if _is_lost(error):
            memory = type(error).__name__ == "OutOfMemoryError"
            promised.set_exception(lost_after(began, self._spec.deadline, memory, f"{type(error).__name__}: {error}"))
        else:
            hand_over(done, promised, partial(read_reply, job=job))

    def _watch(self) -> None:
        """Fail the jobs that are late: their worker never started, or it cannot be reached."""
        import ray

        longest = self._spec.deadline + self._spec.patience
        while not self._closed.wait(TICK):
            now = time.monotonic()
            with self._lock:
                late = [(p, ref) for p, (ref, since) in self._flying.items() if now - since > longest]
                for promised, _ in late:
                    del self._flying[promised]
            for promised, reference in late:
                promised.set_exception(WorkerLostError("deadline", f"no answer from Ray in {longest:.0f} seconds"))
                with contextlib.suppress(Exception):  # the promise is kept; whether Ray can end it is Ray's affair
                    ray.cancel(reference, force=True)

    def close(self) -> None:
        """See Executor."""
        import ray

        with self._lock:
            self._closed.set()
            flying, self._flying = dict(self._flying), {}
        self._line.clear()
        for promised, (reference, _) in flying.items():
            promised.set_exception(WorkerLostError("killed", "the executor was closed"))
            with contextlib.suppress(Exception):  # Ray may be gone, and the job with it
                if ray.is_initialized():
                    ray.cancel(reference, force=True)
        self._shut()

    def _shut(self) -> None:
        import ray

        if self._ours:
            ray.shutdown()


def _task(spec: ExecutorSpec) -> Any:
    """``work`` as a Ray task. ``max_calls`` is heeded in the decorator alone."""
    import ray

    remote = ray.remote(max_calls=CALLS)(work)
    return remote.options(
        num_cpus=spec.num_cpus, num_gpus=spec.num_gpus, max_retries=0, scheduling_strategy="SPREAD", name="dataenv-job"
    )


def _is_lost(error: BaseException | None) -> bool:
    """Whether Ray says that a worker or a node is gone, and not what the job itself raised."""
    from ray import exceptions

    final = (exceptions.RayTaskError, exceptions.RuntimeEnvSetupError, exceptions.TaskUnschedulableError)
    return isinstance(error, exceptions.RayError) and not isinstance(error, final)


# --- the cluster -----------------------------------------------------------------------------------------------------


def _connect(spec: ExecutorSpec) -> bool:
    """Start Ray or join a cluster; ``False`` if the program had started Ray itself, which is then left running."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # a job sent after the end must not start Ray anew
    if spec.address is not None:
        _reach(spec.address)
        if "RAY_AUTH_MODE" not in os.environ and _token_is_there():
            os.environ["RAY_AUTH_MODE"] = "token"  # a cluster asks for one by default; a driver offers none by default
    import ray

    if ray.is_initialized():
        return False
    # Ray takes SIGTERM for itself; a program that has a handler of its own keeps it.
    before = signal.getsignal(signal.SIGTERM) if threading.current_thread() is threading.main_thread() else None
    quiet: Mapping[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if spec.address is not None:
            ray.init(address=spec.address, log_to_driver=False, logging_level=logging.ERROR)
        else:
            room = spec.workers * spec.num_cpus if spec.workers else cores()
            ray.init(address="local", num_cpus=max(1, math.ceil(room)), **quiet)
            _keep_private(Path.home() / ".ray" / "auth_token")
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SettingError(
            f"Ray at {spec.address or 'this machine'} does not let us in ({said}); give --ray-address as host:port of "
            "the head node, and its token in RAY_AUTH_TOKEN (ray get-auth-token prints it there)"
        ) from None
    except OSError as error:  # a socket's name holds about a hundred characters; and the folder may be full or closed
        where = os.environ.get("RAY_TMPDIR", "/tmp")
        raise SettingError(
            f"Ray cannot keep its files in {where} ({error.strerror or error}); set RAY_TMPDIR to a folder that can be "
            f"written and whose path is short, of at most {SHORT} characters"
        ) from None
    finally:
        if callable(before):
            signal.signal(signal.SIGTERM, before)
    return True


def _reach(address: str) -> None:
    """Whether anything listens at an address; Ray itself would take two minutes to find out."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH).close()
    except (OSError, ValueError) as error:
        raise SettingError(
            f"ray address {address!r} cannot be reached ({error}); give --ray-address as host:port of the head node"
        ) from None


def _token_is_there() -> bool:
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(named) or (Path.home() / ".ray" / "auth_token").exists()


def _keep_private(token: Path) -> None:
    """Let only the user read Ray's token, which allows running code on the cluster; Ray lets everybody read it."""
    if token.exists() and token.stat().st_uid == os.getuid():
        token.chmod(0o600)


def _room(spec: ExecutorSpec) -> int:
    """How many jobs fit on the nodes at once; a SettingError if none does, for Ray would wait without end."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    asked = {"CPU": spec.num_cpus, "GPU": spec.num_gpus}
    for name, amount in asked.items():
        most = max((node.get(name, 0.0) for node in nodes), default=0.0)
        if amount > most:
            raise SettingError(
                f"num_{name.lower()}s is {amount:g} a job and the largest Ray node has {most:g}; ask less, or start a "
                "node that has them"
            )
    wanted = [(name, amount) for name, amount in asked.items() if amount]
    fit = sum(min(_times(node.get(name, 0.0), amount, name) for name, amount in wanted) for node in nodes)
    if not fit:
        raise SettingError(
            f"num_cpus {spec.num_cpus:g} and num_gpus {spec.num_gpus:g} a job are on no Ray node together; ask "
            "less, or start a node that has both"
        )
    return min(fit, spec.workers) if spec.workers else fit


def _times(there: float, amount: float, name: str) -> int:
    """How many jobs of an amount fit on a node; a share of a GPU never spans two, so 0.6 fits twice on 2."""
    if name == "GPU" and amount < 1:
        return int(there) * int(1 / amount + 1e-9)
    return int(there / amount + 1e-9)

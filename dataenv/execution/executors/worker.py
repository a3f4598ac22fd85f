"""What runs in a worker: texts go in, and texts and a blob come out."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from dataenv.errors import DataenvError, SettingError, StoreError
from dataenv.execution.blobs import BlobCorruptError, Blobs, DiskBlobs
from dataenv.execution.executors.base import HUNG
from dataenv.execution.inline import Inline, WorkerLostError
from dataenv.execution.jobs import Job, Outcome, execute_many, student_of
from dataenv.execution.store import ROWS
from students.base import TrainingDivergedError
from tasks.records import Record, canonical_json

T = TypeVar("T")


class Limits(Record):
    """What a worker keeps to.

    Attributes:
        threads: Torch threads.
        deadline: Seconds a job may run.
        gpu_share: Share of one GPU's memory that it may take; 1 for all of it.
        card: Which of the cards that can be seen it computes on; ``None`` for PyTorch's choice, the first.
    """

    threads: int = Field(default=1, ge=1)
    deadline: float = Field(default=1800.0, gt=0)
    gpu_share: float = Field(default=1.0, gt=0, le=1)
    card: int | None = None


Reply = tuple[str, str]
"""What became of a job, and the text that goes with it; exceptions of our own do not travel well."""


def serialized(job: Job, key: str, root: Path, limits: Limits) -> tuple[str, str, str, str, str]:
    """The arguments of ``work``."""
    fingerprint = student_of(job.student).fingerprint
    return job.text(), key, fingerprint, str(root), limits.model_dump_json()


def work(job: str, key: str, fingerprint: str, root: str, limits: str) -> Reply:
    """Run a job.

    Args:
        job: A ``Job`` as JSON.
        key: Its key, as the driver computed it.
        fingerprint: Of the student, as the driver computed it.
        root: Folder of the blobs.
        limits: ``Limits`` as JSON.

    Returns:
        ``outcome`` and the Outcome; or ``corrupt`` and a blob's name, ``diverged``, ``memory``,
        ``differs`` and why, or ``elsewhere`` where this machine does not see the store.
    """
    return work_many(fingerprint, root, limits, job, key)[0]


def work_many(fingerprint: str, root: str, limits: str, *given: str) -> list[Reply]:
    """Run jobs of one student at once, within one deadline.

    Args:
        fingerprint: See ``work``, as the next two.
        root: Folder of the blobs.
        limits: ``Limits`` as JSON.
        given: Job, key, job, key …

    Returns:
        A reply to each job. Where memory ran out, that is the reply to all.
    """
    texts, keys = given[::2], given[1::2]
    if not (Path(root).parent / ROWS).exists():
        return [("elsewhere", root)] * len(keys)
    kept = Limits.model_validate_json(limits)
    _prepare(kept)
    with _deadline(kept.deadline, Path(root).parent / HUNG):
        jobs = [Job.model_validate_json(text) for text in texts]
        student = student_of(jobs[0].student)
        if student.fingerprint != fingerprint or any(job.key() != key for job, key in zip(jobs, keys, strict=True)):
            # The names of states and answers cover code and numerics class: a worker of others must not fill them.
            return [("differs", canonical_json(student.numerics))] * len(keys)
        try:
            return list(map(_reply, execute_many(jobs, keys, DiskBlobs(Path(root)))))
        except DataenvError as error:
            return [_reply(error)] * len(keys)
        except Exception as error:
            if _is_memory(error):
                return [("memory", str(error) or "MemoryError")] * len(keys)
            raise portable(error) from None
        finally:
            _let_go()


def _reply(ended: Outcome | DataenvError) -> Reply:
    """What a job came to, as text; an error that has no text of its own is raised."""
    if isinstance(ended, Outcome):
        return "outcome", ended.model_dump_json()
    if isinstance(ended, BlobCorruptError):
        return "corrupt", ended.name
    if isinstance(ended, TrainingDivergedError):
        return "diverged", str(ended)
    raise portable(ended) from None


class InlineWithDeadline(Inline):
    """Runs each job at once in this worker, which ends itself at a job's deadline."""

    def __init__(self, limits: Limits, root: Path) -> None:
        self._limits, self._log = limits, root.parent / HUNG
        _prepare(limits)

    def submit(self, job: Job, key: str, blobs: Blobs) -> Future[Outcome]:
        """See Executor."""
        with _deadline(self._limits.deadline, self._log):
            return super().submit(job, key, blobs)


def read_reply(reply: Reply, job: Job) -> Outcome:
    """The outcome in a worker's reply, or the error that it stands for."""
    kind, text = reply
    if kind == "outcome":
        return Outcome.model_validate_json(text)
    if kind == "corrupt":
        raise BlobCorruptError(text)
    if kind == "diverged":
        raise TrainingDivergedError(text)
    if kind == "memory":
        raise WorkerLostError("memory", text)
    if kind == "elsewhere":
        raise StoreError(f"a worker's machine does not see the store at {text}; give a --store that every node shares")
    raise SettingError(f"executor: {_difference(text, job)}")


def hand_over(done: Future[Any], promised: Future[T], read: Callable[[Any], T]) -> None:
    """Give what a worker's future came to, a reply as it is read or an exception, to the future that was promised."""
    if promised.done():  # given up before
        return
    if done.cancelled():
        promised.cancel()
        return
    try:
        promised.set_result(read(done.result()))
    except Exception as error:
        promised.set_exception(error)


def _difference(theirs: str, job: Job) -> str:
    import json

    here, there = student_of(job.student).numerics, json.loads(theirs)
    differ = [f"{name} {there.get(name)} there and {here.get(name)} here" for name in here | there
              if here.get(name) != there.get(name)]  # fmt: skip
    what = ", ".join(differ) or "the student's code is another"
    return f"a worker's machine computes otherwise than this one ({what}); make them alike, or start from one like it"


def _prepare(limits: Limits) -> None:
    """Set the number of threads before torch is loaded: too many threads on busy cores slow it down tenfold."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(limits.threads)
    if limits.card is not None and "torch" not in sys.modules:  # PyTorch asks once
        os.environ["CUDA_VISIBLE_DEVICES"] = cards()[limits.card]
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(limits.threads)
    if limits.gpu_share < 1 and os.environ.get("CUDA_VISIBLE_DEVICES"):
        import torch

        if torch.cuda.is_available():  # Ray's share of a GPU is a number in its books: the memory is ours to divide
            torch.cuda.set_per_process_memory_fraction(limits.gpu_share)


@contextlib.contextmanager
def _deadline(seconds: float, log: Path) -> Iterator[None]:
    """End this process if the block takes longer, and write to ``log`` where it was."""
    # The watch is a thread of the interpreter's own, in C: it ends a process that no signal handler would reach.
    with log.open("a", encoding="utf-8") as file:
        faulthandler.dump_traceback_later(seconds, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def cards() -> list[str]:
    """The NVIDIA cards that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them; found without PyTorch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    found = Path("/proc/driver/nvidia/gpus")
    return [str(i) for i, _ in enumerate(found.iterdir())] if found.is_dir() else []


def _is_memory(error: Exception) -> bool:
    """Whether memory ran out: Python's, a GPU's, or the processor's as torch says it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, which may not be loaded
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def portable(error: Exception) -> Exception:
    """The error, or a copy of it that can be pickled: an error that cannot would look like a lost worker."""
    try:
        pickle.loads(pickle.dumps(error))  # what the pool and Ray will do with it; it is ours, and just made
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _let_go() -> None:
    """Give cached GPU memory back: a warm worker shares its GPU with others."""
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

"""The store loses nothing, notices damage, and says what is wrong with a disk in one sentence."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError, StoreError
from dataenv.execution.blobs import BlobCorruptError, DiskBlobs, MemoryBlobs
from dataenv.execution.executors import ExecutorSpec, Inline, Processes, make_executor
from dataenv.execution.executors.worker import Limits, read_reply, serialized, work
from dataenv.execution.jobs import Exam, Job, Outcome
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store, open_store
from tasks.records import Example
from tests.tiny import TINY


def taught(store: Path, steps: int = 2) -> TeachingEnv:
    """An environment on a store of its own opening, after some steps."""
    env = TeachingEnv("skill-list", runner=Runner(Store(store)), **TINY)
    env.reset(seed=0)
    for step in range(steps):
        env.step(np.random.default_rng(step).random(len(env.task.skills)).astype(np.float32))
    return env


def blob_file(env: TeachingEnv, key: str) -> Path:
    name = env.runner.store.get("states", key)["blob"]
    assert isinstance(env.runner.store.blobs, DiskBlobs)
    return env.runner.store.blobs.root / name[:2] / name


def test_the_second_time_nothing_is_trained(tmp_path: Path) -> None:
    first = taught(tmp_path)
    again = taught(tmp_path)
    assert first.runner.trained == 3
    assert again.runner.trained == 0
    assert again.history == first.history


def test_a_cached_step_costs_what_a_computed_one_does(tmp_path: Path) -> None:
    assert taught(tmp_path).purse.spent == taught(tmp_path).purse.spent > 0


def test_off_is_off_from_the_environment_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATAENV_STORE", "off")
    assert not open_store(None).reuse
    assert not list(tmp_path.iterdir())


@pytest.mark.fault("six processes that open a new store at once", "all of them can")
def test_many_processes_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    opens = "import sys; from pathlib import Path; from dataenv.execution.store import Store; Store(Path(sys.argv[1]))"
    running = [subprocess.Popen([sys.executable, "-c", opens, str(tmp_path / "new")]) for _ in range(6)]
    assert [process.wait(60) for process in running] == [0] * 6


def test_off_computes_everything_anew() -> None:
    runner = Runner(open_store("off"))
    for _ in range(2):
        env = TeachingEnv("skill-list", runner=runner, **TINY)
        env.reset(seed=0)
    assert runner.trained == 2


@pytest.mark.fault(
    "a bit flipped, or bytes cut off or gone, of the weights of an episode", "noticed; equal weights rebuilt"
)
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damaged_weights_are_noticed_and_rebuilt_from_their_lineage(tmp_path: Path, damage: str) -> None:
    env = taught(tmp_path)
    keys = [record.state for record in env.history]
    good = env.runner.weights(keys[-1])
    for key in keys:
        path = blob_file(env, key)
        data = bytearray(path.read_bytes())
        if damage == "gone":
            path.unlink()
        else:
            data[len(data) // 2] ^= 1
            path.write_bytes(data if damage == "flip" else data[:-7])
    runner = Runner(Store(tmp_path))
    assert runner.weights(keys[-1]) == good
    assert runner.trained == 3


@pytest.mark.fault("a damaged row of the database", "dropped with a warning, computed anew, the same history")
def test_a_damaged_row_is_dropped_and_computed_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    env = taught(tmp_path)
    env.runner.store.close()
    rows = sqlite3.connect(tmp_path / "store.sqlite")
    rows.execute("UPDATE states SET body = X'00' WHERE key = ?", (env.history[-1].state,))
    rows.commit()
    rows.close()
    again = taught(tmp_path)
    assert again.history == env.history
    assert again.runner.trained == 1
    assert "is damaged" in caplog.text


def test_evicted_weights_come_back(tmp_path: Path) -> None:
    env = taught(tmp_path)
    before = env.runner.weights(env.state)
    for record in env.history:
        env.runner.evict(record.state)
    assert not blob_file(env, env.state).exists()
    assert env.runner.weights(env.state) == before


def test_the_first_commit_of_a_key_wins(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.put("exams", "k", {"responses": ["a"]}) == {"responses": ["a"]}
    assert store.put("exams", "k", {"responses": ["b"]}) == {"responses": ["a"]}
    assert Store(tmp_path).get("exams", "k") == {"responses": ["a"]}


def test_lessons_come_back_as_they_were(tmp_path: Path) -> None:
    lesson = (Example(prompt="é\ud800", response="x", skills=("a", "b"), origin="t"), Example(prompt="p", response="r"))
    store = Store(tmp_path)
    assert Store(tmp_path).lesson(store.put_lesson(lesson)) == lesson
    with pytest.raises(StoreError, match="not in store"):
        store.lesson("0" * 64)


def test_a_store_that_is_no_store_is_said(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"not a database at all, but a text of some length" * 9)
    with pytest.raises(StoreError, match="cannot be used"):
        Store(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="a file stands where a folder belongs"):
        Store(tmp_path / "file")


def test_a_store_of_another_schema_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    rows = sqlite3.connect(tmp_path / "store.sqlite")
    rows.execute("PRAGMA user_version=99")
    rows.close()
    with pytest.raises(StoreError, match="schema 99"):
        Store(tmp_path)


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_an_older_store_is_left_byte_for_byte(tmp_path: Path, journal: str) -> None:
    """Also where it was not made by this code: whatever mode its file is in, and whatever tables it has."""
    old = tmp_path / "old"
    (old / "blobs" / "ab").mkdir(parents=True)
    (old / "blobs" / "ab" / "abc").write_bytes(b"weights")
    rows = sqlite3.connect(old / "store.sqlite")
    rows.execute(f"PRAGMA journal_mode={journal}")
    rows.execute("CREATE TABLE states (key TEXT PRIMARY KEY, body BLOB NOT NULL)")
    rows.execute("INSERT INTO states VALUES ('k', x'00')")
    rows.execute("PRAGMA user_version=2")
    rows.commit()
    rows.close()

    def held() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(old.rglob("*")) if path.is_file()}

    before = held()
    said = r"is of an earlier release \(schema 2; this one reads 3 and 4\).*it is left as it is: give another --store"
    with pytest.raises(StoreError, match=said):
        Store(old)
    with pytest.raises(StoreError, match=said):
        TeachingEnv(store=str(old), **TINY)
    typed = [sys.executable, "-c", "from dataenv.cli import main; main()", "run", "--store", str(old)]
    ended = subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "earlier release (schema 2" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
    assert held() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a full disk needs root")
def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        store = Store(small)
        store.put("exams", "kept", {"responses": ["a"]})
        too_much = [Example(prompt=os.urandom(400_000).hex(), response="x")]
        with pytest.raises(StoreError, match="cannot be used"):
            store.put_lesson(too_much)
        assert store.get("exams", "kept") == {"responses": ["a"]}
        runner = Runner(store)
        with pytest.raises(StoreError, match="free space"):
            TeachingEnv("skill-list", runner=runner, **(TINY | {"student_args": {"width": 64}})).reset(seed=0)
        store.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.fault("a disk that takes no more", "one sentence, and no half file left behind")
def test_a_file_size_limit_is_one_sentence(tmp_path: Path) -> None:
    """A disk that refuses to write more, without root: the process may not write files over 64 KiB."""
    blobs = DiskBlobs(tmp_path)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, old[1]))
        with pytest.raises(OSError, match="too large"):
            blobs.put(os.urandom(1 << 18))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    assert not list(tmp_path.rglob("*.tmp*"))
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_memory_blobs_evict_the_oldest() -> None:
    blobs = MemoryBlobs(limit=25)
    names = [blobs.put(bytes([i]) * 10) for i in range(4)]
    assert [blobs.has(name) for name in names] == [False, False, True, True]
    with pytest.raises(BlobCorruptError):
        blobs.get(names[0])


KILLED = """
import sys, numpy as np
from pathlib import Path
from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from tests.tiny import TINY
env = TeachingEnv("skill-list", runner=Runner(Store(Path(sys.argv[1]))), **TINY)
env.reset(seed=0)
print("ready", flush=True)
for step in range(6):
    env.step(np.random.default_rng(step).random(len(env.task.skills)).astype(np.float32))
    print("step", flush=True)
"""


@pytest.mark.fault("SIGKILL of an environment between two steps", "what was committed is not trained again")
def test_kill_nine_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], env=environ, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    seen = [process.stdout.readline().strip() for _ in range(3)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert seen == ["ready", "step", "step"]
    again = taught(tmp_path, steps=2)
    assert again.runner.trained == 0
    reference = taught(tmp_path.parent / "straight", steps=2)
    assert again.history == reference.history


def test_processes_give_what_this_process_gives_and_outlive_a_killed_worker(tmp_path: Path) -> None:
    reference = taught(tmp_path / "inline")
    executor = Processes(1)
    env = TeachingEnv("skill-list", runner=Runner(Store(tmp_path / "workers"), executor), **TINY)
    try:
        env.reset(seed=0)
        workers = list(executor._pools[0]._processes)
        threading.Timer(0.05, os.kill, (workers[0], signal.SIGKILL)).start()
        for step in range(2):
            env.step(np.random.default_rng(step).random(len(env.task.skills)).astype(np.float32))
    finally:
        executor.close()
    assert env.history == reference.history


def test_equal_jobs_in_flight_run_once(tmp_path: Path) -> None:
    class Slow(Inline):
        width = 2

        def __init__(self) -> None:
            self.submitted, self.gate = 0, threading.Event()

        def submit(self, *args: Any) -> Any:
            from concurrent.futures import ThreadPoolExecutor

            self.submitted += 1
            pool = ThreadPoolExecutor(1)

            def late() -> Any:
                assert self.gate.wait(30)
                return Inline().submit(*args).result()

            return pool.submit(late)

    executor = Slow()
    runner = Runner(Store(tmp_path), executor)
    made = [TeachingEnv("skill-list", runner=runner, **TINY) for _ in range(2)]
    threads = [threading.Thread(target=env.reset, kwargs={"seed": 0}) for env in made]
    for thread in threads:
        thread.start()
    threading.Timer(0.5, executor.gate.set).start()
    for thread in threads:
        thread.join(60)
    assert executor.submitted == 1
    assert made[0].history == made[1].history


def test_executors_by_name() -> None:
    assert isinstance(make_executor("inline"), Inline)
    assert make_executor("processes:3").width == 3
    for bad in ("processes:0", "inline:2", "processes:x", ""):
        with pytest.raises(SettingError, match="executor is"):
            make_executor(bad)


def test_an_unknown_executor_gets_the_nearest_name() -> None:
    with pytest.raises(SettingError, match="executor is 'proceses:2'; did you mean 'processes'"):
        make_executor("proceses:2")
    with pytest.raises(SettingError, match="executor: executor 'rey' is not registered; did you mean 'ray'"):
        make_executor({"kind": "rey"})


class Counting(Inline):
    """Runs each job here, and says how many workers it was given."""

    @classmethod
    def from_spec(cls, spec: ExecutorSpec) -> Counting:
        made = cls()
        made.width = spec.workers or 7
        return made


def test_an_executor_from_outside_is_one_class_and_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE["executor"], "counting", Counting)
    assert make_executor("counting:3").width == 3
    assert make_executor({"kind": "counting"}).width == 7
    assert make_executor("dataenv.execution.inline:Inline").width == 1
    for field, value in (("workers", 2), ("num_gpus", 1), ("address", "a:1")):
        with pytest.raises(SettingError, match=f"executor: {field} is "):
            make_executor({"kind": "inline", field: value})


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        ("no.module:Here", "cannot be loaded"),
        (dict, r"has no from_spec\(spec\); add that classmethod"),
        (type("Bare", (), {"from_spec": classmethod(lambda cls, spec: cls())}), "has no submit; add it"),
    ],
)
def test_an_executor_that_breaks_its_contract_is_one_sentence(
    thing: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._HERE["executor"], "broken", thing)
    with pytest.raises(SettingError, match=f"executor 'broken' .*{said}"):
        make_executor("broken")


def test_processes_need_a_store_on_disk() -> None:
    env = TeachingEnv("skill-list", store="off", executor="processes:2", **TINY)
    with pytest.raises(SettingError, match="store on disk"):
        env.reset(seed=0)


@pytest.mark.fault(
    "weights gone and the lesson they came from damaged", "said in one sentence; made anew the next time"
)
def test_a_lost_lesson_costs_one_run_and_no_more(tmp_path: Path) -> None:
    """Weights gone and the lesson they came from damaged: said, forgotten, and made anew the next time."""
    env = taught(tmp_path)
    first = env.history[1]
    blob_file(env, first.state).unlink()
    blob_file(env, env.state).unlink()
    env.runner.store.close()
    rows = sqlite3.connect(tmp_path / "store.sqlite")
    rows.execute("UPDATE lessons SET body = X'00' WHERE key = ?", (first.lesson,))
    rows.commit()
    rows.close()
    with pytest.raises(StoreError, match="run the same command again"):
        Runner(Store(tmp_path)).weights(env.state)
    again = taught(tmp_path)
    assert again.history == env.history
    assert again.runner.trained == 1
    assert Runner(Store(tmp_path)).weights(env.state)


def test_rows_of_states_are_small(tmp_path: Path) -> None:
    """They are looked up all the time, and an untaught student may come from twenty thousand examples."""
    env = taught(tmp_path)
    for record in env.history:
        assert len(str(env.runner.store.get("states", record.state))) < 2000


@pytest.mark.fault("a twin of a job that finishes after the other's row was committed", "nothing changes")
def test_a_late_twin_changes_nothing(tmp_path: Path) -> None:
    class Overheard(Inline):
        """Keeps what a worker elsewhere would have been sent."""

        def submit(self, job: Any, key: str, blobs: Any) -> Any:
            sent.append(serialized(job, key, blobs.root, Limits()))
            return super().submit(job, key, blobs)

    sent: list[tuple[str, ...]] = []
    env = TeachingEnv("skill-list", runner=Runner(Store(tmp_path), Overheard()), **TINY)
    env.reset(seed=0)
    for step in range(2):
        env.step(np.random.default_rng(step).random(len(env.task.skills)).astype(np.float32))
    store, key = env.runner.store, env.history[1].state
    row, counts = store.get("states", key), [store.count(table) for table in ("states", "exams", "lessons")]
    env.runner.evict(key)
    kind, text = work(*sent[1])
    assert kind == "outcome"
    assert Outcome.model_validate_json(text).blob == row["blob"], "the same bytes, so the same name"
    assert store.get("states", key) == row
    assert [store.count(table) for table in ("states", "exams", "lessons")] == counts
    again = taught(tmp_path)
    assert again.history == env.history
    assert again.runner.trained == 0


def test_a_worker_of_another_kind_is_refused_exams_too(tmp_path: Path) -> None:
    env = taught(tmp_path)
    exam = Exam(name="x", prompts=("123+111....=",))
    job = Job(student=env.setting.student_spec, parent=env.state, blob=env.runner._present(env.state), exams=(exam,))
    text, key, _, root, limits = serialized(job, env.state, tmp_path / "blobs", Limits())
    assert work(text, key, env.student.fingerprint, root, limits)[0] == "outcome"
    assert work(text, key, "0" * 64, root, limits)[0] == "differs"
    with pytest.raises(SettingError, match="computes otherwise"):
        read_reply(work(text, key, "0" * 64, root, limits), job)
    assert work(text, key, env.student.fingerprint, str(tmp_path / "no" / "blobs"), limits)[0] == "elsewhere"

"""What users name of the executors: how jobs are run. They live in ``dataenv.execution.executors``."""

from __future__ import annotations

from dataenv.execution.executors import Executor, ExecutorSpec, cores, make_executor

__all__ = ["Executor", "ExecutorSpec", "cores", "make_executor"]

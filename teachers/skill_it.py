"""``skill-it``: teach what the skills that are still hard rest on (Skill-It, arXiv 2307.14430)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from dataenv.execution.runner import run_all
from teachers.base import Floats, Teacher, as_action, require, require_whole

if TYPE_CHECKING:
    from dataenv.episode.context import Context

Graph = Literal["learned", "binary"] | Sequence[Sequence[float]]
EDGE = 0.5
"""Weight of an edge of a binary graph, as in the paper's LEGO; its diagonal is 1."""


class SkillIt(Teacher):
    """Mixtures by the skill graph A and the present losses L (paper, Algorithm 1 and equation 6).

    ``p_1[i] ∝ exp(eta sum_j A[i, j])`` and then ``p[i] ∝ exp(eta sum_u sum_j A[i, j] L_j(u))`` over the last ``window``
    looks u. ``A[i, j] > 0`` where learning skill i alone lowers the loss on skill j.

    A graph is learnt by the paper's linear estimator: one lesson of each skill alone, on a branch of the untaught
    student, ``A[i, j] = max(0, loss of j before − after)``, over its largest entry. The branches draw on the same purse
    as lessons, so k lessons' worth is gone before the first. A graph that is given was learnt before, by the same
    estimator on other seeds (``tests/bench/skill_graph.py``); ``prior`` says what that took, and the board shows it.

    Args:
        eta: How sharply; 0 is ``stratified``.
        window: Looks over which losses are summed.
        graph: ``learned``; ``binary``, that with its entries above ``threshold`` set to 0.5 and its diagonal to 1; or
            the matrix ``(k, k)``, non-negative, rows teach columns.
        threshold: Share of the largest entry above which a binary graph has an edge.
        prior: Student tokens that a given graph took to learn.
    """

    name: ClassVar[str] = "skill-it"

    def __init__(
        self, eta: float = 0.5, window: int = 3, graph: Graph = "learned", threshold: float = 0.1, prior: int = 0
    ) -> None:
        require(np.isfinite(eta) and eta >= 0, "eta", eta, "give a finite number >= 0")
        require_whole("window", window)
        require(0 <= threshold < 1, "threshold", threshold, "give a number in [0, 1)")
        if isinstance(graph, str):
            require(graph in ("learned", "binary"), "graph", graph, "give 'learned', 'binary' or a matrix")
            require(
                prior == 0, "prior", prior, "it goes with a graph that is given; a learnt one is paid from the purse"
            )
        else:
            matrix = np.asarray(graph, np.float64)
            square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
            require(
                square and bool(np.isfinite(matrix).all()), "graph", graph, "give a square matrix of finite numbers"
            )
            require(bool((matrix >= 0).all()), "graph", graph, "give a matrix without negative numbers")
        self.eta, self.window, self.graph, self.threshold, self.prior_compute = eta, window, graph, threshold, prior
        self._context: Context | None = None
        self._matrix: Floats | None = None
        self._losses: deque[Floats] = deque(maxlen=window)

    def begin(self, context: Context) -> None:
        """Take the graph; one that is to be learnt is learnt at the first lesson, when the losses are known.

        Raises:
            ValueError: If a given graph is not of as many skills as the task has.
        """
        self._losses.clear()
        self._context, self._matrix = context, None
        if not isinstance(self.graph, str):
            k, matrix = len(context.skills), np.asarray(self.graph, np.float64)
            if matrix.shape != (k, k):
                raise ValueError(f"graph has shape {matrix.shape}; the task has {k} skills, so give ({k}, {k})")
            self._matrix = matrix

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """The initial mixture at first, then by the losses of the last looks.

        Raises:
            RuntimeError: Before ``begin``, for there is no graph to be had.
        """
        loss = np.asarray(observation["loss"], np.float64)
        if self._matrix is None:
            if self._context is None:
                raise RuntimeError("skill-it was asked to act before begin(context), which gives it its graph")
            learnt = _learn(self._context, loss)
            self._matrix = _binary(learnt, self.threshold) if self.graph == "binary" else learnt
        first = not self._losses
        self._losses.append(loss)
        pull = self._matrix.sum(1) if first else sum(self._matrix @ loss for loss in self._losses)
        return as_action(softmax(self.eta * np.asarray(pull)))


def softmax(values: Floats) -> Floats:
    """Shares proportional to ``exp(values)``, whatever their size."""
    weights = np.exp(values - values.max())
    return np.asarray(weights / weights.sum())


def _learn(context: Context, before: Floats) -> Floats:
    """The graph by the linear estimator, ``(k, k)``; the jobs run side by side where the executor is wide.

    Branches begin in the order of the skills, so that a purse that runs short runs short at the same one each time:
    what could not be paid is a row of zeros but for the diagonal.

    Args:
        context: Of the episode.
        before: Losses of the untaught student, ``(k,)``.
    """
    k = len(before)
    branches = [context.fork() for _ in range(k)]
    jobs = [branch.begin(alone) for branch, alone in zip(branches, np.eye(k, dtype=np.float32), strict=True)]
    outcomes = iter(run_all(branches[0].runner, [job for job in jobs if job is not None]))
    graph = np.eye(k)
    for i, (branch, job) in enumerate(zip(branches, jobs, strict=True)):
        after, *_ = branch.end(None if job is None else next(outcomes))
        if job is not None:
            graph[i] = np.maximum(0.0, before - np.asarray(after["loss"], np.float64))
    largest = graph.max()
    return np.asarray(graph / largest) if largest > 0 else np.eye(k)


def _binary(graph: Floats, threshold: float) -> Floats:
    edges = np.where(graph > threshold * graph.max(), EDGE, 0.0)
    np.fill_diagonal(edges, 1.0)
    return edges

"""``skill-it``: teach what the skills that are still hard rest on (Skill-It, arXiv 2307.14430)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from dataenv.errors import BudgetSpentError, did_you_mean
from teachers.base import Floats, Teacher, as_action, require, require_whole
from teachers.lessons import Source

if TYPE_CHECKING:
    from dataenv.episode.context import Context

Graph = Literal["learned", "binary"] | Sequence[Sequence[float]]
EDGE = 0.5
"""Weight of an edge of a binary graph, as in the paper's LEGO; its diagonal is 1."""


class SkillIt(Teacher):
    """Mixtures by the skill graph A and the present losses L (paper, Algorithm 1 and equation 6).

    ``p_1[i] ∝ exp(eta sum_j A[i, j])`` and then ``p[i] ∝ exp(eta sum_u sum_j A[i, j] L_j(u))`` over the last ``window``
    looks u. ``A[i, j] > 0`` where learning skill i alone lowers the loss on skill j.

    The paper's three regimes (section 4) are three choices of rows and columns. Rows i are the skills that are taught,
    columns j the Setting's ``targets``. All skills in both is continual pre-training; a few targets is fine-tuning;
    targets that are not among ``taught`` is the held-out (out-of-domain) regime: they are learnt from others alone.

    A graph is learnt by the paper's linear estimator: training on each taught skill alone from the untaught student,
    ``A[i, j] = max(0, loss of j before − after)``, over its largest entry. By default that is a whole lesson of each,
    on branches that draw on the same purse as lessons, so k lessons' worth is gone before the first. With ``updates``
    it is a trial of so many updates on ``examples`` of each (``Context.trial``), which costs a part of that: forward
    over the feedback problems for each skill, and training on its few examples. A graph that is given was learnt
    before, by the same estimator on other seeds (``tests/bench/skill_graph.py``); ``prior`` says what that took, and
    the board shows it.

    Args:
        eta: How sharply; 0 is ``stratified``.
        window: Looks over which losses are summed.
        graph: ``learned``; ``binary``, that with its entries above ``threshold`` set to 0.5 and those of a skill on
            itself to 1; or a matrix, non-negative, rows teach columns: ``(taught, targets)``, or with a row or a column
            of every skill, of which the others are then left out.
        threshold: Share of the largest entry above which a binary graph has an edge.
        prior: Student tokens that a given graph took to learn.
        updates: Of each trial that a graph is learnt from; 0 for a whole lesson on a branch.
        examples: Of each skill, in such a trial; each update sees all of them.
        taught: The skills that get a share; none for all of them.
    """

    name: ClassVar[str] = "skill-it"

    def __init__(
        self,
        eta: float = 0.5,
        window: int = 3,
        graph: Graph = "learned",
        threshold: float = 0.1,
        prior: int = 0,
        updates: int = 0,
        examples: int = 64,
        taught: Sequence[str] = (),
    ) -> None:
        require(np.isfinite(eta) and eta >= 0, "eta", eta, "give a finite number >= 0")
        require_whole("window", window)
        require(0 <= threshold < 1, "threshold", threshold, "give a number in [0, 1)")
        require_whole("updates", updates, least=0)
        require_whole("examples", examples)
        names = not isinstance(taught, str) and len(set(taught)) == len(taught)
        require(names, "taught", taught, "give a list of distinct skills")
        if isinstance(graph, str):
            require(graph in ("learned", "binary"), "graph", graph, "give 'learned', 'binary' or a matrix")
            require(
                prior == 0, "prior", prior, "it goes with a graph that is given; a learnt one is paid from the purse"
            )
        else:
            require(updates == 0, "updates", updates, "it goes with a graph that is learnt; leave it out")
            _check_matrix(graph)
        self.eta, self.window, self.graph, self.threshold, self.prior_compute = eta, window, graph, threshold, prior
        self.updates, self.examples, self.taught = updates, examples, tuple(taught)
        self._context: Context | None = None
        self._matrix: Floats | None = None
        self._losses: deque[Floats] = deque(maxlen=window)

    def begin(self, context: Context) -> None:
        """Take the graph; one that is to be learnt is learnt at the first lesson, when the losses are known.

        Raises:
            ValueError: If a given graph is not of as many skills as there are, or a taught one is unknown.
        """
        self._losses.clear()
        self._context, self._matrix = context, None
        skills = context.skills
        for skill in self.taught:
            if skill not in skills:
                raise ValueError(f"taught has {skill!r}, which is no skill of the task; {did_you_mean(skill, skills)}")
        self._rows = [i for i, skill in enumerate(skills) if skill in (self.taught or skills)]
        self._columns = [j for j, skill in enumerate(skills) if skill in context.targets]
        if not isinstance(self.graph, str):
            self._matrix = _cut(np.asarray(self.graph, np.float64), self._rows, self._columns, len(skills))

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """The initial mixture at first, then by the losses of the last looks.

        Raises:
            RuntimeError: Before ``begin``, for there is no graph to be had.
        """
        loss = np.asarray(observation["loss"], np.float64)
        if self._matrix is None:
            if self._context is None:
                raise RuntimeError("skill-it was asked to act before begin(context), which gives it its graph")
            self._matrix = self._learnt(self._context, loss)
        first = not self._losses
        self._losses.append(loss[self._columns])
        pull = self._matrix.sum(1) if first else sum(self._matrix @ held for held in self._losses)
        shares = np.zeros(len(loss))
        shares[self._rows] = softmax(self.eta * np.asarray(pull))
        return as_action(shares)

    def _learnt(self, context: Context, loss: Floats) -> Floats:
        """The graph from the purse, ``(taught, targets)``."""
        gains = self._tried(context) if self.updates else _by_lessons(context, loss, self._rows)
        own = np.eye(len(loss))[np.ix_(self._rows, self._columns)]
        found = np.where(np.isnan(gains[:, self._columns]), own, np.maximum(0.0, gains[:, self._columns]))
        largest = found.max()
        learnt = found / largest if largest > 0 else own
        return np.where(own == 1.0, 1.0, _edges(learnt, self.threshold)) if self.graph == "binary" else learnt

    def _tried(self, context: Context) -> Floats:
        """How much a trial of each taught skill lowers each skill's loss, ``(taught, skills)``; NaN where none was."""
        source, gains = Source(context), np.full((len(self._rows), len(context.skills)), np.nan)
        groups = [source.draw(context.skills[i], self.examples) for i in self._rows]
        some = [at for at, group in enumerate(groups) if group]
        try:
            gains[some] = context.trial([groups[at] for at in some], self.updates, by_skill=True)
        except BudgetSpentError:  # as where no lesson can be paid: each skill is then taught for itself
            return gains
        return gains


def softmax(values: Floats) -> Floats:
    """Shares proportional to ``exp(values)``, whatever their size."""
    weights = np.exp(values - values.max())
    return np.asarray(weights / weights.sum())


def _check_matrix(graph: Sequence[Sequence[float]]) -> None:
    """Refuse what is no graph whatever the skills are."""
    try:
        matrix = np.asarray(graph, np.float64)
    except (TypeError, ValueError):  # rows of several lengths, or texts
        matrix = np.zeros(0)
    fine = matrix.ndim == 2 and matrix.size > 0 and bool(np.isfinite(matrix).all())
    require(fine, "graph", graph, "give a matrix of finite numbers, a row for each skill that is taught")
    require(bool((matrix >= 0).all()), "graph", graph, "give a matrix without negative numbers")


def _cut(matrix: Floats, rows: list[int], columns: list[int], k: int) -> Floats:
    """A given graph without the rows that are not taught and the columns that are no targets.

    Raises:
        ValueError: If it has neither a row (a column) for each of these nor for every skill.
    """
    if matrix.shape[0] not in (k, len(rows)) or matrix.shape[1] not in (k, len(columns)):
        raise ValueError(
            f"graph has shape {matrix.shape}; {len(rows)} of {k} skills are taught and {len(columns)} are targets, so "
            f"give ({len(rows)}, {len(columns)})" + (f" or ({k}, {k})" if (len(rows), len(columns)) != (k, k) else "")
        )
    matrix = matrix[rows] if matrix.shape[0] == k else matrix
    return matrix[:, columns] if matrix.shape[1] == k else matrix


def _by_lessons(context: Context, before: Floats, rows: list[int]) -> Floats:
    """How much a lesson of each skill alone lowers each skill's loss, ``(taught, skills)``; NaN where it was not paid.

    The jobs run side by side where the executor is wide. Branches begin in the order of the skills, so that a purse
    that runs short runs short at the same one each time.

    Args:
        context: Of the episode.
        before: Losses of the untaught student, ``(skills,)``.
        rows: The skills that are taught.
    """
    k = len(before)
    lessons = context.try_lessons(list(np.eye(k, dtype=np.float32)[rows]))
    gains = np.full((len(rows), k), np.nan)
    for i, trial in enumerate(lessons):
        if trial.trained:
            gains[i] = before - np.asarray(trial.observation["loss"], np.float64)
    return gains


def _edges(graph: Floats, threshold: float) -> Floats:
    return np.where(graph > threshold * graph.max(), EDGE, 0.0)

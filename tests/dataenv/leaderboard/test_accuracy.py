"""What may be shown as an accuracy: k of n of a named split, or derived from such counts; all else is refused."""

from __future__ import annotations

import ast
import itertools
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import dataenv
from dataenv.leaderboard.accuracy import Accuracy, Derived, derive, difference, mean, number
from dataenv.leaderboard.format import origin, p_value, percent, signed, tokens
from dataenv.leaderboard.report.tables import write_page
from dataenv.leaderboard.statistics.standings import Summary
from dataenv.leaderboard.statistics.summary import summarise
from tests.dataenv.leaderboard.report.test_tables import printed
from tests.dataenv.leaderboard.synthetic import PURSE, make_board

LEADERBOARD = Path(dataenv.__file__).parent / "leaderboard"
HALF = Accuracy(k=2, n=4, split="test")


def shares_of(split: str = "test") -> st.SearchStrategy[Accuracy]:
    return st.integers(1, 50).flatmap(
        lambda n: st.builds(Accuracy, k=st.integers(0, n), n=st.just(n), split=st.just(split))
    )


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"k": 5, "n": 4, "split": "test"}, "more than n"),
        ({"k": -1, "n": 4, "split": "test"}, "greater than or equal to 0"),
        ({"k": 0, "n": 0, "split": "test"}, "greater than or equal to 1"),
        ({"k": 0.5, "n": 4, "split": "test"}, "valid integer"),
        ({"k": 2.0, "n": 4, "split": "test"}, "valid integer"),
        ({"k": True, "n": 4, "split": "test"}, "valid integer"),
        ({"k": float("nan"), "n": 4, "split": "test"}, "valid integer"),
        ({"k": 1, "n": 4, "split": "train"}, "'feedback', 'selection', 'test' or 'transfer'"),
        ({"k": 1, "n": 4, "split": None}, "'feedback', 'selection', 'test' or 'transfer'"),
        ({"k": 1, "n": 4}, "Field required"),
    ],
)
def test_what_is_no_count_of_a_named_split(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        Accuracy(**fields)


@pytest.mark.parametrize("value", [0.5, 1, 0.0, np.float64(0.5), float("nan"), float("inf"), "50", True])
@pytest.mark.parametrize("render", [percent, signed, origin, number])
def test_a_bare_number_is_not_rendered(render: Any, value: Any) -> None:
    with pytest.raises(TypeError, match="does not say on which items it was counted"):
        render(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_figure_is_finite(value: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        derive(lambda _: value, [HALF])
    with pytest.raises(ValidationError, match="finite number"):
        Derived.model_validate({"value": value, "split": "test", "n": 4})


def test_a_figure_has_parts_of_one_split() -> None:
    with pytest.raises(ValueError, match="of the splits selection and test; give at least one, all of one split"):
        mean([HALF, Accuracy(k=1, n=4, split="selection")])
    with pytest.raises(ValueError, match="of the splits selection and test"):
        difference(HALF, Accuracy(k=1, n=4, split="selection"))
    with pytest.raises(ValueError, match="missing; give at least one"):
        mean([])
    with pytest.raises(TypeError, match=r"0\.5 does not say"):
        mean([HALF, 0.5])  # type: ignore[list-item]


def test_a_paired_difference_has_the_same_items() -> None:
    with pytest.raises(ValueError, match="of 4 and 5 answers"):
        difference(HALF, Accuracy(k=2, n=5, split="test"))


def test_figures_are_made_in_one_place() -> None:
    """By ``derive``; everyone else goes through it, so that no float becomes a figure on the way."""
    made = []
    for path in sorted(LEADERBOARD.parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if name in ("Derived", "model_construct"):
                made.append((path.name, name))
    assert made == [("accuracy.py", "Derived")]


def test_the_template_renders_no_value_by_itself() -> None:
    shown = re.findall(r"\{\{(.*?)\}\}", (LEADERBOARD / "report" / "page.html.j2").read_text(encoding="utf-8"))
    assert len(shown) > 60
    assert not [code for code in shown if ".value" in code or "round" in code]


# --- properties ------------------------------------------------------------------------------------------------------


@given(st.lists(shares_of(), min_size=1, max_size=20))
def test_a_mean_keeps_split_and_answers_and_lies_between(parts: list[Accuracy]) -> None:
    result = mean(parts)
    assert (result.split, result.n) == ("test", sum(part.n for part in parts))
    assert min(p.value for p in parts) - 1e-12 <= result.value <= max(p.value for p in parts) + 1e-12


@given(st.integers(1, 50), st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_a_mean_of_equally_many_items_is_k_of_n(n: int, ks: list[int]) -> None:
    parts = [Accuracy(k=min(k, n), n=n, split="selection") for k in ks]
    pooled = Accuracy(k=sum(p.k for p in parts), n=n * len(parts), split="selection")
    assert mean(parts).value == pytest.approx(pooled.value, abs=1e-12)
    assert mean(parts).n == pooled.n


@given(st.integers(1, 50), st.integers(0, 50), st.integers(0, 50))
def test_a_difference_is_that_of_the_counts(n: int, k: int, other: int) -> None:
    ours, theirs = Accuracy(k=min(k, n), n=n, split="test"), Accuracy(k=min(other, n), n=n, split="test")
    assert difference(ours, theirs).value == pytest.approx((ours.k - theirs.k) / n, abs=1e-12)
    assert difference(ours, theirs).value == -difference(theirs, ours).value


@given(shares_of("transfer"))
def test_what_is_rendered_is_k_of_n(share: Accuracy) -> None:
    assert float(percent(share, 6)) == pytest.approx(100 * share.k / share.n, abs=1e-5)
    assert signed(share).lstrip("+") == percent(share)
    assert origin(share) == f"{share.k} of {share.n}, transfer split"


def test_what_was_not_measured_is_a_dash() -> None:
    assert (percent(None), signed(None), origin(None)) == ("–", "–", "not measured")
    assert origin(mean([HALF, HALF])) == "from 8 answers, test split"


# --- every number on a board -----------------------------------------------------------------------------------------


def numbers(text: str) -> list[str]:
    """What looks like a number, with its sign and its unit of tokens."""
    return re.findall(r"(?<![\w-])[+−]?\d+(?:[.,]\d+)*(?:k|M|G)?(?![\w-])", text)


def plus(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def plain(value: float) -> str:
    return f"{100 * value:.1f}"


def as_scored(board: list[dict]) -> dict[str, list[dict]]:
    """Runs by teacher, by seed; a failed one with the exams of ``nothing`` and its own budget."""
    nothing = {row["seed"]: row for row in board if row["teacher"] == "nothing"}
    runs: dict[str, list[dict]] = {}
    for row in sorted(board, key=lambda row: row["seed"]):
        exams = {key: nothing[row["seed"]][key] for key in ("test", "transfer", "steps", "selected")}
        runs.setdefault(row["teacher"], []).append(row | exams if row["ended"] == "failed" else row)
    return runs


def macro(step: dict) -> list[float]:
    return [k / n for k, n in zip(step["selection"]["correct"], step["selection"]["n"], strict=True)]


def area(row: dict) -> float:
    """Mean height of the curve over the purse, on a fine grid."""
    grid = np.linspace(0, 1, 100_001)
    return float(
        np.interp(grid, [s["spent"] / PURSE for s in row["steps"]], [np.mean(macro(s)) for s in row["steps"]]).mean()
    )


def fall(row: dict) -> float:
    until = np.array([macro(step) for step in row["steps"][: row["selected"] + 1]])
    return float((until.max(0) - until[-1]).max())


def needed(runs: list[dict], baseline: list[dict]) -> list[str]:
    """Median tokens and examples to the baseline's best, and how many runs got there; some failed, some never do."""
    spent, taught = [], []
    for row, theirs in zip(runs, baseline, strict=True):
        goal = np.mean(macro(theirs["steps"][theirs["selected"]])) - 1e-9
        there = (
            [i for i, step in enumerate(row["steps"]) if np.mean(macro(step)) >= goal]
            if row["ended"] != "failed"
            else []
        )
        spent.append(row["steps"][there[0]]["spent"] if there else np.inf)
        taught.append(sum(step["kept"] for step in row["steps"][: there[0] + 1]) if there else np.inf)
    return [tokens(np.median(spent)), tokens(np.median(taught)), str(int(np.isfinite(spent).sum())), str(len(spent))]


def of_new_items(ours: list[dict], theirs: list[dict]) -> float:
    """p of the gain over new seeds and new items: what a two-way analysis of variance says that each of them adds."""
    ahead = np.array(
        [[int(a) - int(b) for a, b in zip(x["test"]["correct"], y["test"]["correct"], strict=True)]
         for x, y in zip(ours, theirs, strict=True)], float
    )  # fmt: skip
    counts = ours[0]["test"]["n"]
    n, k, of_items, means, start = len(ahead), len(counts), 0.0, [], 0
    for m in counts:
        block = ahead[:, start : start + m]
        start += m
        means.append(block.mean(1))
        between = n * ((block.mean(0) - block.mean()) ** 2).sum() / (m - 1)
        both = block - block.mean(0) - block.mean(1)[:, None] + block.mean()
        of_items += (between - (both**2).sum() / ((m - 1) * (n - 1))) / n / m
    of_seeds, of_items = np.mean(means, 0).var(ddof=1) / n, max(of_items, 0) / k**2
    whole = of_seeds + of_items
    df = whole**2 / (of_seeds**2 / (n - 1) + of_items**2 / (sum(counts) - k))
    return float(2 * scipy.stats.t.sf(abs(np.mean(means)) / whole**0.5, df))


def by_sign_flips(differences: dict[str, np.ndarray]) -> dict[str, float]:
    """Step-down max-T over all flips of the signs of seeds, one flip at a time."""
    n = len(next(iter(differences.values())))
    spread = np.mean([np.abs(d).var(ddof=1) for d in differences.values()])

    def statistic(name: str, signs: tuple[int, ...]) -> float:
        d = differences[name]
        scale = max((d**2).mean(), spread / (1 - 2 / np.pi)) ** 0.5
        return abs(np.dot(d, signs)) / scale if scale else 0.0

    every, plain_signs = list(itertools.product((1, -1), repeat=n)), (1,) * n
    left, floor, found = sorted(differences, key=lambda name: -statistic(name, plain_signs)), 0.0, {}
    while left:
        seen = statistic(left[0], plain_signs) * (1 - 1e-9)
        floor = max(floor, np.mean([max(statistic(name, signs) for name in left) >= seen for signs in every]))
        found[left.pop(0)] = float(floor)
    return found


def expected(board: list[dict]) -> dict[str, dict[str, list[str]]]:
    """By teacher: the numbers of its row, computed from the counts of the rows and by nothing that is shipped."""
    runs = as_scored(board)
    scores = {
        name: np.array([np.mean(np.divide(r["test"]["by_skill"], r["test"]["n"])) for r in of])
        for name, of in runs.items()
    }
    tests = {
        name: scipy.stats.ttest_1samp(scores[name] - scores["stratified"], 0) for name in runs if name != "stratified"
    }
    ranked = [name for name in tests if runs[name][0]["role"] == "teacher"]
    of_items = {name: of_new_items(runs[name], runs["stratified"]) for name in ranked}
    family = sorted((max(tests[name].pvalue, of_items[name]), name) for name in ranked)
    steps = [min(1, (len(family) - i) * p) for i, (p, _) in enumerate(family)]
    by_holm = {name: max(steps[: i + 1]) for i, (_, name) in enumerate(family)}
    flipped = by_sign_flips({name: scores[name] - scores["stratified"] for name in ranked})
    adjusted = {name: max(by_holm[name], flipped[name]) for name in ranked}
    found = {}
    for name, of in runs.items():
        by_skill = np.sum([r["test"]["by_skill"] for r in of], axis=0)
        asked, transfer = np.sum([r["test"]["n"] for r in of], axis=0), "".join(r["transfer"]["correct"] for r in of)
        shown = [plain(scores[name].mean()), f"{by_skill.sum():,}", f"{asked.sum():,}", plain((by_skill / asked).min()),
                 plain(np.mean([area(r) for r in of])), plain(transfer.count("1") / len(transfer)), str(len(of)),
                 *(tokens(np.mean([r["budget"][part] for r in of])) for part in ("spent", "total", "prior")),
                 *needed(of, runs["stratified"])]  # fmt: skip
        if name in tests:
            interval = tests[name].confidence_interval(0.95)
            shown += [plus(np.mean(scores[name] - scores["stratified"])), plus(interval.low), plus(interval.high)]
        if name in adjusted:
            shown.append(p_value(adjusted[name]).removeprefix("<"))
        of_page = [f"{by_skill[np.argmin(by_skill / asked)]:,}", f"{asked[0]:,}", f"{transfer.count('1'):,}",
                   f"{len(transfer):,}", plain(np.mean([fall(r) for r in of]))]  # fmt: skip
        if name in tests:
            sd, n = np.std(scores[name] - scores["stratified"], ddof=1), len(of)
        if name in tests and sd > 0:  # where all seeds differ alike, nothing is said of what could have been seen
            of_page.append(plain((scipy.stats.t.ppf(0.975, n - 1) + scipy.stats.t.ppf(0.8, n - 1)) * sd / n**0.5))
        failed = sum(r["ended"] == "failed" for r in of)
        found[name] = {"shown": shown, "page": of_page, "also": [str(failed)] if failed else []}
    return found


@pytest.mark.parametrize("seeds", [3, 6])
def test_every_number_of_the_terminal_table_comes_from_the_counts(seeds: int) -> None:
    board = make_board(seeds)
    lines = [line for line in printed(board, 200).splitlines() if line.strip()]
    for name, by in expected(board).items():
        line = next(line for line in lines if re.match(rf" (\d+|  )? *{name} ", line))
        rank = re.findall(r"^ (\d+) ", line)
        there = numbers(line.replace("∞", ""))
        assert set(there) <= {*rank, *by["shown"], *by["also"]}, name
        assert {text for text in by["shown"] if text != "∞"} <= set(there), name


@pytest.mark.parametrize("seeds", [3, 6])
def test_every_number_of_the_ranking_of_the_page_comes_from_the_counts(seeds: int, tmp_path: Path) -> None:
    board = make_board(seeds)
    write_page(board, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    rows = []
    for part in ("ranking", "references"):
        section = html[html.index(f'<h2 id="{part}">') :].partition("</section>")[0]
        body = re.sub(r"<svg.*?</svg>", " ", section[section.index("<tbody>") :], flags=re.DOTALL)
        rows += [
            unescape(re.sub(r"<[^>]*>", " ", row))
            for row in body.split("</tr>")
            if "<td" in row and "colspan" not in row
        ]
    found = expected(board)
    assert len(rows) == len(found)
    for name, by in found.items():
        row = next(row for row in rows if re.match(rf"\s*(\d+)?\s+{name}\s", row))
        there = numbers(row)
        rank = re.findall(r"^\s*(\d+)\s", row)
        assert set(there) <= {*rank, *by["shown"], *by["page"], *by["also"]}, name
        assert {text for text in (*by["shown"], *by["page"]) if text != "∞"} <= set(there), name


def test_a_summary_with_a_number_from_nowhere_is_not_read(board: list[dict]) -> None:
    whole = json.loads(summarise(board).model_dump_json())
    for value in (
        0.7,
        {"value": 0.7, "n": 8},
        {"value": 0.7, "split": "train", "n": 8},
        {"value": 0.7, "split": "test", "n": 0},
    ):
        broken = json.loads(json.dumps(whole))
        broken["teachers"][0]["score"] = value
        with pytest.raises(ValidationError, match="score"):
            Summary.model_validate(broken)

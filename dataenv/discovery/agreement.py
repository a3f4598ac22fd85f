"""How far two labellings of the same items agree, beyond what chance makes: adjusted mutual information."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def adjusted_mutual_information(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """``(MI - E[MI]) / (mean(H(a), H(b)) - E[MI])``, Vinh, Epps and Bailey (JMLR 11, 2010), with the arithmetic mean.

    The expectation is over all permutations of one labelling (their equation 24a). What the labels are called plays no
    part in it. It is what ``sklearn.metrics.adjusted_mutual_info_score`` computes by default.

    Args:
        a: A label an item.
        b: The other, in the same order.

    Returns:
        At most 1, which equal partitions have; about 0 for independent ones. Where both hold a single group, or both a
        group an item, they are equal, and it is 1.

    Raises:
        ValueError: If the lengths differ, or there is no item.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"a has {len(a)} labels and b has {len(b)}; give one of each for every item")
    table = _contingency(a, b)
    rows, columns, n = table.sum(1), table.sum(0), len(a)
    if len(rows) == len(columns) and len(rows) in (1, n):
        return 1.0
    expected, mean = _expected(rows, columns, n), (_entropy(rows, n) + _entropy(columns, n)) / 2
    top, below = _mutual(table, rows, columns, n) - expected, mean - expected
    return float(top / below) if abs(below) > 1e-12 else float(abs(top) > 1e-12)


def _contingency(a: Sequence[Hashable], b: Sequence[Hashable]) -> npt.NDArray[np.int64]:
    """``(groups of a, groups of b)``: items in both."""
    rows = {label: i for i, label in enumerate(dict.fromkeys(a))}
    columns = {label: i for i, label in enumerate(dict.fromkeys(b))}
    table = np.zeros((len(rows), len(columns)), np.int64)
    np.add.at(table, ([rows[x] for x in a], [columns[x] for x in b]), 1)
    return table


def _entropy(sizes: npt.NDArray[np.int64], n: int) -> float:
    """In nats, of groups of those sizes."""
    return float(-(sizes / n * np.log(sizes / n)).sum())


def _mutual(table: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], n: int) -> float:
    i, j = np.nonzero(table)
    both = table[i, j]
    return float((both / n * np.log(n * both / (rows[i] * columns[j]))).sum())


def _expected(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], n: int) -> float:
    """The mean mutual information of groups of those sizes over all permutations: hypergeometric, cell by cell."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])  # of factorials
    total = 0.0
    for x in rows.tolist():
        for y in columns.tolist():
            both = np.arange(max(1, x + y - n), min(x, y) + 1)
            chance = logs[x] + logs[y] + logs[n - x] + logs[n - y] - logs[n]
            chance = chance - logs[both] - logs[x - both] - logs[y - both] - logs[n - x - y + both]
            total += float((both / n * np.log(n * both / (x * y)) * np.exp(chance)).sum())
    return total

"""The board `smoke` twice against one store: the second time trains nothing and writes the same bytes.

Training runs are counted twice over: by the runner (what the command prints) and by the store (rows of trained states).
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from common import machine, table


class Played(NamedTuple):
    """What playing took, and what it left behind (SHA-256 of each file, and of what the terminal showed).

    ``price`` is the terminal's line on the price of resolution.
    """

    seconds: float
    trained: int
    states: int
    files: dict[str, str]
    shown: str
    price: str


def play(out: Path) -> Played:
    """Play the board as a user does."""
    command = [Path(sys.executable).with_name("dataenv"), "leaderboard", "smoke", "--out", out, "--quiet"]
    begun = time.perf_counter()
    done = subprocess.run(
        [*command, "--store", out / "store"], capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"dataenv leaderboard smoke failed:\n{done.stderr}")
    counted = re.search(r"(\d+) training runs computed", done.stdout)
    if counted is None:
        sys.exit(f"dataenv leaderboard smoke does not say how many training runs it computed:\n{done.stdout}")
    with sqlite3.connect(out / "store" / "store.sqlite") as rows:
        states = rows.execute("SELECT count(*) FROM states").fetchone()[0]
    files = {str(p.relative_to(out)): digest(p.read_bytes()) for p in (out / "smoke").rglob("*") if p.is_file()}
    shown = digest(done.stdout.replace(counted.group(0), "").encode())
    price = re.search(r"Price of resolution: [^\n]*", done.stdout)
    if price is None:
        sys.exit(f"dataenv leaderboard smoke does not say what its resolution cost:\n{done.stdout}")
    return Played(seconds, int(counted.group(1)), states, dict(sorted(files.items())), shown, price.group(0))


def digest(content: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(content).hexdigest()


def main() -> int:
    """Play twice, compare, and fail where the second time was not for nothing."""
    print(machine("torch", "transformers"))
    with tempfile.TemporaryDirectory() as name:
        first, second = play(Path(name)), play(Path(name))
    rows = [
        ["seconds", f"{first.seconds:.1f}", f"{second.seconds:.1f}"],
        ["training runs, as the runner counts", first.trained, second.trained],
        ["trained states in the store", first.states, second.states],
        ["terminal table, SHA-256", first.shown[:12], second.shown[:12]],
    ]
    table("the board `smoke`, twice against one store", ["", "first", "second"], rows)
    differ = sorted({name for name, _ in first.files.items() ^ second.files.items()})
    print(f"  {len(first.files)} files: {'differ: ' + ', '.join(differ) if differ else 'equal byte for byte'}")
    print(f"  {first.price}")
    idle = first.trained > 0 and second.trained == 0 and first.states == second.states
    print(f"  second time trains nothing: {'holds' if idle else 'DOES NOT HOLD'}")
    return 0 if idle and not differ and first.shown == second.shown else 1


if __name__ == "__main__":
    sys.exit(main())

"""The table, the files and the page: the same bytes for the same rows, true numbers, and nothing in them that acts."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from dataenv.leaderboard.format import p_value, signed, tokens, visible
from dataenv.leaderboard.report.records import csv_safe
from dataenv.leaderboard.report.tables import fitting, terminal_table, write_csv, write_json, write_page
from dataenv.leaderboard.statistics.standings import Summary
from dataenv.leaderboard.statistics.summary import summarise
from tests.dataenv.leaderboard.synthetic import HOSTILE, make_board, make_row

VOID = {"meta", "br"}
TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2", "h3", "p", "b", "span", "nav",
    "a", "section", "div", "table", "thead", "tbody", "tr", "th", "td", "br", "svg", "line", "circle", "path",
    "rect", "text", "figure", "figcaption", "i", "details", "summary", "pre", "code", "dl", "dt", "dd", "sub",
    "footer",
}  # fmt: skip


class Reader(HTMLParser):
    """Collects what a page is made of, and fails where its tags do not match."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)


def page_of(rows: list[dict], folder: Path) -> tuple[str, Reader]:
    write_page(rows, folder / "page.html")
    html = (folder / "page.html").read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return html, reader


def printed(rows: list[dict], width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(terminal_table(rows))
    return console.file.getvalue()


# --- the page --------------------------------------------------------------------------------------------------------


def test_hostile_text_is_inert(hostile_board: list[dict], tmp_path: Path) -> None:
    html, reader = page_of(hostile_board, tmp_path)
    assert reader.tags <= TAGS
    assert not [
        name for _, name, _ in reader.attributes if name.startswith("on") or name in ("src", "srcdoc", "action")
    ]
    assert all((value or "").startswith("#") for _, name, value in reader.attributes if name == "href")
    styles = {value for _, name, value in reader.attributes if name == "style"}
    assert all(re.fullmatch(r"(--v:\d\.\d\d)?", value or "") for value in styles)
    assert not [c for c in html if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"]


def test_hostile_text_can_be_read(hostile_board: list[dict], tmp_path: Path) -> None:
    text = "".join(page_of(hostile_board, tmp_path)[1].text)
    assert "</script><script>alert(1)</script>" in text
    assert "⟨ESC⟩[31mred" in text
    assert "right⟨U+202E⟩to left" in text
    assert "… (5,000 characters)" in text
    assert "{{ 7*7 }} {% raw %} &amp;" in text
    assert "a" * 401 not in text


def test_nothing_is_loaded_and_no_script_may_run(board: list[dict], tmp_path: Path) -> None:
    html, reader = page_of(board, tmp_path)
    policy = next(value for tag, name, value in reader.attributes if tag == "meta" and name == "content")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert html.index("Content-Security-Policy") < html.index("<style>")
    assert "script" not in reader.tags
    assert "://" not in html
    assert "url(" not in html
    assert "@import" not in html


def test_the_same_rows_give_the_same_bytes(board: list[dict], tmp_path: Path) -> None:
    shuffled = [board[i] for i in np.random.default_rng(3).permutation(len(board))]
    for name, rows in (("a", board), ("b", shuffled)):
        write_page(rows, tmp_path / name / "page.html")
        write_csv(rows, tmp_path / name / "table.csv")
        write_json(summarise(rows), tmp_path / name / "summary.json")
    for file in ("page.html", "table.csv", "summary.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert printed(board, 100) == printed(shuffled, 100)
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_the_page_says_what_the_rows_say(board: list[dict], tmp_path: Path) -> None:
    html, reader = page_of(board, tmp_path)
    text, summary = " ".join(" ".join(reader.text).split()), summarise(board)
    for standing in (*summary.teachers, *summary.references):
        assert f"{standing.test.k:,}/{standing.test.n:,}" in text
        if standing.comparison:
            assert signed(standing.comparison.gain) in text
    for sentence in (*summary.reading, *summary.seen, *summary.warnings):
        assert sentence in text
    titles = {value for _, name, value in reader.attributes if name == "title"}
    share = summary.teachers[0].by_skill[0]
    assert f"{summary.teachers[0].teacher}, {summary.skills[0]}: {share.k} of {share.n} test items" in titles
    first = summary.untaught[0]
    assert f"untaught student, {summary.skills[0]}: {first.k} of {first.n} test items" in titles
    assert "dataenv leaderboard quick" in text
    assert board[0]["setting_digest"][:12] in text
    assert html.count("<svg") > 30


@pytest.mark.parametrize(("seeds", "heading"), [(3, "Teachers"), (6, "Ranking")])
def test_a_board_of_few_seeds_is_called_a_demonstration(seeds: int, heading: str, tmp_path: Path) -> None:
    rows = make_board(seeds)
    html, reader = page_of(rows, tmp_path)
    assert f'<h2 id="ranking">{heading}</h2>' in html
    assert f'<a href="#ranking">{heading}</a>' in html
    sentence = "A demonstration, not a ranking: 3 seeds. With fewer than 6 no verdict is possible, for no sign-flip p"
    for text in ("".join(reader.text), " ".join(printed(rows, 200).split())):
        assert (sentence in text) == (seeds < 6)


@pytest.mark.parametrize(
    "rows",
    [
        [make_row("stratified")],
        [make_row("alone")],
        [make_row("nothing", role="reference", steps=0, ended="stopped")],
        [
            make_row("t")
            | {"ended": "failed", "error": "no", "steps": [], "selected": 0, "test": None, "transfer": None}
        ],
        [make_row(name, s, steps=1) for name in ("stratified", "t") for s in (0, 1)],
        [make_row(name, 0) | {"transfer": None, "lessons": [], "mistakes": []} for name in ("stratified", "t")],
        make_board(2),
    ],
    ids=["baseline", "stranger", "nothing", "failed", "one step", "bare", "two seeds"],
)
def test_small_boards_are_boards(rows: list[dict], tmp_path: Path) -> None:
    html, _ = page_of(rows, tmp_path)
    write_csv(rows, tmp_path / "table.csv")
    write_json(summarise(rows), tmp_path / "summary.json")
    assert Summary.model_validate_json((tmp_path / "summary.json").read_bytes()) == summarise(rows)
    assert rows[0]["teacher"] in printed(rows, 120)
    assert "nan" not in re.sub(r"<[^>]*>", " ", html).lower().split()
    assert not re.search(r'"[^"]*\bnan\b[^"]*"', html)


def test_a_simulated_student_is_labelled(tmp_path: Path) -> None:
    rows = [make_row("stratified") | {"simulated": True}]
    html, page = page_of(rows, tmp_path)
    assert "simulated student" in "".join(page.text)
    assert "<h1>Simulated: Board " in html
    assert "simulated" in printed(rows, 100)


# --- files -----------------------------------------------------------------------------------------------------------


def test_csv_runs_no_formula_and_keeps_numbers(hostile_board: list[dict], tmp_path: Path) -> None:
    write_csv(hostile_board, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    hostile = next(r for r in records if "cmd" in r["teacher"])
    assert hostile["teacher"].startswith("'=cmd()")
    assert all(cell[:1] not in "=+@\t\r" for r in records for cell in r.values() if cell)
    worse = next(r for r in records if r["gain"] and float(r["gain"]) < 0)
    assert int(worse["test_k"]) / int(worse["test_n"]) == pytest.approx(float(worse["score"]))
    assert [r["rank"] for r in records if r["role"] == "reference"] == [""] * 4


COLUMNS = [
    "rank",
    "teacher",
    "role",
    "level",
    "seeds",
    "failed",
    "score",
    "test_k",
    "test_n",
    "score_iqm",
    "gain",
    "gain_low",
    "gain_high",
    "pairs",
    "items_won",
    "items_lost",
    "p",
    "p_holm",
    "smallest_visible_gain",
    "verdict",
    "auc",
    "worst_skill",
    "worst_skill_k",
    "worst_skill_n",
    "transfer_k",
    "transfer_n",
    "forgetting",
    "tokens_total",
    "tokens_spent",
    "tokens_training",
    "tokens_probes",
    "tokens_prior",
    "examples",
]
"""As they were in 0.1.0; new ones come after them."""


def test_csv_says_where_its_numbers_come_from(board: list[dict], tmp_path: Path) -> None:
    write_csv(board, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        records = {r["teacher"]: r for r in csv.DictReader(file)}
    first = records["stratified"]
    assert list(first)[: len(COLUMNS)] == COLUMNS
    assert {first[f"{name}_split"] for name in ("score", "auc", "forgetting", "target")} == {"test", "selection"}
    assert (first["score_answers"], first["score_split"], first["gain_split"]) == (first["test_n"], "test", "")
    assert records["random"]["gain_answers"] == str(2 * int(first["test_n"]))
    assert (first["target_reached"], first["target_seeds"]) == ("6", "6")
    never = records["failure"]
    assert (never["target_reached"], float(never["tokens_to_target_median"])) == ("0", float("inf"))
    assert float(first["target"]) >= float(first["auc"])
    assert records["frontier"]["target_seeds"] == "6"  # one of them failed


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "＝1"])
def test_cells_that_start_like_formulas_are_quoted(cell: str) -> None:
    assert str(csv_safe(cell)).startswith("'")


def test_cells_that_do_not_stay_as_they_are() -> None:
    assert [csv_safe(x) for x in ("stat-sel", -0.5, 3, None)] == ["stat-sel", -0.5, 3, ""]
    assert csv_safe("\t=1\r") == "⟨TAB⟩=1⟨CR⟩"


@pytest.mark.parametrize("seeds", [1, 2, 3, 6])
@pytest.mark.parametrize("hostile", [False, True])
def test_json_is_the_summary(seeds: int, hostile: bool, tmp_path: Path) -> None:
    summary = summarise(make_board(seeds, hostile=hostile))
    write_json(summary, tmp_path / "s.json")
    text = (tmp_path / "s.json").read_text(encoding="utf-8")
    again = Summary.model_validate_json(text)
    assert again == summary
    write_json(again, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text(encoding="utf-8") == text
    assert json.loads(text)["sensitivity"][0]["teacher"] == "stratified"


def test_a_write_that_fails_leaves_nothing_behind(board: list[dict], tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_json(summarise(board), tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


# --- the terminal ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_table_fits_the_terminal_and_cuts_no_number(board: list[dict], width: int) -> None:
    shown, summary = printed(board, width), summarise(board)
    assert max(map(len, shown.splitlines())) <= width
    for s in (*summary.teachers, *summary.references):
        assert f"{s.test.k:,}/{s.test.n:,}" in shown
        if s.comparison:
            assert f"{signed(s.comparison.gain)} [{signed(s.comparison.low)}, {signed(s.comparison.high)}]" in shown
    order = [s.teacher[:8] for s in summary.teachers]
    places = [shown.index(f"\n {i + 1} ") for i in range(len(order))]
    assert places == sorted(places)
    assert shown.index("references") > places[-1]
    for sentence in (*summary.reading, *summary.seen):
        assert sentence.split()[-1] in shown


@pytest.mark.parametrize("width", [40, 50, 60, 65, 70, 75, 79])
def test_a_narrow_terminal_keeps_the_names_and_says_what_it_leaves_out(board: list[dict], width: int) -> None:
    shown, summary = printed(board, width), summarise(board)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in shown
    for rank, s in enumerate(summary.teachers, start=1):
        assert any(re.match(rf" {rank} {s.teacher} ", line) for line in lines), s.teacher
        assert any(line.startswith(f" {s.teacher} ") for line in lines)
    for s in summary.references:
        assert sum(s.teacher in line.split() for line in lines) >= 2
    words = " ".join(shown.split())
    left_out = re.findall(r"No room here for ([^:]+):", words)
    for name in ("adj. p", "k/n", "verdict"):
        assert (name in " ".join(left_out)) != any(name in line for line in lines[:4])


@pytest.mark.parametrize(
    ("natural", "width", "kept", "name"),
    [
        ({"#": 1, "teacher": 9, "test %": 6, "k/n": 9, "adj. p": 6}, 80, "# teacher test% k/n adj.p", 9),
        ({"#": 1, "teacher": 9, "test %": 6, "k/n": 9, "adj. p": 6}, 30, "# teacher test% k/n", 9),
        ({"#": 1, "teacher": 9, "test %": 6, "k/n": 9, "adj. p": 6}, 29, "# teacher test%", 9),
        ({"#": 1, "teacher": 64, "test %": 6, "k/n": 9, "adj. p": 6}, 60, "# teacher test% k/n adj.p", 32),
        ({"#": 1, "teacher": 64, "test %": 6, "k/n": 9, "adj. p": 6}, 20, "# teacher test%", 9),
        ({"teacher": 64, "a": 90}, 20, "teacher a", 17),
    ],
)
def test_columns_give_way_to_names(natural: dict[str, int], width: int, kept: str, name: int) -> None:
    columns, size = fitting(natural, width)
    assert " ".join(column.replace(" ", "") for column in columns) == kept
    assert size == name


@pytest.mark.parametrize("transfer", [True, False])
def test_an_ablation_on_a_narrow_terminal_cuts_no_name(transfer: bool) -> None:
    names = {"random": "learning-progress-blind"}
    rows = [row | {"teacher": names.get(row["teacher"], row["teacher"])} for row in make_board()]
    rows = [row | ({"mask": ["state"]} if row["teacher"].endswith("-blind") else {}) for row in rows]
    if not transfer:
        rows = [row | {"transfer": None} for row in rows]
    assert {"learning-progress", "learning-progress-blind"} <= {row["teacher"] for row in rows}
    shown = printed(rows, 80)
    assert "…" not in shown
    assert "without" in shown
    assert ("transfer" in shown) == transfer


def test_the_terminal_obeys_no_one_else(hostile_board: list[dict]) -> None:
    shown = printed(hostile_board, 200)
    assert not [c for c in shown if unicodedata.category(c)[0] == "C" and c != "\n"]
    assert "[red]" in shown


# --- numbers and texts -----------------------------------------------------------------------------------------------


def test_visible_hides_nothing_and_lets_nothing_act() -> None:
    assert visible("a\x1b\x00\n\x7f\u202e\u200b\ufeff") == "a⟨ESC⟩⟨U+0000⟩⟨LF⟩⟨U+007F⟩⟨U+202E⟩⟨U+200B⟩⟨U+FEFF⟩"
    assert visible("é 漢 🙂 −") == "é 漢 🙂 −"
    assert visible("abcdef", 3) == "abc … (6 characters)"
    for text in HOSTILE:
        assert not [c for c in visible(text) if unicodedata.category(c)[0] == "C"]


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (840, "840"), (13_200, "13.2k"), (1.2e6, "1.20M"), (4.5e8, "450M"), (2e9, "2.00G")]
)
def test_tokens(value: float, shown: str) -> None:
    assert tokens(value) == shown


def test_small_p_values_are_never_zero() -> None:
    assert [p_value(p) for p in (None, 0.0, 0.0004, 0.0355, 1.0)] == ["–", "<0.001", "<0.001", "0.035", "1.000"]


def test_a_lenient_score_is_shown_beside_the_strict_one(tmp_path: Path) -> None:
    """Where every run says which answers are right in all but form; else nothing is said of it."""
    rows = make_board()
    assert "lenient" not in printed(rows, 200)
    for row in rows:
        if row["test"] is not None:
            row["test"]["lenient"] = row["test"]["correct"].replace("0", "1")
    assert "lenient %" in printed(rows, 200)
    assert all(s.lenient is not None and s.lenient.k == s.lenient.n for s in summarise(rows).teachers)
    write_page(rows, tmp_path / "page.html")
    assert "lenient 100.0" in (tmp_path / "page.html").read_text(encoding="utf-8")

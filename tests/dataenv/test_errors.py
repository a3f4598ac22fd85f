"""Sentences about names that are unknown."""

from __future__ import annotations

from dataenv.errors import did_you_mean, nearest


def test_the_nearest_name_is_found_or_none() -> None:
    assert nearest("stratifed", ["random", "stratified"]) == "stratified"
    assert nearest("zzz", ["random", "stratified"]) is None
    assert nearest("zzz", []) is None


def test_a_sentence_ends_in_the_nearest_name_or_in_all_of_them() -> None:
    assert did_you_mean("stratifed", iter(["random", "stratified"])) == "did you mean 'stratified'?"
    assert did_you_mean("zzz", iter(["random", "stratified"])) == "known: random, stratified."
    assert did_you_mean("zzz", []) == "known: none."


def test_a_sentence_may_end_otherwise_where_no_name_is_near() -> None:
    assert did_you_mean("zzz", ["random"], "the board has random") == "the board has random"
    assert did_you_mean("randon", ["random"], "the board has random") == "did you mean 'random'?"

"""Characters and words as tokens: what goes in comes out, and the same in a tokenizer of ``tokenizers``."""

from __future__ import annotations

import pytest

from students.pocket.vocabulary import ALPHABET, EOS, FIRST, PAD, UNKNOWN, Characters, Vocabulary, WordList, pieces

LIST = WordList(("7", "12", "has", "nuts", "tom", "."))
BOTH = [(Characters(), "Tom has 12 nuts."), (LIST, "tom has 12 nuts .")]


@pytest.mark.parametrize(("vocabulary", "text"), BOTH, ids=["characters", "words"])
def test_what_is_encoded_is_decoded_up_to_its_end(vocabulary: Vocabulary, text: str) -> None:
    ids = vocabulary.encode(text)
    assert len(ids) == vocabulary.count(text)
    assert max(ids) < vocabulary.size
    assert min(ids) >= FIRST
    for end in (PAD, EOS):
        assert vocabulary.decode([*ids, end, *ids]) == text


@pytest.mark.parametrize(("vocabulary", "text"), BOTH, ids=["characters", "words"])
def test_the_tokenizer_is_the_same(vocabulary: Vocabulary, text: str) -> None:
    tokenizer = vocabulary.tokenizer()
    assert tokenizer.get_vocab_size() == vocabulary.size
    assert tokenizer.encode(text).ids == vocabulary.encode(text)
    assert tokenizer.decode(vocabulary.encode(text)) == text


def test_capitals_and_spaces_do_not_count_for_words() -> None:
    assert LIST.encode(" TOM\nhas 12nuts.") == LIST.encode("tom has 12 nuts .")
    assert LIST.tokenizer().encode(" TOM\nhas 12nuts.").ids == LIST.encode("tom has 12 nuts .")


def test_a_word_that_is_not_listed_is_one_unknown_token() -> None:
    assert LIST.knows("tom has 7 nuts.")
    assert not LIST.knows("ann has 7 nuts.")
    assert not LIST.knows(UNKNOWN)
    assert LIST.encode("ann has") == [FIRST, *LIST.encode("has")]
    assert LIST.tokenizer().encode("ann has").ids == LIST.encode("ann has")


@pytest.mark.parametrize(("text", "known"), [("a b~", True), ("é", False), ("a\nb", False), ("", True)])
def test_characters_are_printable_ascii(text: str, known: bool) -> None:
    assert Characters().knows(text) is known
    assert Characters().size == FIRST + len(ALPHABET) == 97


def test_pieces_are_words_numbers_and_signs() -> None:
    assert pieces("Tom's 12 nuts, 7x?") == ["tom", "'", "s", "12", "nuts", ",", "7", "x", "?"]

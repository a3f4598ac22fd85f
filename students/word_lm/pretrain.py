"""Pre-trains ``word-lm`` on stories and drills of ``words``: ``python -m students.word_lm.pretrain --out FILE``.

One seed gives one file, bit for bit within one class of processor. Nothing that a sealed problem asks is told or asked.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from students.base import Recipe
from students.pocket.by_numpy import NumpyModel
from students.pocket.student import untaught
from students.pocket.vocabulary import EOS, PAD, WordList, pieces
from students.training.loop import Batch, Encoded, pack
from students.word_lm.student import PRETRAINED, Pretrained
from tasks.records import stream
from tasks.words import Words
from tasks.words.lexicon import NUMBERS

WIDTH, LAYERS, HEADS, CONTEXT = 64, 3, 4, 64
DRILLS, STORIES = 32, 2
"""Of each update."""
AHEAD = 64
"""Updates whose texts are made at once."""
RECIPE = Recipe(updates=3_000, batch=DRILLS + STORIES, rate=3e-3, warmup=200, cooldown=1_000)


def vocabulary(task: Words) -> WordList:
    """All words, numbers and signs of the task's pool and stories, in the order of the alphabet."""
    rng = stream(0, "vocabulary")
    texts = [e.prompt + " " + e.response for e in task.pool()] + task.stories(2_000, rng)
    texts += [problem.prompt for problem in task.split("transfer")]
    words = {piece for text in texts for piece in pieces(text)} | set(NUMBERS)
    return WordList(sorted(words))


def corpus(task: Words, words: WordList, seed: int) -> Iterator[Batch]:
    """Batches of drills, whose answers are learnt, and of stories, which are learnt as a whole; without end."""
    step = 0
    while True:
        drills = task.prior(AHEAD * DRILLS, stream(seed, "drills", step))
        stories = task.stories(AHEAD * STORIES, stream(seed, "stories", step))
        asked = [(words.encode(e.prompt), [*words.encode(e.response), EOS]) for e in drills]
        told = [(tokens[:1], [*tokens[1:], EOS]) for tokens in map(words.encode, stories)]
        for i in range(AHEAD):
            rows = asked[i * DRILLS : (i + 1) * DRILLS] + told[i * STORIES : (i + 1) * STORIES]
            batch = Encoded(rows, PAD)
            yield Batch(batch.ids, batch.targets, int(batch.lengths.sum()))
        step += 1


def pretrain(recipe: Recipe, seed: int, width: int = WIDTH, layers: int = LAYERS, every: int = 250) -> Pretrained:
    """A model that was trained on the corpus.

    Args:
        recipe: Updates, rate, warm-up and cool-down.
        seed: Of its first weights and of every text.
        width: Hidden size.
        layers: Transformer blocks.
        every: Updates between two lines of progress.
    """
    task = Words()
    words = vocabulary(task)
    first = pack(untaught(words.size, width, layers, stream(seed, "weights")))
    model = NumpyModel(first, True, HEADS, CONTEXT, threads=1)
    batches = _told_of(corpus(task, words, seed), recipe.updates + recipe.cooldown, every)
    model.optimisation(recipe).run(batches)
    return Pretrained(model.state, words.words[1:], HEADS, CONTEXT)


def _told_of(batches: Iterator[Batch], updates: int, every: int) -> Iterator[Batch]:
    """The batches, with a line of progress now and then."""
    tokens, start = 0, time.process_time()
    for i, batch in enumerate(islice(batches, updates)):
        tokens += batch.tokens
        if i and i % every == 0:
            print(
                f"update {i} of {updates}: {tokens / 1e6:.2f} M tokens, {time.process_time() - start:.0f} s", flush=True
            )
        yield batch


def main() -> None:
    """Pre-train, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PRETRAINED)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--updates", type=int, default=RECIPE.updates)
    parser.add_argument("--cooldown", type=int, default=RECIPE.cooldown)
    given = parser.parse_args()
    recipe = RECIPE.model_copy(update={"updates": given.updates, "cooldown": given.cooldown})
    made = pretrain(recipe, given.seed)
    made.write(given.out)
    count = sum(value.size for value in made.parameters.values())
    print(f"{given.out}: {count / 1e6:.2f} M parameters, {given.out.stat().st_size / 1e6:.2f} MB, digest {made.digest}")


if __name__ == "__main__":
    main()

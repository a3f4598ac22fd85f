"""``causal-lm`` on SmolLM2 beside a plain loop: the same model, adapter, examples, optimiser and updates, in one run.

The plain loop is what one writes first: bfloat16 as the model's type, batches of random examples padded to the longest,
the logits of every token, and ``generate`` in batches of equal size to the cap, with no token that ends early. It is
also run in float32, and with the ends of answers, so that what each choice brings is seen apart. Where ``auto`` is
bfloat16 the student runs in float32 too: whether ``auto`` pays is the ratio of the two.

With ``--trl`` TRL's SFTTrainer teaches the same lesson too (tests/bench/peer.py), to a model with the same adapter.
That needs an environment with the extra ``trl``.

A processor without instructions for bfloat16 takes minutes for one such update of 16, so there that arm gets batches of
2; what is compared is work a processor second. Rounds are interleaved, for the machine may be shared.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from common import machine, markdown

BATCH, CAP, RATE = 16, 16, 1e-3
ROUNDS, ITEMS, BEFORE, FEW = 3, 32, 8, 2
UPDATES = 4
"""Of a lesson that TRL teaches too: it sets up a trainer for each."""


def problems(n: int, purpose: str) -> list[Any]:
    """Two-term sums and differences in words, as reasoning-gym's ``chain_sum`` puts them."""
    from tasks.records import Example, stream

    rng = stream(0, purpose)
    out = []
    for a, b in rng.integers(1, 100, size=(n, 2)).tolist():
        sign = "+-"[int(rng.integers(2))]
        prompt = f"State the final answer to the following arithmetic problem: {a} {sign} {b} ="
        out.append(Example(prompt=prompt, response=str(a + b if sign == "+" else a - b)))
    return out


Arm = tuple[list[Any], Callable[[list[Any]], Any]]
"""What an arm works on, and how."""


class Plain:
    """The plain loop."""

    def __init__(self, folder: str, dtype: str, weights: bytes, device: str = "cpu") -> None:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from students.training.loop import unpack

        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
        config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        self.device, self.model = device, get_peft_model(model, config).to(device)
        adapter, _ = unpack(weights)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    parameter.copy_(adapter[name])
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.95), weight_decay=0.01)

    def ask(self, prompt: str) -> str:
        """The chat template around a prompt."""
        turns = [{"role": "user", "content": prompt}]
        text: str = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return text

    def train(self, batches: list[list[Any]]) -> None:
        """An update on each batch, padded to its longest, with all the logits."""
        import torch

        self.model.train()
        for batch in batches:
            asked = [self.tokenizer(self.ask(e.prompt))["input_ids"] for e in batch]
            said = [self.tokenizer(e.response + "<|im_end|>")["input_ids"] for e in batch]
            longest = max(len(a) + len(s) for a, s in zip(asked, said, strict=True))
            ids = torch.full((len(batch), longest), self.tokenizer.pad_token_id)
            labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
            for k, (a, s) in enumerate(zip(asked, said, strict=True)):
                ids[k, : len(a) + len(s)] = torch.tensor(a + s)
                labels[k, len(a) : len(a) + len(s)] = torch.tensor(s)
                mask[k, : len(a) + len(s)] = 1
            ids, labels, mask = (each.to(self.device) for each in (ids, labels, mask))
            self.model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            self.optimiser.zero_grad()

    def examine(self, prompts: list[str], stop: bool) -> list[str]:
        """``generate``, to the end of every answer of a batch (``stop``) or to the cap."""
        import torch

        self.model.eval()
        self.tokenizer.padding_side = "left"
        said: list[str] = []
        for start in range(0, len(prompts), BATCH):
            asked = [self.ask(prompt) for prompt in prompts[start : start + BATCH]]
            batch = self.tokenizer(asked, return_tensors="pt", padding=True).to(self.device)
            least = {} if stop else {"min_new_tokens": CAP}
            with torch.no_grad():
                out = self.model.generate(**batch, max_new_tokens=CAP, do_sample=False, **least)
            said += self.tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        return said


def measured(act: Callable[[list[Any]], Any], part: list[Any]) -> float:
    """Processor seconds."""
    begun = time.process_time()
    act(part)
    return time.process_time() - begun


def trained(student: Any, weights: bytes, recipe: Any, part: list[Any]) -> Any:
    """What the student does of a batch."""
    from students.base import Data

    return student.fit(weights, Data(tuple(part)), recipe, 0)


def examined(student: Any, weights: bytes, decoding: Any, part: list[Any]) -> Any:
    """What the student answers."""
    from students.base import asked

    return student.answer(weights, asked(part), decoding, 0)


def main() -> int:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--trl", action="store_true", help="beside TRL's SFTTrainer alone")
    args = parser.parse_args()
    rounds = args.rounds

    from students.base import Data, Decoding, Recipe
    from students.causal_lm.smollm2 import smollm2
    from students.causal_lm.student import CausalLM

    print(machine("torch", "transformers", "peft"), flush=True)
    student, folder = CausalLM(), str(smollm2())
    lesson, exam = problems(BATCH * BEFORE, "lesson"), [e.prompt for e in problems(ITEMS, "exam")]
    recipe, decoding = Recipe(updates=1, batch=BATCH, rate=RATE), Decoding(max_tokens=CAP)
    # Everybody knows the form of an answer before, for the length of answers decides the time of an exam.
    taught, _ = student.fit(student.initial(0), Data(tuple(lesson)), recipe.model_copy(update={"updates": BEFORE}), 0)
    if args.trl:
        beside_trl(folder, taught, lesson[: UPDATES * BATCH], recipe.model_copy(update={"updates": UPDATES}), rounds)
        return 0
    plain = {dtype: Plain(folder, dtype, taught) for dtype in ("bfloat16", "float32")}
    ours, exact, short = f"causal-lm, {student.numerics['dtype']}", plain["float32"], plain["bfloat16"]
    beside = {} if student.numerics["dtype"] == "float32" else {"causal-lm, float32": CausalLM(dtype="float32")}
    batch, few = lesson[:BATCH], BATCH if student.numerics["dtype"] == "bfloat16" else FEW
    training: dict[str, Arm] = {
        ours: (batch, partial(trained, student, taught, recipe)),
        **{name: (batch, partial(trained, other, taught, recipe)) for name, other in beside.items()},
        f"plain loop, bfloat16, batch {few}": (batch[:few], lambda part: short.train([part])),
        "plain loop, float32": (batch, lambda part: exact.train([part])),
    }
    examining: dict[str, Arm] = {
        ours: (exam, partial(examined, student, taught, decoding)),
        **{name: (exam, partial(examined, other, taught, decoding)) for name, other in beside.items()},
        f"plain loop, bfloat16, to the cap, batch {few}": (exam[:few], lambda part: short.examine(part, stop=False)),
        "plain loop, float32, to the cap": (exam, lambda part: exact.examine(part, stop=False)),
        "plain loop, float32, to the end": (exam, lambda part: exact.examine(part, stop=True)),
    }
    compare(f"examining {ITEMS} prompts, cap {CAP}", "answers", examining, len, rounds)
    compare(f"training, batch {BATCH}", "tokens", training, lambda part: sum(map(student.tokens, part)), rounds)
    lengths = [student.tokens(e) for e in batch]
    print(f"\nExamples of {min(lengths)}-{max(lengths)} tokens. Work a processor second, medians of {rounds} rounds.")
    return 0


def beside_trl(folder: str, taught: bytes, lesson: list[Any], recipe: Any, rounds: int) -> None:
    """A lesson by the student, by the plain loop and by TRL, all in float32."""
    from peer import Peer

    from students.base import Decoding
    from students.causal_lm.student import CausalLM

    student, plain, trl = CausalLM(dtype="float32"), Plain(folder, "float32", taught), Plain(folder, "float32", taught)
    peer = Peer(Path(folder), trl.model)
    said = [e.model_copy(update={"prompt": trl.ask(e.prompt), "response": f"{e.response}<|im_end|>"}) for e in lesson]
    batches = [lesson[i : i + BATCH] for i in range(0, len(lesson), BATCH)]
    arms: dict[str, Arm] = {
        "causal-lm, float32": (lesson, partial(trained, student, taught, recipe)),
        "plain loop, float32": (lesson, lambda part: plain.train(batches)),
        "TRL SFTTrainer, float32": (lesson, lambda part: peer.step(said, recipe, [], Decoding())),
    }
    title = f"a lesson of {UPDATES} updates, batch {BATCH}"
    compare(title, "tokens", arms, lambda part: sum(map(student.tokens, part)), rounds)


def compare(title: str, unit: str, arms: dict[str, Arm], count: Callable[[list[Any]], int], rounds: int) -> None:
    """Run the arms in turns and print what each does in a processor second, as a table for docs/smollm2.md."""
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, (part, act) in arms.items():
            times[name].append(measured(act, part))
    rates = {name: count(part) / median(times[name]) for name, (part, _) in arms.items()}
    first = next(iter(rates.values()))
    rows = [
        [name, f"{rate:.2f}", f"{first / rate:.1f}", f"{min(times[name]):.1f}-{max(times[name]):.1f}"]
        for name, rate in rates.items()
    ]
    markdown([title, unit, "ours / it", "seconds of a call"], rows)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

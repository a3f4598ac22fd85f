"""GRPO on a language model that teaches: TRL's trainer, the environments of ``teachers.trl``, a tiny model.

    .venv-trl/bin/python tests/bench/trl_grpo.py --steps 12

The model is a Llama of two layers that has never read anything. It is first shown what a call of the tool looks like,
half of the calls for each of the toy's two skills, one of which cannot be learnt; what GRPO makes of that is printed.
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from typing import Any

import torch

CALL = '<tool_call>\n{{"name": "teach", "arguments": {{"weights": {{"{skill}": 1}}}}}}\n</tool_call><|im_end|>'
DONE = "Done<|im_end|>"
WORDS = r"<\|\w+\|>|</?\w+>| ?\w+|\W"
MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unknown>")


def conversation(rollout: Any, seed: int, skill: str) -> list[dict[str, Any]]:
    """A rollout in which one lesson is given."""
    function = {"name": "teach", "arguments": {"weights": {skill: 1}}}
    return [
        {"role": "user", "content": rollout.reset(seed=seed)},
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]},
        {"role": "tool", "name": "teach", "content": rollout.teach({skill: 1})},
    ]


def tokenizer_of(texts: list[str]) -> Any:
    """A tokenizer whose tokens are the words of some texts; its chat template is Qwen3's, which TRL knows."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Split(Regex(WORDS), "isolated")
    words = sorted({word for text in texts for word, _ in split.pre_tokenize_str(text)} - set(MARKS))
    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate((*MARKS, *words))}, unk_token=MARKS[3]))
    made.pre_tokenizer, made.decoder = split, decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=MARKS[0], eos_token=MARKS[2], padding_side="left"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": [MARKS[1]]})
    tokenizer.chat_template = _template()
    return tokenizer


def _template() -> str:
    return files("trl").joinpath("chat_templates", "qwen3.jinja").read_text(encoding="utf-8")


def shown(rollout: Any, skills: tuple[str, ...], seed: int, steps: int = 200, batch: int = 4) -> tuple[Any, Any]:
    """A model and its tokenizer, after it was shown calls of the tool."""
    from transformers import LlamaConfig, LlamaForCausalLM

    talks = [conversation(rollout, i, skills[i % len(skills)]) for i in range(32)]
    texts = [message["content"] for talk in talks for message in talk]
    rough = tokenizer_of([*texts, CALL, DONE])  # of these words the template is made into text, and then read
    plain = [_rendered(rough, rollout, talk) for talk in talks]
    tokenizer = tokenizer_of([*plain, DONE, *(CALL.format(skill=s) for s in skills)])
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=4096,
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=1,
    )
    model = LlamaForCausalLM(config)
    rows = [_row(tokenizer, text, CALL.format(skill=skills[i % len(skills)])) for i, text in enumerate(plain)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(steps):
        some = [rows[(step * batch + i) % len(rows)] for i in range(batch)]
        longest = max(len(ids) for ids, _ in some)
        ids = torch.tensor([x + [0] * (longest - len(x)) for x, _ in some])
        labels = torch.tensor([y + [-100] * (longest - len(y)) for _, y in some])
        loss = model(input_ids=ids, attention_mask=(ids != 0).long(), labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model, tokenizer


def _rendered(tokenizer: Any, rollout: Any, talk: list[dict[str, Any]]) -> str:
    return tokenizer.apply_chat_template(talk, tools=[rollout.teach], tokenize=False, add_generation_prompt=True)


def _row(tokenizer: Any, text: str, call: str) -> tuple[list[int], list[int]]:
    """Tokens of a rollout, and of them those that the model is to say."""
    ask, found, rest = text.partition(call)
    assert found, text[-2000:]
    parts = [(ask, False), (call, True), (rest, False), (DONE, True)]
    ids = [(i, said) for part, said in parts for i in tokenizer(part, add_special_tokens=False)["input_ids"]]
    return [i for i, _ in ids], [i if said else -100 for i, said in ids]


def train(environments: Any, skills: tuple[str, ...], folder: str, steps: int, seed: int = 0) -> Any:
    """A trainer that has made so many updates; its log has the mean reward of every step."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    model, tokenizer = shown(environments(), skills, seed)
    args = GRPOConfig(
        output_dir=folder,
        max_steps=steps,
        learning_rate=1e-4,
        per_device_train_batch_size=16,
        num_generations=8,
        max_completion_length=1024,
        max_tool_calling_iterations=1,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        seed=seed,
    )
    rows = [{"prompt": [{"role": "user", "content": ""}], "seed": i} for i in range(64)]
    trainer = GRPOTrainer(
        model=model,
        args=args,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows),
        environment_factory=environments,
    )
    trainer.train()
    return trainer


def main() -> None:
    """Train on the toy and print what the model's lessons came to, step by step."""
    import sys
    import tempfile
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from dataenv import registry
    from teachers.trl import environments
    from tests.toys import PAYING

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    registry.TASKS["branching"] = "tests.toys:Branching"
    registry.STUDENTS["choosy"] = "tests.toys:Choosy"
    with tempfile.TemporaryDirectory() as folder:
        trainer = train(environments(errors=0, **PAYING), ("short", "long"), folder, given.steps, given.seed)
    for line in trainer.state.log_history:
        if "reward" in line:
            print(f"step {line['step']}: mean reward {line['reward']:.3f}, {line['tools/call_frequency']:.2f} lessons")


if __name__ == "__main__":
    main()

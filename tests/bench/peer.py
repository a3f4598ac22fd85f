"""The peer: the same lesson and the same exam with TRL's SFTTrainer and ``model.generate``, set up as kindly as can be.

Kind means: gradient checkpointing off (TRL's default is on), no evaluation, no saving, no logging, no progress bar, the
prompts of the exam in batches of equal length so that nothing is padded, and one batch a length however many there are.
What cannot be switched off stays on: at each update TRL also computes the entropy and the accuracy of the tokens.
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
from trl import SFTConfig, SFTTrainer

from students.base import Decoding, Recipe
from tasks.records import Example

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
datasets.disable_progress_bars()
logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")


class Peer:
    """A student in a ``from_pretrained`` folder, taught by SFTTrainer; it keeps its weights between lessons."""

    def __init__(self, folder: Path, model: Any = None) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder) if model is None else model
        self.seconds: dict[str, float] = {}

    def step(self, lesson: Sequence[Example], recipe: Recipe, prompts: Sequence[str], decoding: Decoding) -> list[str]:
        """Train on a lesson, then answer the exam; ``seconds`` says where the time went."""
        begun = time.perf_counter()
        trainer = self._trainer(lesson, recipe)
        made = time.perf_counter()
        trainer.train()
        trained = time.perf_counter()
        responses = self._answer(prompts, decoding)
        ended = time.perf_counter()
        self.seconds = {"set up": made - begun, "train": trained - made, "exam": ended - trained}
        return responses

    def _trainer(self, lesson: Sequence[Example], recipe: Recipe) -> SFTTrainer:
        data = datasets.Dataset.from_list([{"prompt": e.prompt, "completion": e.response} for e in lesson])
        config = SFTConfig(
            output_dir=tempfile.gettempdir(),
            max_steps=recipe.updates,
            per_device_train_batch_size=recipe.batch,
            learning_rate=recipe.rate,
            lr_scheduler_type="constant",
            weight_decay=recipe.weight_decay,
            max_grad_norm=recipe.clip,
            adam_beta1=0.9,
            adam_beta2=0.95,
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
            max_length=None,
            eval_strategy="no",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        trainer = SFTTrainer(model=self.model, args=config, train_dataset=data, processing_class=self.tokenizer)
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _answer(self, prompts: Sequence[str], decoding: Decoding) -> list[str]:
        groups: dict[int, list[int]] = defaultdict(list)
        for i, prompt in enumerate(prompts):
            groups[len(prompt)].append(i)
        answers = [""] * len(prompts)
        self.model.eval()
        for members in groups.values():
            ids = self.tokenizer([prompts[i] for i in members], return_tensors="pt")["input_ids"]
            with torch.inference_mode():
                out = self.model.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=decoding.max_tokens,
                    do_sample=False,
                )
            texts = self.tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
            for i, text in zip(members, texts, strict=True):
                answers[i] = text
        return answers

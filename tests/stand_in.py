"""A stand-in for vLLM's server: the same command line and routes, over plain ``transformers`` and ``peft``.

It is slow and simple: each prompt goes through the model by itself, without a cache. `make test-vllm` asks vLLM itself.
"""

from __future__ import annotations

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = "0.0-stand-in"
FAULTS = ("drifts", "depends", "forgets", "silent")
"""What it can do wrong: answer another thing each time, let answers depend on what is asked beside them, lose each
adapter when it is asked, leave token ids out."""


class Refused(Exception):
    """A reply that is an error."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


class Engine:
    """A model and its adapters.

    Args:
        options: As ``options_of`` reads them.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(1)
        self.options, self.lock = options, threading.Lock()
        self.base = AutoModelForCausalLM.from_pretrained(options.model, local_files_only=True).float().eval()
        self.whole: Any = self.base
        self.adapters: dict[str, str] = {}
        self.version, self.asked, self.log = VERSION, 0, list[str]()

    def models(self) -> list[dict[str, Any]]:
        """As ``/v1/models``."""
        name, longest = self.options.model, self.options.max_model_len
        base = {"id": name, "root": name, "parent": None, "max_model_len": longest}
        return [base, *({"id": name, "root": path, "parent": base["id"]} for name, path in self.adapters.items())]

    def load(self, name: str, folder: str) -> None:
        """As ``/v1/load_lora_adapter``."""
        from peft import PeftModel

        if name in self.adapters:
            raise Refused(400, f"The lora adapter '{name}' has already been loaded.")
        rank = json.loads((Path(folder) / "adapter_config.json").read_text())["r"]
        if rank > self.options.max_lora_rank:
            raise Refused(500, f"LoRA rank {rank} is greater than max_lora_rank {self.options.max_lora_rank}.")
        if isinstance(self.whole, PeftModel):
            self.whole.load_adapter(folder, adapter_name=name)
        else:
            self.whole = PeftModel.from_pretrained(self.base, folder, adapter_name=name)
        self.whole.eval()
        self.adapters[name] = folder
        self.log.append(f"load {name}")

    def unload(self, name: str) -> None:
        """As ``/v1/unload_lora_adapter``."""
        if self.adapters.pop(name, None) is None:
            raise Refused(404, f"The lora adapter '{name}' cannot be found.")
        if self.adapters:
            self.whole.delete_adapter(name)
        else:
            self.base = self.whole = self.whole.unload()
        self.log.append(f"unload {name}")

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """As ``/v1/completions``."""
        name, fault = body["model"], self.options.fault
        if fault == "forgets" and name in self.adapters and not name.startswith("dataenv-probe"):
            self.unload(name)
        if name not in (*self.adapters, self.options.model):
            raise Refused(404, f"The model `{name}` does not exist.")
        self.asked += 1
        shift = self.asked if fault == "drifts" else len(body["prompt"]) > 1 if fault == "depends" else 0
        choices = []
        for i, ids in enumerate(body["prompt"]):
            tokens = self._write(name, ids, body, int(shift))
            choices.append({"index": i, "text": "", **({} if fault == "silent" else {"token_ids": tokens})})
        return {"choices": choices[::-1]}  # in no order that could be relied on

    def _write(self, name: str, ids: list[int], body: dict[str, Any], shift: int) -> list[int]:
        import torch

        generator, out = torch.Generator().manual_seed(body["seed"]), list[int]()
        if self.adapters:
            self.whole.set_adapter(name if name in self.adapters else next(iter(self.adapters)))
        with torch.no_grad():
            while len(out) < body["max_tokens"]:
                logits = self.whole(torch.tensor([[*ids, *out]])).logits[0, -1]
                if body["temperature"]:
                    odds = (logits / body["temperature"]).softmax(-1)
                    token = int(torch.multinomial(odds, 1, generator=generator))
                else:
                    token = int(logits.argsort(descending=True)[shift % 3])
                out.append(token)
                if token in body["stop_token_ids"]:
                    break
        return out

    def reply(self, path: str, body: dict[str, Any]) -> Any:
        """What is sent for a request."""
        if path == "/version":
            return {"version": self.version}
        if path == "/v1/models":
            return {"object": "list", "data": self.models()}
        if path.startswith("/server_info") and self.options.invariant is not None:
            env = {"VLLM_BATCH_INVARIANT": self.options.invariant == "yes"}
            config = {"model_config": {"dtype": "torch.float32"}, "device_config": {"device": "cpu"}}
            return {"vllm_config": config, "vllm_env": env}
        if path == "/v1/load_lora_adapter":
            return self.load(body["lora_name"], body["lora_path"])
        if path == "/v1/unload_lora_adapter":
            return self.unload(body["lora_name"])
        if path == "/v1/completions":
            return self.complete(body)
        raise Refused(404, "Not Found")


class StandIn:
    """The server in this process, for as long as the block lasts.

    Attributes:
        address: Where it is.
        engine: What it serves.
    """

    def __init__(self, model: Path | str, *words: str) -> None:
        self.engine = Engine(options_of(["serve", str(model), *words]))
        self._server = ThreadingHTTPServer(("127.0.0.1", self.engine.options.port), _handler(self.engine))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> StandIn:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(engine: Engine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply({})

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _reply(self, body: dict[str, Any]) -> None:
            try:
                with engine.lock:
                    code, said = 200, engine.reply(self.path, body)
            except Refused as error:
                code, said = error.code, {"error": {"message": str(error), "code": error.code}}
            data = b"Success" if said is None else json.dumps(said).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def options_of(words: list[str]) -> argparse.Namespace:
    """The options of ``vllm serve`` that are heeded, and some of its own; others are let pass."""
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("model")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--max-model-len", type=int, default=128)
    parser.add_argument("--max-lora-rank", type=int, default=16)
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--invariant", choices=["yes", "no"])
    return parser.parse_known_args(words)[0]


if __name__ == "__main__":
    import sys

    with StandIn(*sys.argv[2:]):
        threading.Event().wait()

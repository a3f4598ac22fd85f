"""A fake of a server that speaks Tinker's API: HTTP and protobuf are the real ones, and a tiny model is really trained.

One thing at a time, when it is asked for. There are no accounts and no queue, and checkpoints are kept in memory.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tinker.proto import tinker_public_pb2 as pb

from students.causal_lm.student import CausalLM

PROTO = "application/x-protobuf"
MODEL = "tiny/llama"
ALPHA = 32


class HttpError(Exception):
    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


@dataclass
class Weights:
    """An adapter and its optimiser."""

    rank: int
    tensors: dict[str, torch.nn.Parameter]
    adam: torch.optim.AdamW
    training: bool = True

    def copied(self) -> Weights:
        made = Weights.of({name: p.detach().clone() for name, p in self.tensors.items()}, self.rank)
        made.adam.load_state_dict(deepcopy(self.adam.state_dict()))  # which would be shared
        return made

    @classmethod
    def of(cls, tensors: dict[str, torch.Tensor], rank: int) -> Weights:
        parameters = {name: torch.nn.Parameter(t) for name, t in tensors.items()}
        return cls(rank, parameters, torch.optim.AdamW(parameters.values()))


@dataclass
class Fake:
    """The server.

    Attributes:
        faults: HTTP statuses by the last word of a path, that are answered in place of what was asked.
        asked: The last words of the paths that were asked for, with headers and (JSON) bodies.
        slow: Seconds before each answer.
        other: Fields of ``get_info`` that are not as they were asked for.
        spoilt: Whether all losses are NaN.
    """

    folder: Path
    faults: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    slow: float = 0.0
    other: dict[str, Any] = field(default_factory=dict)
    spoilt: bool = False
    url: str = ""

    def __post_init__(self) -> None:
        self.models: dict[str, Weights] = {}
        self.kept: dict[str, Weights] = {}
        self.samplers: dict[str, str | None] = {}
        self.done: dict[str, Any] = {}
        self._numbers, self._lock = count(), threading.Lock()
        self._students: dict[int, Any] = {}

    # --- the model -----------------------------------------------------------------------------------------------

    def network(self, rank: int) -> Any:
        if rank not in self._students:
            self._students[rank] = CausalLM(path=str(self.folder), rank=rank, alpha=ALPHA, context=96)._network
        return self._students[rank]

    def loaded(self, weights: Weights | None) -> Any:
        network = self.network(weights.rank if weights else 4)
        values = weights.tensors if weights else network.untaught(0)
        with torch.no_grad():
            for name, parameter in network.trainable.items():
                parameter.copy_(values[name])
                parameter.grad = None
        return network

    def passed(self, weights: Weights, request: Any) -> Any:
        network, rows, total = self.loaded(weights), [], torch.zeros(())
        for one in request.data:
            tokens = np.concatenate([np.frombuffer(c.encoded_text.tokens, np.int32) for c in one.model_input])
            due = np.frombuffer(one.loss_fn_inputs["target_tokens"].dense, np.int64)
            share = np.frombuffer(one.loss_fn_inputs["weights"].dense, np.float32)
            logits = network.model(input_ids=torch.tensor(tokens.astype(np.int64))[None]).logits[0]
            scores = logits.float().log_softmax(-1).gather(1, torch.tensor(due.copy())[:, None])[:, 0]
            rows.append(scores.detach().numpy() * (np.nan if self.spoilt else 1))
            total = total - (scores * torch.tensor(share.copy())).sum()
        if not request.forward_only:
            total.backward()
            for name, parameter in network.trainable.items():
                held = weights.tensors[name]
                held.grad = parameter.grad.clone() if held.grad is None else held.grad + parameter.grad
        return output(rows, float(total.detach()))

    def stepped(self, weights: Weights, adam: dict[str, float]) -> dict[str, Any]:
        for group in weights.adam.param_groups:
            group |= {"lr": adam["learning_rate"], "betas": (adam["beta1"], adam["beta2"]), "eps": adam["eps"]}
            group["weight_decay"] = adam["weight_decay"]
        most = adam["grad_clip_norm"] or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(weights.tensors.values(), most)
        weights.adam.step()
        weights.adam.zero_grad()
        return {"metrics": {"grad_norm:mean": float(norm)}}

    def written(self, path: str | None, body: dict[str, Any]) -> Any:
        network, params = self.loaded(self.kept[path] if path else None), body["sampling_params"]
        row = [token for chunk in body["prompt"]["chunks"] for token in chunk["tokens"]]
        generator, tokens = torch.Generator().manual_seed(params["seed"]), []
        with torch.no_grad():
            while len(tokens) < params["max_tokens"] and not (tokens and tokens[-1] in params["stop"]):
                logits = network.model(input_ids=torch.tensor([row + tokens])).logits[0, -1].float()
                if params["temperature"]:
                    shares = (logits / params["temperature"]).softmax(-1)
                    tokens.append(int(torch.multinomial(shares, 1, generator=generator)))
                else:
                    tokens.append(int(logits.argmax()))
        ended = bool(tokens) and tokens[-1] in params["stop"]
        made = pb.SampleResponse()
        one = made.sequences.add()
        one.stop_reason = pb.STOP_REASON_STOP if ended else pb.STOP_REASON_LENGTH
        one.tokens = np.array(tokens, np.int32).tobytes()
        return made

    # --- what is asked -------------------------------------------------------------------------------------------

    def answer(self, path: str, headers: dict[str, str], raw: bytes) -> dict[str, Any] | bytes:
        word = path.rstrip("/").rpartition("/")[2]
        proto = headers.get("content-type") == PROTO
        body = json.loads(raw) if raw and not proto else {}
        self.asked.append((word, headers, body))
        time.sleep(self.slow)
        if word in self.faults:
            raise HttpError(self.faults[word], f"{word} is not to be had")
        if word == "retrieve_future":
            result = self.done[body["request_id"]]
            return result if isinstance(result, dict) else result.SerializeToString()
        if word == "forward_backward":
            request = pb.ForwardBackwardRequest()
            request.ParseFromString(raw)
            return self.promise(self.passed(self.model(request.model_id), request))
        return getattr(self, f"on_{word}", self.on_other)(body)

    def promise(self, result: Any, **more: Any) -> dict[str, Any]:
        name = f"request-{next(self._numbers)}"
        self.done[name] = result
        return {"request_id": name, **more}

    def model(self, name: str) -> Weights:
        if name not in self.models:
            raise HttpError(404, f"no model {name}")
        return self.models[name]

    def on_other(self, body: dict[str, Any]) -> dict[str, Any]:
        return {}

    def on_create_session(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"session_id": f"session-{next(self._numbers)}"}

    def on_get_server_capabilities(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"supported_models": [{"model_name": MODEL, "max_context_length": 128, "trainable": True}]}

    def on_create_model(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["base_model"] != MODEL:
            raise HttpError(400, f"no base model {body['base_model']}")
        config = body["lora_config"]
        name = f"{body['session_id']}:train:{body['model_seq_id']}"
        tensors = self.network(config["rank"]).untaught(config["seed"])
        self.models[name] = Weights.of({key: t.detach().clone() for key, t in tensors.items()}, config["rank"])
        return self.promise({"model_id": name})

    def on_load_weights(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["path"] not in self.kept:
            raise HttpError(404, f"no checkpoint {body['path']}")
        name = f"{body['session_id']}:train:{body['model_seq_id']}"
        held = self.kept[body["path"]].copied()
        if not body["optimizer"]:
            held = Weights.of({key: p.detach() for key, p in held.tensors.items()}, held.rank)
        self.models[name] = held
        return self.promise({"path": body["path"], "model_id": name})

    def on_get_info(self, body: dict[str, Any]) -> dict[str, Any]:
        rank = self.model(body["model_id"]).rank
        data = {"model_name": self.other.get("model_name", MODEL)}
        return {"model_id": body["model_id"], "model_data": data, "lora_rank": self.other.get("lora_rank", rank)}

    def on_optim_step(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.promise(self.stepped(self.model(body["model_id"]), body["adam_params"]))

    def on_save_weights(self, body: dict[str, Any], kind: str = "weights") -> dict[str, Any]:
        path = f"tinker://{body['model_id']}/{kind}/{body['path']}"
        self.kept[path] = self.model(body["model_id"]).copied()
        return self.promise({"path": path})

    def on_save_weights_for_sampler(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.on_save_weights(body, "sampler_weights")

    def on_create_sampling_session(self, body: dict[str, Any]) -> dict[str, Any]:
        path = body.get("model_path")
        if path is not None and path not in self.kept:
            raise HttpError(404, f"no checkpoint {path}")
        name = f"sampler-{next(self._numbers)}"
        self.samplers[name] = path
        return {"sampling_session_id": name}

    def on_asample(self, body: dict[str, Any]) -> dict[str, Any]:
        path = self.samplers[body["sampling_session_id"]]
        return self.promise(self.written(path, body), sample_sequence_ids=["sequence"])

    def on_samplers(self, name: str) -> dict[str, Any]:
        return {"sampler_id": name, "base_model": MODEL, "model_path": self.samplers[name]}


def output(rows: list[Any], loss: float) -> Any:
    """Log-probabilities of each row as the API gives them."""
    made = pb.ForwardBackwardOutput(loss_fn_output_type="TorchLossReturn")
    record = made.loss_fn_outputs.add()
    record.num_datums = len(rows)
    flat = np.concatenate(rows).astype(np.float32)
    tensor = record.fields["logprobs"]
    tensor.data, tensor.dtype = flat.tobytes(), pb.DTYPE_FLOAT32
    tensor.offsets = np.cumsum([0, *(4 * len(row) for row in rows)]).astype(np.int64).tobytes()
    made.metrics["loss:sum"] = loss
    return made


@contextmanager
def serving(folder: Path) -> Iterator[Fake]:
    """A fake server of the tiny model in a folder."""
    fake = Fake(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = 200
            try:
                with fake._lock:
                    if "/samplers/" in self.path:
                        said: Any = fake.on_samplers(self.path.rpartition("/")[2])
                    else:
                        said = fake.answer(self.path, headers, raw)
            except Exception as error:  # said, for a client asks again and again where a connection ends
                status = error.status if isinstance(error, HttpError) else 500
                said = {"detail": f"{type(error).__name__}: {error}"}
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", PROTO if isinstance(said, bytes) else "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST

        def log_message(self, *words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()

"""The transformer in NumPy: PyTorch's logits and gradients to rounding, and its own gradient by finite differences."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaForCausalLM

from students.pocket.by_torch import _build
from students.pocket.packed import Ints, packed
from students.pocket.transformer import (
    MOST,
    Parameters,
    Transformer,
    entropy,
    log_softmax,
    token_scores,
    token_scores_back,
)
from tests.students.models import VOCABULARY, parameters_of

Bools = npt.NDArray[np.bool_]


def rows_of(rng: np.random.Generator, rows: int, longest: int) -> tuple[Ints, Bools]:
    """Tokens, and any places that are asked, one in each row at least; not all rows are as long."""
    asked = rng.random((rows, longest)) < 0.4
    asked &= np.arange(longest) < rng.integers(1, longest + 1, rows)[:, None]
    asked[np.arange(rows), rng.integers(longest, size=rows)] = True
    return rng.integers(1, VOCABULARY, size=(rows, longest)), asked  # of padding, transformers trains no embedding


def reference(parameters: Parameters, heads: int) -> LlamaForCausalLM:
    tensors = {name: torch.from_numpy(value.copy()) for name, value in parameters.items()}
    model = _build(tensors, heads, 64).to(tensors["lm_head.weight"].dtype)
    model.load_state_dict(tensors)
    return model


sizes = st.tuples(st.integers(1, 3), st.sampled_from([1, 2, 4]), st.sampled_from([2, 4, 8]))
"""Layers, heads, width of a head."""


@settings(max_examples=20, deadline=None)
@given(sizes, st.integers(1, 7), st.integers(1, 9), st.integers(0, 99), st.sampled_from([1.0, 0.5, 3.0]))
def test_it_is_the_transformer_of_transformers(
    size: tuple[int, int, int], rows: int, longest: int, seed: int, temperature: float
) -> None:
    """Logits, scores, entropies, and the gradient of a weighted sum of scores: what every method is made of."""
    layers, heads, each = size
    rng = np.random.default_rng(seed)
    parameters = parameters_of(rng, layers, heads * each, np.float64)
    ids, asked = rows_of(rng, rows, longest)
    due, weights = rng.integers(VOCABULARY, size=asked.sum()), rng.standard_normal(asked.sum())
    model, theirs = Transformer(parameters, heads), reference(parameters, heads)
    logits, tape = model.forward(packed(ids, asked))
    want = theirs(input_ids=torch.from_numpy(ids), use_cache=False).logits[torch.from_numpy(asked)]
    # Their norms and rotary angles are in single precision, whatever the parameters are in.
    np.testing.assert_allclose(logits, want.detach(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        entropy(logits), torch.distributions.Categorical(logits=want.detach()).entropy(), rtol=1e-4
    )
    scores, probabilities = token_scores(logits / temperature, due)
    likely = F.log_softmax(want / temperature, -1)[torch.arange(len(due)), torch.from_numpy(due)]
    np.testing.assert_allclose(scores, likely.detach(), rtol=1e-4, atol=1e-5)
    (likely * torch.from_numpy(weights)).sum().backward()
    found = model.backward(tape, token_scores_back(weights, probabilities, due) / temperature)
    assert list(found) == list(parameters)
    for name, parameter in theirs.named_parameters():
        largest = float(parameter.grad.abs().max())
        np.testing.assert_allclose(found[name], parameter.grad, rtol=1e-3, atol=1e-4 * largest + 1e-9, err_msg=name)


@pytest.mark.parametrize(("layers", "heads"), [(1, 1), (2, 2), (3, 1)])
def test_the_gradient_is_that_of_finite_differences(layers: int, heads: int) -> None:
    """In float64, in a direction of its own for each parameter."""
    rng = np.random.default_rng(layers)
    parameters = parameters_of(rng, layers, 4 * heads, np.float64)
    ids, asked = rows_of(rng, 5, 7)
    due = rng.integers(VOCABULARY, size=asked.sum())
    model = Transformer(parameters, heads)

    def loss() -> float:
        return -float(token_scores(model.forward(packed(ids, asked))[0], due)[0].mean())

    logits, tape = model.forward(packed(ids, asked))
    upstream = np.full(len(due), -1 / len(due))
    gradient = model.backward(tape, token_scores_back(upstream, token_scores(logits, due)[1], due))
    for name, parameter in parameters.items():
        direction, before = rng.standard_normal(parameter.shape), parameter.copy()
        values = []
        for step in (1e-6, -1e-6):
            parameter[...] = before + step * direction
            values.append(loss())
        parameter[...] = before
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(float((gradient[name] * direction).sum()), rel=1e-5), (
            name
        )


def test_what_stands_behind_the_last_place_that_is_asked_has_no_effect() -> None:
    rng = np.random.default_rng(0)
    ids, asked = rows_of(rng, 6, 8)
    asked[:, 5:], asked[2] = False, False  # and a row of which nothing is asked
    other = ids.copy()
    other[:, 5:] = rng.integers(VOCABULARY, size=(6, 3))
    model = Transformer(parameters_of(rng, 2, 16, np.float32), 2)
    np.testing.assert_array_equal(model.forward(packed(ids, asked))[0], model.forward(packed(other, asked))[0])
    assert packed(ids, asked).grid[1] <= 5
    assert not (packed(ids, asked).slots // packed(ids, asked).grid[1] == 2).any()


@pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
def test_scores_of_any_size_are_weighed(scale: float) -> None:
    """Exponentials are shifted where they must be: attention to one key alone is neither infinite nor nothing."""
    rng = np.random.default_rng(1)
    parameters = parameters_of(rng, 2, 8, np.float64)
    for layer in range(2):
        parameters[f"model.layers.{layer}.self_attn.q_proj.weight"] *= scale
    ids, asked = rows_of(rng, 6, 8)
    model = Transformer(parameters, 2)
    logits, tape = model.forward(packed(ids, asked))
    queries, keys = tape.blocks[0].attended.queries, tape.blocks[0].attended.keys
    assert (np.abs(queries @ keys.swapaxes(-1, -2)).max() > MOST) == (scale > 1)
    want = reference(parameters, 2)(input_ids=torch.from_numpy(ids), use_cache=False).logits
    np.testing.assert_allclose(logits, want.detach()[torch.from_numpy(asked)], rtol=1e-2, atol=1e-2)
    assert all(np.isfinite(g).all() for g in model.backward(tape, np.ones_like(logits)).values())


def test_probabilities_sum_to_one_whatever_the_logits_are() -> None:
    logits = np.array([[0.0, 1000.0, -1000.0], [-1e4, -1e4, -1e4]])
    np.testing.assert_allclose(np.exp(log_softmax(logits)).sum(-1), 1)
    np.testing.assert_allclose(entropy(logits), [0, np.log(3)], atol=1e-12)

"""The model against its definitions: who sees whom, positions, shared heads, the padded vocabulary."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from training.attention import Plan, alibi, alibi_slopes, attend, dense, make_plan, sees
from training.config import ModelConfig
from training.data.loader import IGNORED, Batch
from training.model import Transformer, rotate, rotations
from training.objective import make_task, prefix_ends

CPU = torch.device("cpu")
LENGTH = 12
DOCUMENTS = torch.tensor([[0] * 5 + [1] * 4 + [2] * 3, [0] * 12])
PREFIXES = torch.tensor([[3] * 5 + [5] * 4 + [11] * 3, [7] * 12])


def model(**settings) -> Transformer:
    shape = {"preset": "tiny", "layers": 2, "width": 32, "heads": 4, "hidden": 48, "vocabulary": 50}
    made = Transformer(ModelConfig.model_validate(shape | settings))
    made.initialize(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(4 if parameter.dim() > 1 else 1)  # so that what is seen shows in the logits
    return made


def batch(rows: int = 2, length: int = LENGTH, starts=(0, 5, 9), start: int = 0) -> Batch:
    tokens = np.random.default_rng(0).integers(0, 50, rows * length + 1)
    inputs, targets = tokens[:-1].reshape(rows, length), tokens[1:].reshape(rows, length)
    return Batch(inputs, targets, np.array(starts), start, start + rows * length)


@pytest.mark.parametrize("documents", [None, DOCUMENTS])
@pytest.mark.parametrize("prefixes", [None, PREFIXES])
def test_the_mask_is_its_definition(documents, prefixes):
    found = dense(sees(documents, prefixes), None, 2, 1, LENGTH, CPU)[:, 0].expand(2, -1, -1)
    for row, query, key in itertools.product(range(2), range(LENGTH), range(LENGTH)):
        same = documents is None or documents[row, query] == documents[row, key]
        seen = key <= query or (prefixes is not None and key < prefixes[row, query])
        assert found[row, query, key] == (same and seen), (row, query, key)


@pytest.mark.parametrize("slopes", [None, torch.tensor(alibi_slopes(4))])
@pytest.mark.parametrize("prefixes", [None, PREFIXES])
def test_flex_and_sdpa_attend_alike(slopes, prefixes):
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 4, LENGTH, 8, generator=generator)
    key, value = torch.randn(2, 2, 2, LENGTH, 8, generator=generator)
    plan = make_plan(DOCUMENTS, prefixes, slopes, LENGTH, CPU)
    blocks = create_block_mask(sees(DOCUMENTS, prefixes), 2, None, LENGTH, LENGTH, device="cpu")
    score = None if slopes is None else alibi(slopes)
    with torch.no_grad():
        expected = flex_attention(query, key, value, score, blocks, enable_gqa=True)
    torch.testing.assert_close(attend(query, key, value, plan), expected, atol=1e-5, rtol=1e-5)


def test_a_plain_plan_is_causal_attention_by_its_formula():
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 4, LENGTH, 8, generator=generator)
    key, value = torch.randn(2, 2, 2, LENGTH, 8, generator=generator)
    whole_key, whole_value = key.repeat_interleave(2, 1), value.repeat_interleave(2, 1)  # heads 0, 1 share the first
    scores = query @ whole_key.transpose(2, 3) / math.sqrt(8)
    scores = scores.masked_fill(torch.ones(LENGTH, LENGTH).triu(1).bool(), -math.inf)
    expected = scores.softmax(-1) @ whole_value
    torch.testing.assert_close(attend(query, key, value, Plan()), expected, atol=1e-5, rtol=1e-5)


def test_alibi_slopes_are_the_papers():
    assert alibi_slopes(8) == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
    sixteen = [2 ** (-0.5 * i) for i in range(1, 17)]
    assert alibi_slopes(16) == pytest.approx(sixteen)
    assert alibi_slopes(12) == pytest.approx(alibi_slopes(8) + sixteen[0::2][:4])  # the authors' get_slopes(12)


def test_alibi_takes_slope_times_distance_from_the_score():
    bias = dense(sees(None, None), alibi(torch.tensor([0.5, 0.25])), 1, 2, 4, CPU)[0]
    assert bias[0, 3].tolist() == [-1.5, -1.0, -0.5, 0.0]
    assert bias[1, 3].tolist() == [-0.75, -0.5, -0.25, 0.0]
    assert bias[0, 0].tolist() == [0.0, -math.inf, -math.inf, -math.inf]


def test_rope_turns_pairs_by_position_times_frequency():
    config = ModelConfig.model_validate({"preset": "tiny", "vocabulary": 8})
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    turned = rotate(x, rotations(3, config, CPU))
    for position, i in itertools.product(range(3), (0, 1, 31)):
        angle = position * 10_000 ** (-2 * i / 64)
        expected = complex(x[position, i], x[position, i + 32]) * complex(math.cos(angle), math.sin(angle))
        assert complex(turned[position, i], turned[position, i + 32]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("positions", ["rope", "alibi"])
def test_documents_know_nothing_of_one_another(positions):
    made = model(positions=positions)
    given = batch()
    task = make_task(given, made.config, made.slopes(), CPU)
    logits = made(task.inputs, plan=task.plan)
    changed = task.inputs.clone()
    changed[0, :5] = (changed[0, :5] + 1) % 50
    after = made(changed, plan=task.plan)
    assert not torch.allclose(logits[0, :5], after[0, :5])
    torch.testing.assert_close(logits[0, 5:], after[0, 5:], atol=0, rtol=0)
    # and a document is told apart from the same alone only by where it stands, which changes nothing
    alone = made(task.inputs[:1, 5:9])
    torch.testing.assert_close(alone, logits[:1, 5:9], atol=1e-4, rtol=1e-4)


def test_a_prefix_sees_all_of_itself_and_the_rest_only_what_came_before():
    made = model(objective="prefix", document_mask=False)
    given = batch(rows=1)
    seed, end = next((s, e) for s in range(99) if 2 <= (e := int(prefix_ends(given, None, s)[0, 0])) <= LENGTH - 2)
    task = make_task(given, made.config, None, CPU, seed)
    logits = made(task.inputs, plan=task.plan)
    for place in (end - 1, end, LENGTH - 1):
        changed = task.inputs.clone()
        changed[0, place] = (changed[0, place] + 1) % 50
        moved = (made(changed, plan=task.plan) - logits)[0].abs().amax(1) > 1e-6
        expected = [True] * LENGTH if place < end else [position >= place for position in range(LENGTH)]
        assert moved.tolist() == expected
    learnt = (task.targets != IGNORED)[0].tolist()
    assert learnt == [position >= end - 1 for position in range(LENGTH)]
    assert task.valid == sum(learnt)


def test_prefixes_follow_from_the_place_in_the_stream_alone():
    whole = batch(rows=4, length=8, starts=(0, 3, 8, 13, 26))
    ends = prefix_ends(whole, whole.documents(), 1)
    half = Batch(whole.inputs[2:], whole.targets[2:], np.array([10]), 16, 32)
    assert np.array_equal(prefix_ends(half, half.documents(), 1), ends[2:])
    assert not np.array_equal(prefix_ends(whole, whole.documents(), 2), ends)
    long = batch(rows=500, length=8, starts=())
    drawn = prefix_ends(long, None, 0)[:, 0]
    assert sorted(set(drawn.tolist())) == list(range(8))  # from no prefix to all but the last token
    assert drawn.mean() == pytest.approx(3.5, abs=0.4)


def test_padded_tokens_get_no_logits_no_loss_and_no_gradient():
    made = model(tied=False)
    tokens = torch.randint(0, 50, (2, LENGTH), generator=torch.Generator().manual_seed(0))
    assert made.head.weight.shape == (128, 32)
    with torch.no_grad():
        made.head.weight[50:] = 100.0
    assert made(tokens).shape == (2, LENGTH, 50)
    made(tokens, tokens).backward()
    assert made.head.weight.grad[50:].abs().max() == 0
    assert made.head.weight.grad[:50].abs().max() > 0


def test_tied_embeddings_are_one_parameter():
    tied, untied = model(tied=True), model(tied=False)
    assert tied.head.weight is tied.embedding.weight
    assert len(list(untied.parameters())) == len(list(tied.parameters())) + 1


def test_parameters_are_drawn_alike_for_the_same_seed():
    one, same, other = model(), model(), Transformer(model().config)
    other.initialize(2)
    assert torch.equal(one.embedding.weight, same.embedding.weight)
    assert not torch.equal(one.embedding.weight, other.embedding.weight)


def test_geglu_and_swiglu_are_their_formulas():
    x = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    for activation, gate in (
        ("swiglu", lambda v: v * v.sigmoid()),
        ("geglu", lambda v: v * 0.5 * (1 + torch.erf(v / 2**0.5))),
    ):
        layer = model(activation=activation).blocks[0].feed_forward
        expected = (gate(x @ layer.gate.weight.T) * (x @ layer.up.weight.T)) @ layer.down.weight.T
        torch.testing.assert_close(layer(x), expected, atol=2e-3, rtol=2e-3)

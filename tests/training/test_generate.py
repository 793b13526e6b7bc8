"""Sampling: the cache changes nothing, a seed gives one text, and draws follow the model's probabilities."""

from __future__ import annotations

import pytest
import torch

from training.cache import Cache
from training.config import ModelConfig
from training.generate import choose, generate, plan_after
from training.model import Transformer

KINDS = ({}, {"positions": "alibi"}, {"objective": "prefix"}, {"kv_heads": 1, "tied": False})


def model(**settings) -> Transformer:
    config = {"preset": "tiny", "layers": 2, "width": 32, "heads": 4, "kv_heads": 4, "hidden": 48, "vocabulary": 90}
    made = Transformer(ModelConfig.model_validate(config | settings))
    made.initialize(3)
    for parameter in made.parameters():
        parameter.data *= 4 if parameter.dim() > 1 else 1  # far from uniform
    return made


@pytest.mark.parametrize("settings", KINDS, ids=str)
@torch.no_grad()
def test_the_cache_gives_what_a_full_pass_gives(settings) -> None:
    made = model(**settings)
    tokens = torch.arange(20)[None] * 7 % 90
    full = made(tokens, None, plan_after(made, 0, 20, 5))
    cache, parts, begin = Cache(2), [], 0
    for length in (5, 4, *[1] * 11):
        part = tokens[:, begin : begin + length]
        parts.append(made(part, None, plan_after(made, begin, length, 5), cache))
        begin += length
    assert cache.length == 20
    assert torch.allclose(torch.cat(parts, dim=1), full, atol=1e-5)
    if settings.get("objective") != "prefix":
        assert torch.allclose(full, made(tokens), atol=1e-5)
    with_cache, without = (generate(made, [1, 2, 3], 12, top_k=50, cached=cached) for cached in (True, False))
    assert with_cache == without and len(with_cache) == 12


def test_a_seed_gives_one_text() -> None:
    made = model()
    texts = [generate(made, [5], 16, seed=seed) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    stop = texts[0][6]
    assert generate(made, [5], 16, stop=stop) == texts[0][: texts[0].index(stop)]


def test_draws_follow_the_probabilities() -> None:
    logits = torch.tensor([1.0, 3.0, 2.0, -1.0])
    draws = [(i + 0.5) / 2000 for i in range(2000)]
    counts = torch.bincount(torch.tensor([choose(logits, draw, 0.7, None, 1.0) for draw in draws]), minlength=4)
    assert torch.allclose(counts / 2000, torch.softmax(logits / 0.7, 0), atol=1e-3)
    assert {choose(logits, draw, 0.7, 2, 1.0) for draw in draws} == {1, 2}
    # the two likeliest have 0.657 and 0.242
    assert {choose(logits, draw, 1.0, None, 0.85) for draw in draws} == {1, 2}
    assert {choose(logits, draw, 1.0, None, 0.6) for draw in draws} == {1}
    assert {choose(logits, draw, 0.0, None, 1.0) for draw in draws} == {1}


@pytest.mark.parametrize("settings", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_k": 0}])
def test_settings_out_of_range_are_told(settings) -> None:
    with pytest.raises(ValueError, match="must be 0 or more"):
        generate(model(), [1], 3, **settings)
    with pytest.raises(ValueError, match="the prompt is empty"):
        generate(model(), [], 3)

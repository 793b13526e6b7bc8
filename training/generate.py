"""Continues texts: token by token from a trained model, drawn by a keyed hash, so that a seed gives one text for ever."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenizer.draws import keyed_hash
from training.attention import Plan, alibi, dense, sees
from training.cache import Cache
from training.model import Transformer


@torch.inference_mode()
def generate(
    model: Transformer,
    prompt: list[int],
    tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
    stop: int | None = None,
    cached: bool = True,
) -> list[int]:
    """Up to so many tokens that follow the prompt; fewer where the token ``stop`` comes up, which is not among them.

    At ``temperature`` 0 the likeliest token is taken. Only the ``top_k`` likeliest are drawn from, and of these the fewest
    whose probabilities add up to ``top_p``. ``cached=False`` computes everything anew for each token: slow, the same text.
    Raises ValueError for an empty prompt or a setting out of range.
    """
    if not prompt:
        raise ValueError("the prompt is empty: give the first words of a text")
    if temperature < 0 or not 0 < top_p <= 1 or (top_k is not None and top_k < 1):
        raise ValueError("temperature must be 0 or more, top_p above 0 and at most 1, top_k 1 or more")
    device = model.embedding.weight.device
    cache = Cache(model.config.layers)
    made = list(prompt)
    with torch.compiler.set_stance("force_eager"):  # a compiled block would be compiled again for every length
        for number in range(tokens):
            cache = cache if cached else Cache(model.config.layers)
            given = torch.tensor([made[cache.length :]], device=device)
            plan = plan_after(model, cache.length, given.shape[1], len(prompt))
            logits = model(given, None, plan, cache)[0, -1].float()
            draw = keyed_hash(str(number), seed, b"generate") / 2**64
            token = choose(logits.cpu(), draw, temperature, top_k, top_p)
            if token == stop:
                break
            made.append(token)
    return made[len(prompt) :]


def choose(logits: Tensor, draw: float, temperature: float, top_k: int | None, top_p: float) -> int:
    """The token that a number from 0 to 1 draws from logits (vocabulary,). Equal logits stand in the order of their ids."""
    if temperature == 0:
        return int(logits.argmax())
    ordered, ids = torch.sort(logits.double(), descending=True, stable=True)
    shares = torch.softmax(ordered[:top_k] / temperature, dim=0)
    before = torch.cumsum(shares, dim=0) - shares
    shares = shares[before < top_p]
    ends = torch.cumsum(shares, dim=0)
    place = int(torch.searchsorted(ends, draw * ends[-1], right=True))
    return int(ids[min(place, len(shares) - 1)])


def plan_after(model: Transformer, past: int, length: int, prefix: int) -> Plan:
    """Who sees whom where ``length`` tokens follow ``past`` ones: all before, and with the prefix objective all of the prompt."""
    if past == 0 and model.config.objective == "causal" and model.config.positions == "rope":
        return Plan()
    device = model.embedding.weight.device
    ends = None
    if model.config.objective == "prefix":
        ends = torch.full((1, past + length), prefix, device=device)
    slopes = model.slopes()
    score = alibi(slopes) if slopes is not None else None
    heads = 1 if slopes is None else len(slopes)
    whole = dense(sees(None, ends), score, 1, heads, past + length, device)
    return Plan(dense=whole[:, :, past:])

"""The chunked head: the same loss and gradients as with all logits at once, without ever making them."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from training.loss import IGNORED, head_loss, plain_loss

POSITIONS, WIDTH, VOCABULARY, PADDED = 50, 16, 100, 128


def case(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(POSITIONS, WIDTH, generator=generator).to(dtype).requires_grad_()
    weight = torch.randn(PADDED, WIDTH, generator=generator, requires_grad=True)
    targets = torch.randint(0, VOCABULARY, (POSITIONS,), generator=generator)
    targets[[0, 7, 8, 31]] = IGNORED
    return hidden, weight, targets


@pytest.mark.parametrize("chunk", [1, 7, 50, 4096])
def test_loss_and_gradients_are_those_of_all_logits_at_once(chunk):
    found, expected = case(), case()
    loss = head_loss(*found, VOCABULARY, chunk)
    reference = plain_loss(*expected, VOCABULARY)
    torch.testing.assert_close(loss, reference, atol=1e-4, rtol=1e-6)
    (loss * 0.3).backward()
    (reference * 0.3).backward()
    for mine, theirs in zip(found[:2], expected[:2], strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-5, rtol=1e-5)
    assert found[1].grad[VOCABULARY:].abs().max() == 0


def test_bf16_products_are_near_the_exact_ones():
    found, expected = case(torch.bfloat16), case()
    loss, reference = head_loss(*found, VOCABULARY, 16), plain_loss(*expected, VOCABULARY)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(reference.item(), rel=3e-3)
    loss.backward()
    reference.backward()
    distance = (found[1].grad - expected[1].grad).norm() / expected[1].grad.norm()
    assert distance < 0.02


def test_without_any_target_loss_and_gradients_are_zero():
    hidden, weight, targets = case()
    loss = head_loss(hidden, weight, torch.full_like(targets, IGNORED), VOCABULARY, 16)
    loss.backward()
    assert loss.item() == 0
    assert hidden.grad.abs().max() == weight.grad.abs().max() == 0


class Largest(TorchDispatchMode):
    """Notes the numbers in the largest tensor that any operation makes."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, torch.Tensor):
                self.numbers = max(self.numbers, one.numel())
        return made


def test_the_logits_of_all_positions_never_exist():
    hidden, weight, targets = case()
    with Largest() as plain:
        plain_loss(hidden, weight, targets, VOCABULARY).backward()
    assert plain.numbers == POSITIONS * PADDED
    with Largest() as chunked:
        head_loss(hidden, weight, targets, VOCABULARY, 10).backward()
    assert chunked.numbers == PADDED * WIDTH  # the head and its gradient; a chunk's logits are less

"""Export to the Hugging Face Llama format: the logits of ``transformers`` are ours, both ways; what it can't say is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import save_file

from training.config import ModelConfig
from training.export import NotExpressible, from_llama, llama_config, to_llama
from training.model import Transformer

SHAPE = {"preset": "tiny", "layers": 2, "width": 32, "heads": 4, "kv_heads": 4, "hidden": 48, "vocabulary": 90}
KINDS = (
    {"tied": True},
    {"tied": False},
    {"kv_heads": 2},
    {"activation": "geglu"},
    {"rope_theta": 500_000.0, "norm_eps": 1e-6, "kv_heads": 1},
)


def model(settings) -> Transformer:
    made = Transformer(ModelConfig.model_validate(SHAPE | settings))
    made.initialize(3)
    generator = torch.Generator().manual_seed(1)
    for parameter in made.parameters():
        if parameter.dim() == 1:  # norms that do something
            parameter.data.uniform_(0.5, 1.5, generator=generator)
        else:
            parameter.data *= 5
    made.embedding.weight.data[90:] = 1e3  # rows that pad must be in no logit and no file
    return made


@pytest.mark.parametrize("settings", KINDS, ids=str)
@torch.no_grad()
def test_logits_are_those_of_transformers_both_ways(tmp_path: Path, settings) -> None:
    ours = model(settings)
    save_file({name: one.contiguous() for name, one in to_llama(ours).items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(llama_config(ours.config, 64, "float32")))
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    tokens = torch.arange(64).reshape(2, 32) * 7 % 90
    expected = ours(tokens)
    assert expected.abs().max() > 1 and theirs.config.vocab_size == 90
    assert torch.allclose(theirs(tokens).logits, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(from_llama(tmp_path)(tokens), expected)


@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_their_models_come_in(tmp_path: Path, tied: bool) -> None:
    torch.manual_seed(2)
    config = transformers.LlamaConfig(
        vocab_size=77, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        tie_word_embeddings=tied, initializer_range=0.3, rms_norm_eps=1e-5,
    )  # fmt: skip
    theirs = transformers.LlamaForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path)
    tokens = torch.arange(30)[None] * 5 % 77
    ours = from_llama(tmp_path)
    assert ours.config.tied is tied and ours.config.kv_heads == 2
    assert torch.allclose(ours(tokens), theirs(tokens).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("settings", [{"positions": "alibi"}, {"objective": "prefix"}], ids=str)
def test_what_the_format_cannot_say_is_refused(settings) -> None:
    with pytest.raises(NotExpressible, match="can't be exported"):
        llama_config(model(settings).config, 64, "float32")


@pytest.mark.parametrize(
    "change",
    [
        {"attention_bias": True},
        {"model_type": "mistral"},
        {"hidden_act": "relu"},
        {"rope_parameters": {"rope_type": "yarn"}},
    ],
)
def test_what_ours_cannot_do_is_refused(tmp_path: Path, change) -> None:
    (tmp_path / "config.json").write_text(json.dumps(llama_config(model({}).config, 64, "float32") | change))
    with pytest.raises(NotExpressible, match=next(iter(change))):
        from_llama(tmp_path)


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(llama_config(model({}).config, 64, "float32")))
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="pickled weights are not read"):
        from_llama(tmp_path)

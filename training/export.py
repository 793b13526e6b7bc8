"""To the Hugging Face Llama format and back: a folder that ``transformers`` opens as LlamaForCausalLM, tokenizer included.

Our RoPE turns the halves of a head against each other, as that format does, so tensors only change their names. The rows that
pad the vocabulary are left out, and a tied head is not written twice.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tokenizer.encode import encoder_of
from training.config import ModelConfig
from training.model import Transformer
from training.trained import Trained, load, tokenizer_file

_OF_LAYER = {
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}
_OF_MODEL = {"embedding": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}
_ACTIVATIONS = {"swiglu": "silu", "geglu": "gelu_pytorch_tanh"}
_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WEIGHTS = "model.safetensors"


class NotExpressible(ValueError):  # noqa: N818 - what it is
    """The Llama format has no words for this model."""


def export(place: str | Path, out: str | Path, dtype: str = "bfloat16") -> Path:
    """Write the checkpoint, or the newest of a run, as a Hugging Face folder; returns the folder.

    Raises NotExpressible, FileExistsError where the folder holds something, and what ``training.trained.load`` raises.
    """
    if dtype not in _TYPES:
        raise ValueError(f"no type {dtype!r}: there are {', '.join(_TYPES)}")
    trained = load(place)
    config = llama_config(trained.model.config, trained.config.data.sequence_length, dtype)
    goal = Path(out)
    if goal.exists() and (not goal.is_dir() or any(goal.iterdir())):
        raise FileExistsError(f"{goal} is not empty: give a new folder")
    part = goal.with_name(f".{goal.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    tensors = {name: one.to(_TYPES[dtype]).contiguous() for name, one in to_llama(trained.model).items()}
    save_file(tensors, part / WEIGHTS, metadata={"format": "pt"})
    config |= _write_tokenizer(trained, part)
    (part / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    ends = {name: config[name] for name in ("bos_token_id", "eos_token_id")}
    (part / "generation_config.json").write_text(json.dumps({"_from_model_config": True, **ends}, indent=2) + "\n")
    if goal.exists():
        goal.rmdir()
    return part.rename(goal)


def llama_config(config: ModelConfig, length: int, dtype: str) -> dict[str, Any]:
    """``config.json`` without the tokenizer's ids. Raises NotExpressible."""
    if config.positions != "rope":
        raise NotExpressible(
            f"positions: {config.positions} can't be exported: the Llama format knows RoPE alone. "
            "Train with positions: rope, or use corpusmill sample"
        )
    if config.objective != "causal":
        raise NotExpressible(
            f"objective: {config.objective} can't be exported: Llama's attention is causal, a prefix would be read otherwise"
        )
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_width,
        "hidden_act": _ACTIVATIONS[config.activation],
        "max_position_embeddings": length,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "tie_word_embeddings": config.tied,
        "attention_bias": False,
        "mlp_bias": False,
        "initializer_range": 0.02,
        "dtype": dtype,
        "torch_dtype": dtype,
        "use_cache": True,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def to_llama(model: Transformer) -> dict[str, Tensor]:
    """The parameters by their names in the Llama format, padding of the vocabulary cut off; a tied head once."""
    vocabulary, found = model.vocabulary, {}
    for name, tensor in model.state_dict().items():
        renamed = _renamed(name)
        if name == "head.weight" and model.config.tied:
            continue
        found[renamed] = tensor[:vocabulary] if name in ("head.weight", "embedding.weight") else tensor
    return found


def _renamed(name: str) -> str:
    first, _, rest = name.partition(".")
    if first != "blocks":
        return f"{_OF_MODEL[first]}.weight"
    number, _, part = rest.partition(".")
    return f"model.layers.{number}.{_OF_LAYER[part.removesuffix('.weight')]}.weight"


def from_llama(folder: str | Path) -> Transformer:
    """The model in a Hugging Face folder, fp32. Raises NotExpressible where it uses what ours can't do, OSError, ValueError."""
    place = Path(folder)
    config = _model_config(json.loads((place / "config.json").read_bytes()))
    model = Transformer(config)
    given: dict[str, Tensor] = {}
    for path in sorted(place.glob("*.safetensors")):
        given |= load_file(path)
    if not given:
        raise FileNotFoundError(
            f"{place} holds no .safetensors file; pickled weights are not read, as they may run code"
        )
    tensors = {}
    for name, target in model.state_dict().items():
        source = "model.embed_tokens.weight" if name == "head.weight" and config.tied else _renamed(name)
        if source not in given:
            raise ValueError(f"{place} has no tensor {source}: it is not of the architecture that its config.json says")
        tensor = given[source].float()
        if tensor.shape != target.shape:  # the vocabulary is padded here
            tensor = torch.nn.functional.pad(tensor, (0, 0, 0, target.shape[0] - tensor.shape[0]))
        tensors[name] = tensor
    model.load_state_dict(tensors)
    return model.eval()


def _model_config(found: dict[str, Any]) -> ModelConfig:
    """Ours from a Llama config.json."""
    rope = found.get("rope_parameters") or found.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    activations = {"silu": "swiglu", "gelu_pytorch_tanh": "geglu"}
    heads, width = found.get("num_attention_heads", 1), found.get("hidden_size", 0)
    wrong = {
        "model_type": found.get("model_type") != "llama",
        "rope_parameters": kind != "default",
        "hidden_act": found.get("hidden_act", "silu") not in activations,
        "attention_bias": bool(found.get("attention_bias")),
        "mlp_bias": bool(found.get("mlp_bias")),
        "head_dim": (found.get("head_dim") or width // heads) * heads != width,
    }
    if any(wrong.values()):
        names = ", ".join(f"{name} {found.get(name)!r}" for name, bad in wrong.items() if bad)
        raise NotExpressible(f"this model can't be read: {names}")
    return ModelConfig(
        preset="tiny",
        layers=found["num_hidden_layers"],
        width=width,
        heads=heads,
        kv_heads=found.get("num_key_value_heads") or heads,
        hidden=found["intermediate_size"],
        activation=activations[found.get("hidden_act", "silu")],
        rope_theta=rope.get("rope_theta", found.get("rope_theta", 10_000.0)),
        tied=found.get("tie_word_embeddings", False),
        norm_eps=found.get("rms_norm_eps", 1e-6),
        vocabulary=found["vocab_size"],
    )


def _write_tokenizer(trained: Trained, folder: Path) -> dict[str, int]:
    """Copy the tokenizer beside the weights; the ids that config.json holds of it. A run without one exports none."""
    found = tokenizer_file(trained.run)
    if found is None:
        return {}
    end = encoder_of(found.read_bytes()).end_of_text
    shutil.copyfile(found, folder / found.name)
    if found.name == "tokenizer.json":
        from tokenizers import Tokenizer

        name = Tokenizer.from_file(str(found)).id_to_token(end)
        about = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": None,
            "eos_token": name,
            "pad_token": name,
            "model_max_length": trained.config.data.sequence_length,
            "clean_up_tokenization_spaces": False,
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n")
    return {"eos_token_id": end}

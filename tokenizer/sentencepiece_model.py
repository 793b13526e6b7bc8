"""Encodes with a given SentencePiece model, in the place of a tokenizer.json."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tokenizer.bpe import well_formed
from tokenizer.ids import TokenIds, id_type


class SentencePieceEncoder:
    """Token ids of texts under a SentencePiece model (Kudo and Richardson 2018); what ``Encoder`` is for a tokenizer.json.

    The model normalizes text as it was trained to (mostly NFKC, with white space joined), so not every text comes back whole. A
    text that spells a control symbol such as ``</s>`` is encoded as those characters.
    """

    engine = "sentencepiece"
    reason = "the model is SentencePiece's"

    def __init__(self, data: bytes) -> None:
        """Read a serialized model. Raises ValueError where it is none, or has no token that ends a text."""
        from sentencepiece import SentencePieceProcessor

        self.digest = hashlib.sha256(data).hexdigest()
        self._model = SentencePieceProcessor()
        try:
            self._model.LoadFromSerializedProto(data)
        except RuntimeError as error:
            raise ValueError(f"not a SentencePiece model: {error}") from error
        self.vocabulary: int = self._model.GetPieceSize()
        self.dtype = id_type(self.vocabulary)
        self.end_of_text: int = self._model.eos_id()
        if self.end_of_text < 0:
            raise ValueError("this SentencePiece model has no end-of-sentence symbol, which is to end a document")

    def encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """The ids of each text, of type ``dtype``."""
        return [self._ids(text) for text in texts]

    def encode_documents(self, texts: Sequence[str]) -> list[TokenIds]:
        """The ids of each text, with ``end_of_text`` after the last: what a shard holds."""
        end = np.array([self.end_of_text], self.dtype)
        return [np.concatenate([self._ids(text), end]) for text in texts]

    def decode(self, ids: Sequence[int] | TokenIds) -> str:
        """The text of these ids; control symbols are left out."""
        return str(self._model.DecodeIds([int(one) for one in ids]))

    def token_bytes(self) -> list[bytes]:
        """What each id spells, UTF-8; control symbols by name, a space for SentencePiece's ``▁``."""
        pieces = (self._model.IdToPiece(one) for one in range(self.vocabulary))
        return [
            bytes([int(piece[3:5], 16)]) if self._model.IsByte(one) else piece.replace("\u2581", " ").encode()
            for one, piece in enumerate(pieces)
        ]

    def _ids(self, text: str) -> NDArray[np.uint16] | NDArray[np.uint32]:
        return np.array(self._model.EncodeAsIds(well_formed(text)), self.dtype)

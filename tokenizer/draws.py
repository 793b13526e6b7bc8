"""Draws by keyed hash: what must be random about a document follows from its id, a seed and the purpose, and from nothing else."""

from __future__ import annotations

import hashlib


def sample_rank(document_id: str, seed: int = 0) -> int:
    """The place of a document in the queue for the training sample, 0 to 2**64 - 1: a keyed hash of its id.

    The documents of lowest rank are the sample, so it depends neither on the order of reading nor on the run. Raises
    ValueError for a seed that is negative or above 64 bits.
    """
    return keyed_hash(document_id, seed, b"sample")


def keyed_hash(document_id: str, seed: int, purpose: bytes) -> int:
    """64 bits of BLAKE2b of the id, keyed by seed and purpose: the hashes for two purposes are independent.

    Never changes: where documents lie in published corpora follows from it.
    """
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"a seed is between 0 and 2**64 - 1, not {seed}")
    data = document_id.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(data, digest_size=8, key=seed.to_bytes(8, "little"), person=purpose)
    return int.from_bytes(digest.digest(), "little")

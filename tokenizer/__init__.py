"""Byte-level BPE: training, encoding, and the format of token shards. No Beam."""

"""The last stages: train the tokenizer on a drawn sample, encode every document, and pack the shards.

    train (once) ─► encode (per split, placed by keyed hash) ─► pack (per shard)      (tokens move once, through files)
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa

from pipeline import files, pulse, tables
from pipeline.dedup.stages import load, save
from pipeline.layout import Layout
from pipeline.plan import Plan
from pipeline.recipe import Recipe, Shards
from pipeline.stage import Commit, Item, Part, committed, output
from tokenizer import bpe, shard
from tokenizer.encode import Encoder

"""The recipe's ``dedup`` section: which duplicates are removed at which level, and which of several survives."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.dedup.bands import optimal


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Near(_Section):
    """Near-duplicate documents by MinHash LSH (Broder 1997; parameters of FineWeb).

    Two documents are candidates when they share a band. P(candidate) at Jaccard s is 1 - (1 - s^rows)^bands: for 14 bands
    of 8 rows .05 at s = .5, .57 at .7, .92 at .8 and .9996 at .9. Every candidate pair is then verified, and a document is
    removed only for a document that stays and that it was itself verified against: there are no chains.
    """

    ngram: int = Field(5, ge=1, le=50, description="words in a shingle")
    characters: int = Field(
        8,
        ge=1,
        le=50,
        description="characters (letters and digits) in a shingle of a text that is mostly in scripts without spaces between "
        "words, such as Chinese, Japanese or Thai; 8 are about as much as five words there",
    )
    bands: int = Field(14, ge=1, le=1000, description="parts of a signature of which one must be equal")
    rows: int = Field(8, ge=1, le=1000, description="values of the signature in a band")
    threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="instead of `bands` and `rows`: the similarity about which they err least, chosen as `datasketch.MinHashLSH` "
        "does from as many values as `permutations` says (112 if it says nothing); `min_similarity` is then the same where it is not named",
    )
    permutations: int = Field(
        112, ge=1, le=4096, description="values in a signature; null or unnamed: as many as `bands` and `rows` use"
    )
    min_similarity: float = Field(0.75, ge=0, le=1, description="similarity that makes a duplicate")
    verify: Literal["signature", "jaccard"] = Field(
        "signature",
        description="what the similarity of a candidate pair is: the share of equal signature values, or the exact Jaccard "
        "similarity of the shingles, for which the texts of candidates are read again",
    )
    seed: int = Field(1, ge=0, lt=1 << 32, description="of the permutations, as in datasketch.MinHash(seed=…)")

    @model_validator(mode="before")
    @classmethod
    def _choose_bands(cls, given: Any) -> Any:
        """Fill in what follows from the rest: bands and rows from a threshold, the signature's length from both."""
        if not isinstance(given, dict):
            return given
        chosen = {name: value for name, value in given.items() if value is not None}
        threshold, length = chosen.get("threshold"), chosen.get("permutations", 112)
        if isinstance(threshold, float) and 0 < threshold < 1 and isinstance(length, int) and 0 < length <= 4096:
            bands, rows = optimal(threshold, length)
            if (chosen.get("bands", bands), chosen.get("rows", rows)) != (bands, rows):
                raise ValueError(
                    f"name bands and rows or a threshold ({threshold:g} means {bands} bands of {rows} rows), not both"
                )
            return {"min_similarity": threshold} | chosen | {"bands": bands, "rows": rows, "permutations": length}
        bands, rows = chosen.get("bands", 14), chosen.get("rows", 8)
        whole = all(
            isinstance(one, int) and 1 <= one <= 1000 for one in (bands, rows)
        )  # else the fields say what is wrong
        if "permutations" not in chosen and whole:
            chosen["permutations"] = bands * rows
        return chosen

    @model_validator(mode="after")
    def _bands_fit(self) -> Near:
        if self.bands * self.rows > self.permutations:
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows need {self.bands * self.rows} values; permutations says {self.permutations}"
            )
        return self


class Boilerplate(_Section):
    """Lines that stand on many pages of one site are cut from all of them, the first page included.

    A line is counted once a page; a site is the host of the address without ``www.``. Documents without an address have no
    site.
    """

    min_pages: int = Field(10, ge=2, description="pages of one site that must have the line")


class Sentence(_Section):
    """Repeated spans are cut wherever they occur again.

    Spans of three sentences, as the paper on C4 describes it, or single lines, as C4's code does it. What is compared are the
    folded words (case, diacritics, digits); a span in which a sentence or line has no word at all is never a repetition.
    """

    unit: Literal["sentences", "lines"] = Field("sentences", description="what a span is made of")
    span: int = Field(3, ge=1, le=100, description="sentences in a span, or lines; of lines it is 1 unless it is named")
    min_span_words: int = Field(5, ge=0, description="spans of fewer words are never cut: short ones repeat by chance")
    min_words: int = Field(50, ge=0, description="a document that lost something and keeps fewer words is removed")
    max_lost: float = Field(
        1, ge=0, le=1, description="a document that loses more than this share of its text is removed"
    )
    boilerplate: Boilerplate | Literal[False] = Field(False, description="lines on many pages of one site")
    sources: tuple[str, ...] | None = Field(
        None, description="sources it applies to; null: all that hold prose (not code)"
    )

    @model_validator(mode="before")
    @classmethod
    def _single_lines(cls, given: Any) -> Any:
        return {"span": 1} | given if isinstance(given, dict) and given.get("unit") == "lines" else given


SURVIVOR_FIELDS = ("length", "date")
"""What every document has that can decide which one stays, beside its signals."""


class Survivor(_Section):
    """Which of several duplicates stays, within sources of one priority. Equal ones are ordered by a hash of their ids."""

    by: str = Field(
        "length",
        description="`length` (characters), `date`, or a signal that the filters measure, such as `fineweb_edu.score`",
    )
    order: Literal["descending", "ascending"] = Field(
        "descending",
        description="`descending`: the largest value stays; a document without the value always comes last",
    )


class Benchmark(_Section):
    """A test set that the corpus must not contain: lines of JSON, one item a line."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="what it is called in evidence and report")
    paths: tuple[str, ...] = Field(
        min_length=1, description="files or patterns: .jsonl, also as .gz, .bz2, .xz or .zst"
    )
    fields: tuple[str, ...] = Field(
        min_length=1,
        description="fields that hold the item's text; a dot leads into objects, and every text of a list counts for itself",
    )


class Decontaminate(_Section):
    """Documents that hold items of benchmarks are removed, or the passages are cut (GPT-3: 13-grams; PaLM: share of 8-grams).

    An n-gram is compared by its folded words (case, diacritics, digits), a character of a script without spaces being a
    word; equal hashes are confirmed by the words themselves. Each field of an item is a passage of its own. A passage with
    fewer words than the n-gram is looked for as a whole if it has ``min_passage_words``; shorter ones, and n-grams that more
    than ``max_items`` items of a benchmark share (the wording of its prompts), are not looked for. The report counts the
    items that could not be looked for at all.
    """

    benchmarks: tuple[Benchmark, ...] = Field(min_length=1, description="the test sets")
    ngram: int = Field(13, ge=2, le=100, description="words in an n-gram")
    min_passage_words: int = Field(8, ge=1, description="shorter passages are not looked for")
    max_items: int = Field(10, ge=1, description="n-grams that more items of one benchmark share are not looked for")
    min_hits: int = Field(1, ge=1, description="different n-grams of one item that a document must hold")
    min_share: float = Field(0, ge=0, le=1, description="share of an item's n-grams that a document must hold")
    action: Literal["remove", "cut", "report"] = Field(
        "remove", description="`remove` the document, `cut` the passages out of it, or only `report` them"
    )
    min_words: int = Field(
        50, ge=0, description="a document from which something was cut and that keeps fewer words is removed"
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Decontaminate:
        names = [one.name for one in self.benchmarks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two benchmarks are called {', '.join(twice)}")
        return self


class Dedup(_Section):
    """Which duplicates are removed, and which of several survives.

    Sources of a better priority win, then what ``survivor`` says. Documents of ``reference`` runs always win.
    """

    exact: bool = True
    url: bool = Field(
        False,
        description="whether of documents with the same address one stays (scheme, `www.`, fragment, tracking parameters and "
        "a slash at the end do not count). Off, because captures of one page at different times are often different texts, and "
        "equal or similar ones are found by the other levels",
    )
    near: Near | Literal[False] = Near()
    sentence: Sentence | Literal[False] = Sentence()
    priority: tuple[str, ...] = Field((), description="sources, most valued first; unnamed ones follow in recipe order")
    survivor: Survivor = Field(Survivor(), description="which of several duplicates stays")
    reference: tuple[str, ...] = Field(
        (),
        description="output folders of earlier runs: what stands in their corpus is removed here; only their `keys/` and the "
        "document numbers in `documents/` are read",
    )
    decontaminate: Decontaminate | Literal[False] = Field(
        False, description="benchmarks that must not be in the corpus"
    )

    @property
    def boilerplate(self) -> Boilerplate | Literal[False]:
        """The settings of boilerplate, false where it is not looked for."""
        return self.sentence.boilerplate if self.sentence else False

    def key_settings(self) -> dict[str, Any]:
        """What the keys of a run depend on: runs can be compared where these are equal."""
        return {
            "version": KEYS_VERSION,
            "exact": self.exact,
            "url": self.url,
            "near": self.near
            and self.near.model_dump(mode="json", exclude={"bands", "rows", "threshold", "min_similarity", "verify"}),
            "sentence": self.sentence
            and {
                "unit": self.sentence.unit,
                "span": self.sentence.span,
                "min_span_words": self.sentence.min_span_words,
            },
        }


KEYS_VERSION = 2
"""Raised when words, folding or hashing change, so that old keys would mean something else."""

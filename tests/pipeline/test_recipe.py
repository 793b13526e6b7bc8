"""Recipes: what is wrong with one is said with its line and what was meant; what is right means the same everywhere."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline import recipe_file
from pipeline.recipe import Recipe
from pipeline.recipe_file import DEFAULT_CHAINS, MAX_BYTES, RecipeError, loads
from pipeline.sizes import parse_size
from pipeline.sources.catalog import KINDS

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "sources: [{name: web, kind: jsonl, paths: [web.jsonl]}]\n"


def problems(text: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        loads(text, "r.yaml")
    return [str(problem) for problem in caught.value.problems]


def written(made: Recipe) -> str:
    out = io.StringIO()
    YAML().dump(made.as_written(), out)
    return out.getvalue()


GOLDEN = [
    ("dedupe: true\n" + SOURCE, "r.yaml:1: dedupe: unknown key 'dedupe'; did you mean 'dedup'?"),
    (
        SOURCE + "filters:\n  reference:\n    - langage\n",
        "r.yaml:4: filters.reference.0: unknown filter 'langage'; did you mean 'language'?",
    ),
    (
        SOURCE + "filters:\n  reference:\n    - fineweb\n    - gopher_quality:\n        min_wrods: 30\n",
        "r.yaml:6: filters.reference.1.gopher_quality.min_wrods: unknown key; did you mean 'min_words'?",
    ),
    (
        SOURCE + "filters: {reference: [{language: en}]}\n",
        "r.yaml:2: filters.reference.0.language: expected the filter's settings by name (found 'en')",
    ),
    (
        SOURCE + "filters: {reference: [{language: false}]}\n",
        "r.yaml:2: filters.reference.0.language: expected the filter's settings by name (found False)",
    ),
    (
        SOURCE + "filters: {reference: [{language: {}, fineweb: {}}]}\n",
        "r.yaml:2: filters.reference.0: a filter is its name, or a mapping of its name to its settings",
    ),
    (
        SOURCE + "filters:\n  reference: [fineweb]\n  refrence: [c4]\n",
        "r.yaml:4: filters.refrence: no source uses this chain; the sources use reference",
    ),
    (SOURCE + "filters: webb\n", "r.yaml:2: filters: is a mapping from chain names to lists of filters, or false"),
    (SOURCE + "filters: {reference: fineweb}\n", "r.yaml:2: filters.reference: a chain is a list of filters"),
    (
        "sources:\n  - name: web\n    kind: wrac\n    paths: [x]\n",
        "r.yaml:3: sources.0.kind: unknown kind of source 'wrac'; did you mean 'warc'?",
    ),
    (
        "sources:\n  - {name: web, paths: [x]}\n",
        f"r.yaml:2: sources.0.kind: a source needs a kind; known: {', '.join(sorted(KINDS))}",
    ),
    (
        "sources:\n  - {name: web, kind: [warc], paths: [x]}\n",
        "r.yaml:2: sources.0.kind: unknown kind of source ['warc']; did you mean 'warc'?",
    ),
    (
        "sources:\n  - name: web\n    kind: warc\n    paths: [x]\n    filters: wbe\n",
        "r.yaml:5: sources.0.filters: no filter chain 'wbe'; did you mean 'web'?",
    ),
    ("sources: [{name: web, kind: warc}]\n", "r.yaml:1: sources.0.paths: is missing"),
    (
        "sources: [{name: web, kind: warc, paths: [7]}]\n",
        "r.yaml:1: sources.0.paths.0: Input should be a valid string (found 7)",
    ),
    (
        "sources:\n  - {name: a, kind: warc, paths: [x]}\n  - {name: a, kind: warc, paths: [y]}\n",
        "r.yaml:3: sources.1.name: two sources are called 'a'",
    ),
    ("sources: []\n", "r.yaml:1: sources: a recipe needs a list of at least one source"),
    (
        SOURCE + "dedup:\n  priority:\n    - web\n    - webb\n",
        "r.yaml:5: dedup.priority.1: no source 'webb'; did you mean 'web'?",
    ),
    (
        SOURCE + "dedup: {sentence: {sources: [wob]}}\n",
        "r.yaml:2: dedup.sentence.sources.0: no source 'wob'; did you mean 'web'?",
    ),
    (SOURCE + "dedup: {near: {bandz: 3}}\n", "r.yaml:2: dedup.near.bandz: unknown key; did you mean 'bands'?"),
    (SOURCE + "dedup: {Near: {}}\n", "r.yaml:2: dedup.Near: unknown key; did you mean 'near'?"),
    (SOURCE + "dedup:\n", "r.yaml:2: dedup: expected settings, or false to leave the stage out (found None)"),
    (SOURCE + "dedup: true\n", "r.yaml:2: dedup: expected settings, or false to leave the stage out (found True)"),
    (SOURCE + "limits: false\n", "r.yaml:2: limits: expected settings (found False)"),
    (SOURCE + "pii:\n  entities:\n    - email\n    - phnoe\n", "r.yaml:5: pii.entities.1: Input should be"),
    (SOURCE + "tokenizer: {vocab_size: 10}\n", "r.yaml:2: tokenizer: vocab_size is 10, but 256 bytes and"),
    (
        SOURCE + "filters:\n  reference:\n    - language:\n        keep: [en]\n        min_score: -1\n",
        "r.yaml:6: filters.reference.0.language.min_score: rule language.not_kept can never fire: language.kept_score "
        "lies between 0 and 1, never < -1; set it to null to leave the rule out",
    ),
    (
        SOURCE + "limits:\n  memory: 4Gib\n",
        "r.yaml:3: limits.memory: not a size: '4Gib'; write for example 512MiB or 4GiB",
    ),
    (SOURCE + "limits:\n  memory: 1.2.3MB\n", "r.yaml:3: limits.memory: not a size: '1.2.3MB'"),
    (SOURCE + "limits:\n  memory: true\n", "r.yaml:3: limits.memory: not a size: True"),
    (SOURCE + f"limits:\n  memory: {'9' * 400}TB\n", "r.yaml:3: limits.memory: not a size: '999"),
    (SOURCE + "limits:\n  split: 0\n", "r.yaml:3: limits.split: Input should be greater than 0 (found 0)"),
    (SOURCE + "shards: {validation: 1.5}\n", "r.yaml:2: shards.validation: Input should be less than or equal to 1"),
    ("plugins: my_filters\n" + SOURCE, "r.yaml:1: plugins: expected a list (found 'my_filters')"),
    (
        "plugins: [no_such_module]\n" + SOURCE,
        "r.yaml:1: plugins.0: plugin 'no_such_module' can't be imported: ModuleNotFoundError: No module named",
    ),
    ("name: 2020-01-01\n" + SOURCE, "r.yaml:1: name: YAML reads this as date; if it is text, put it in quotes"),
    ("7: x\n" + SOURCE, "r.yaml:1: 7: a key must be text; put it in quotes"),
    (SOURCE + "dedup: {~: x}\n", "r.yaml:2: dedup.None: a key must be text; put it in quotes"),
    ("name: a\n\nname: b\n" + SOURCE, 'r.yaml:3: not valid YAML: found duplicate key "name"'),
    (SOURCE + "dedup: {exact: true, exact: false}\n", 'r.yaml:2: not valid YAML: found duplicate key "exact"'),
    ("name: a\nsources: [a\nfilters: }\n", "r.yaml:3: not valid YAML: expected ',' or ']', but got ':'"),
    ("name: a\nsources: *nobody\n", "r.yaml:2: not valid YAML: found undefined alias 'nobody'"),
    ("name: a\nsources: \x1b[0m\n", "r.yaml:2: not valid YAML: special characters are not allowed"),
    (SOURCE + "---\n" + SOURCE, "r.yaml:2: not valid YAML: but found another document"),
    ('name: "\\ud800"\n' + SOURCE, "r.yaml:1: name: holds half a surrogate pair, which is no character"),
    ("name: 2020-99-99\n" + SOURCE, "r.yaml:1: not valid YAML: month must be in 1..12"),
    ("", "r.yaml:1: a recipe is a mapping with at least the key 'sources'"),
    ("- name: a\n", "r.yaml:1: a recipe is a mapping with at least the key 'sources'"),
]


@pytest.mark.parametrize(("text", "expected"), GOLDEN, ids=[expected[:60] for _, expected in GOLDEN])
def test_a_problem_names_its_line_and_what_was_meant(text: str, expected: str) -> None:
    (found,) = problems(text)
    assert found.startswith(expected)


def test_all_problems_are_told_at_once_by_line() -> None:
    text = """\
nmae: several
sources:
  - {name: web, kind: warc, paths: [x], extractor: resiliparce}
  - {name: wikipedia, kind: wikipeda, paths: [x]}
filters:
  web: [{language: {min_score: 2}}, gopher_qualty]
dedup: {priority: [wikipedia, web], near: {bands: 0}}
limits: {memory: lots}
"""
    found = problems(text)
    assert [problem.split(": ")[:2] for problem in found] == [
        ["r.yaml:1", "nmae"],
        ["r.yaml:3", "sources.0.extractor"],
        ["r.yaml:4", "sources.1.kind"],
        ["r.yaml:6", "filters.web.1"],
        ["r.yaml:7", "dedup.near.bands"],
        ["r.yaml:8", "limits.memory"],
    ]


def test_a_source_with_a_problem_is_still_known_by_name() -> None:
    text = "sources: [{name: web, kind: wrac, paths: [x]}]\ndedup: {priority: [web]}\n"
    with pytest.raises(RecipeError) as caught:
        loads(text, "r.yaml", {"web": ["y"], "wob": ["z"]})
    assert [problem.message for problem in caught.value.problems] == [
        "sources.0.kind: unknown kind of source 'wrac'; did you mean 'warc'?",
        "sources: paths given for a source 'wob' that is not there; did you mean 'web'?",
    ]


def test_defaults_are_filled_in() -> None:
    made = loads(SOURCE)
    assert made.name == "corpus"
    assert made.dedup and made.dedup.exact and made.dedup.near and made.dedup.sentence
    assert (made.dedup.near.ngram, made.dedup.near.bands, made.dedup.near.rows) == (5, 14, 8)
    assert made.dedup.near.permutations == 112
    assert made.dedup.sentence.span == 3
    assert made.pii and made.tokenizer and made.shards
    assert (made.limits.memory, made.limits.split) == (4 << 30, 32 << 20)
    assert made.sentence_sources() == {"web"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_without_filters_gets_the_chain_of_its_kind(kind: str) -> None:
    needs = "dump: CC-MAIN-2025-05, files: 0" if kind == "commoncrawl" else "paths: [x]"
    made = loads(f"sources: [{{name: a, kind: {kind}, {needs}}}]\n")
    assert made.sources[0].filters == KINDS[kind].default_chain
    names = [
        entry if isinstance(entry, str) else next(iter(entry)) for entry in DEFAULT_CHAINS[KINDS[kind].default_chain]
    ]
    assert [filter_.name for filter_ in made.chain(made.sources[0])] == names
    assert list(made.chains) == [KINDS[kind].default_chain]


def test_a_chain_of_the_same_name_takes_the_default_ones_place() -> None:
    made = loads(SOURCE + "filters: {reference: [keywords]}\n")
    assert [filter_.name for filter_ in made.chain(made.sources[0])] == ["keywords"]


@pytest.mark.parametrize("value", ["null", "false"])
def test_a_source_may_go_unfiltered(value: str) -> None:
    made = loads(f"sources: [{{name: a, kind: warc, paths: [x], filters: {value}}}]\n")
    assert made.chain(made.sources[0]) == ()


def test_sections_set_to_false_are_left_out() -> None:
    made = loads(SOURCE + "dedup: {near: false, sentence: false}\npii: false\nshards: false\nfilters: false\n")
    assert made.dedup and made.dedup.exact and made.dedup.near is False and made.dedup.sentence is False
    assert (made.pii, made.shards) == (False, False)
    assert made.tokenizer
    assert made.chain(made.sources[0]) == () and made.signals == ()
    assert made.sentence_sources() == frozenset()
    assert loads(SOURCE + "dedup: &off false\npii: *off\n").dedup is False
    nothing = loads(SOURCE + "dedup: false\ntokenizer: false\n")
    assert (nothing.dedup, nothing.shards) == (False, False), "without a tokenizer there is nothing to put into shards"
    assert nothing.priority("web") == 0


def test_priority_puts_unnamed_sources_last_in_recipe_order() -> None:
    sources = ", ".join(f"{{name: {name}, kind: jsonl, paths: [x]}}" for name in "abcd")
    made = loads(f"sources: [{sources}]\ndedup: {{priority: [c, b]}}\n")
    assert sorted("abcd", key=made.priority) == ["c", "b", "a", "d"]


def test_norwegian_is_a_language_and_not_a_boolean() -> None:
    made = loads(SOURCE + "filters: {reference: [{language: {keep: [no, on, yes, y, off, en]}}]}\n")
    assert made.chains["reference"][0].model_dump()["keep"] == ("no", "on", "yes", "y", "off", "en")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MiB", 512 << 20),
        ("4 GiB", 4 << 30),
        ("1.5kB", 1500),
        (" 7 ", 7),
        ("2TB", 2 * 10**12),
        ("0.5 KiB", 512),
        ("8B", 8),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert loads(SOURCE + f"limits: {{memory: '{text}'}}\n").limits.memory == size


def test_paths_from_the_command_line_replace_those_of_the_recipe() -> None:
    made = loads(SOURCE, paths={"web": ["a", "b"]})
    assert made.sources[0].paths == ("a", "b")
    assert loads("sources: [{name: a, kind: warc, paths: one.warc}]\n").sources[0].paths == ("one.warc",)


CHINESE = """\
name: zhongwen
sources:
  - {name: web, kind: warc, paths: ["数据/网页 [2024]/**/*.warc.gz", "C:\\\\x", "- a: b"], filters: 中文}
  - {name: books, kind: books, paths: ["书/#1.txt"]}
  - {name: rows, kind: jsonl, paths: [x], filters: null, metadata: ["yes", "1e3", "~"]}
filters:
  中文: [{language: {keep: [zh, "no"]}}, {gopher_quality: {min_words: null}}, c4]
dedup: {priority: [books], near: {min_similarity: 0.8}, sentence: {sources: [books]}}
pii: {entities: [email]}
tokenizer: {special_tokens: ["<|endoftext|>", "<|用户|>"]}
limits: {memory: 1GiB, record_seconds: 1e1}
"""
OFF = SOURCE + "dedup: false\npii: false\ntokenizer: false\nfilters: false\n"


@pytest.mark.parametrize("text", [SOURCE, CHINESE, OFF], ids=["defaults", "chinese", "all off"])
def test_the_resolved_recipe_means_the_same_when_it_is_read_again(text: str) -> None:
    made = loads(text)
    again = loads(written(made))
    assert again == made
    assert again.digest == made.digest


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(TEXT, min_size=1, max_size=3), st.lists(TEXT, max_size=3))
@example(["no", "~", "1e3", "- a", "a: b", "#", "𐀀", " ", "!!str x", "<<", "\ue000"], ["\t", "\ufeff", "'", '"'])
def test_whatever_text_stands_in_a_recipe_comes_back(paths: list[str], names: list[str]) -> None:
    text = json.dumps({"sources": [{"name": "web", "kind": "jsonl", "paths": ["x"], "metadata": names}]})
    made = loads(text, paths={"web": paths})
    again = loads(written(made))
    assert again.sources == made.sources
    assert (again.sources[0].paths, again.sources[0].model_dump()["metadata"]) == (tuple(paths), tuple(names))
    assert again.digest == made.digest


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.name)
def test_the_ready_recipes_can_be_read_again(path: Path) -> None:
    made = recipe_file.load(str(path))
    assert loads(written(made)) == made


TREE: dict[str, Any] = {
    "name": "order",
    "sources": [{"name": "web", "kind": "jsonl", "paths": ["x"], "text": "body"}],
    "filters": {"reference": [{"gopher_quality": {"min_words": 3, "max_words": 9}}]},
    "dedup": {"exact": True, "near": {"bands": 5, "rows": 4}},
    "shards": {"seed": 3, "validation": 0.5},
}


def shuffled(node: Any, draw: st.DataObject) -> Any:
    if isinstance(node, dict):
        return {key: shuffled(node[key], draw) for key in draw.draw(st.permutations(list(node)))}
    return [shuffled(one, draw) for one in node] if isinstance(node, list) else node


def as_yaml(tree: Any) -> str:
    out = io.StringIO()
    YAML().dump(tree, out)
    return out.getvalue()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_digest_does_not_depend_on_how_a_recipe_is_laid_out(draw: st.DataObject) -> None:
    text = as_yaml(shuffled(TREE, draw))
    commented = "# about\n" + text.replace("\n", "   # why\n")
    assert loads(text).digest == loads(commented).digest == loads(as_yaml(TREE)).digest


@pytest.mark.parametrize(
    "change",
    [
        "name: other\n",
        "dedup: false\n",
        "dedup: {near: {seed: 2}}\n",
        "limits: {split: 1MiB}\n",
        "filters: {reference: [fineweb]}\n",
        "measure_removed: true\n",
        "shards: {seed: 1}\n",
    ],
)
def test_the_digest_changes_with_what_may_change_the_output(change: str) -> None:
    assert loads(SOURCE + change).digest != loads(SOURCE).digest


def test_an_alarm_can_be_loosened_without_starting_over() -> None:
    assert loads(SOURCE + "alarms: {action: warn}\n").digest == loads(SOURCE).digest


def test_the_digest_depends_on_the_content_of_models_and_lists(tmp_path: Path) -> None:
    words, tokenizer = tmp_path / "词.txt", tmp_path / "tokenizer.json"
    words.write_text("one\n")
    tokenizer.write_text("{}")
    text = (
        SOURCE
        + f"filters: {{reference: [{{url: {{domain_lists: ['{words}']}}}}]}}\ntokenizer: {{path: '{tokenizer}'}}\n"
    )
    first = loads(text).digest
    assert loads(text).digest == first
    words.write_text("two\n")
    second = loads(text).digest
    tokenizer.write_text("{ }")
    assert len({first, second, loads(text).digest}) == 3


HOSTILE = [
    "name: !!python/object/apply:os.system ['touch MARK']\n" + SOURCE,
    "!!python/object/apply:os.system ['touch MARK']\n",
    SOURCE + "dedup: !!python/object/new:pathlib.Path {exact: true}\n",
    SOURCE + "limits: {memory: !!python/name:os.getcwd ''}\n",
    "name: !secret x\n" + SOURCE,
    SOURCE + "filters: {reference: [!custom {fineweb: {}}]}\n",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_tags_are_refused_and_do_nothing(text: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    found = problems(text.replace("MARK", str(mark)))
    assert len(found) == 1
    assert "means nothing in a recipe" in found[0]
    assert not mark.exists()


def test_aliases_and_merges_are_fine_in_reason() -> None:
    made = loads("sources:\n  - &one {kind: jsonl, name: a, paths: [x]}\n  - {<<: *one, name: b}\n")
    assert [(source.name, source.kind, source.paths) for source in made.sources] == [
        ("a", "jsonl", ("x",)),
        ("b", "jsonl", ("x",)),
    ]


def bomb(place: str) -> str:
    levels = ["l0: &l0 [a, a, a, a, a, a, a, a, a, a]"]
    levels += [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]" for level in range(1, 12)]
    return "\n".join(levels) + "\n" + place


@pytest.mark.parametrize(
    "text",
    [
        bomb(SOURCE),
        bomb("sources: *l11\n"),
        SOURCE + "dedup: &a {near: *a}\n",
        SOURCE + "filters: &a {reference: *a}\n",
        SOURCE + "filters: " + "[" * 300 + "]" * 300,
    ],
    ids=["unknown keys", "sources", "near itself", "chain itself", "deep"],
)
def test_bombs_cost_little_and_are_refused(text: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(problems(text)) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # kB


def test_what_is_no_recipe_file_at_all(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(b"# crawl\nname: caf\xe9\n" + SOURCE.encode())
    with pytest.raises(RecipeError, match=r"r\.yaml:2: not UTF-8 text"):
        recipe_file.load(str(path))
    path.write_bytes(b"a" * (MAX_BYTES + 1))
    with pytest.raises(RecipeError, match="this is no recipe"):
        recipe_file.load(str(path))
    path.write_bytes("\ufeffname: mark\r\n".encode() + SOURCE.encode())
    assert recipe_file.load(str(path)).name == "mark"
    with pytest.raises(OSError, match="missing"):
        recipe_file.load(str(tmp_path / "missing.yaml"))


def test_a_plugin_brings_its_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_plugin_of_test_recipe.py").write_text("raise KeyError('half written')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (found,) = problems("plugins: [broken_plugin_of_test_recipe]\n" + SOURCE)
    assert (
        found
        == "r.yaml:1: plugins.0: plugin 'broken_plugin_of_test_recipe' can't be imported: KeyError: 'half written'"
    )
    plugin = ROOT / "tests" / "end_to_end" / "hostile_filters.py"
    text = "plugins: [hostile_filters]\n" + SOURCE + "filters: {reference: [hostile]}\n"
    done = subprocess.run(
        [sys.executable, "-c", f"from pipeline.recipe_file import loads; print(loads({text!r}).signals)"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{plugin.parent}"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "('hostile.length',)\n", done.stderr


def test_a_chain_that_no_source_uses_is_an_error() -> None:
    text = "sources:\n  - {name: web, kind: warc, paths: [x]}\nfilters:\n  wbe: [length]\n"
    with pytest.raises(RecipeError) as caught:
        loads(text, "r.yaml")
    assert [str(problem) for problem in caught.value.problems] == [
        "r.yaml:4: filters.wbe: no source uses this chain; the sources use web"
    ]


def test_the_digest_changes_with_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = tmp_path / "plugin_of_the_digest_test.py"
    plugin.write_text('"""A plugin that registers nothing."""\n')
    monkeypatch.syspath_prepend(tmp_path)
    text = f"plugins: [{plugin.stem}]\nsources:\n  - {{name: web, kind: warc, paths: [x]}}\n"
    before = loads(text).digest
    assert loads(text).digest == before
    plugin.write_text('"""Another plugin that registers nothing."""\n')
    assert loads(text).digest != before

"""Papers in TeX: finding and inlining their files, writing macros out, rendering prose, and hostile input."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import outcome

from pipeline.sources.latex.arxiv import Arxiv
from pipeline.sources.latex.macros import Expansion, take_definitions
from pipeline.sources.latex.prose import Paper, to_paper
from pipeline.sources.latex.source_text import decode, without_comments
from pipeline.sources.source import FilePart, Record

PAPERS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "latex"
SOURCE = Arxiv(name="a", paths=("x",))
LIMIT = 1 << 24


def read(path: Path, limit: int = LIMIT) -> list[Record]:
    size = path.stat().st_size
    return list(SOURCE.read(FilePart(str(path), path.name, 0, size, size), limit))


def paper(source: str) -> Paper:
    lifted: list[str] = []
    return to_paper(without_comments(source, lifted), lifted, 1 << 20)


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


# --- real papers

needs_papers = pytest.mark.skipif(not PAPERS.exists(), reason="the shared data is not here")


@needs_papers
def test_real_papers_read_as_prose() -> None:
    texts: dict[str, tuple[Record, str]] = {}
    for path in sorted(PAPERS.glob("*.tar.gz")):
        for record in read(path):
            assert not record.failure
            text = outcome(record)
            if not text.startswith("arxiv."):
                texts[f"{path.name}:{record.metadata['path']}"] = record, text
    assert sorted(texts) == [
        "astropy-v2-paper.tar.gz:main.tex",
        "emcee-paper.tar.gz:document/ms.tex",
        "emcee-paper.tar.gz:joss/paper.tex",
        "hott-book.tar.gz:main.tex",
    ]
    record, emcee = texts["emcee-paper.tar.gz:document/ms.tex"]
    assert record.metadata["title"] == "emcee: The MCMC Hammer"
    assert record.metadata["authors"].split("; ") == [
        "Daniel Foreman-Mackey",
        "David W. Hogg",
        "Dustin Lang",
        "Jonathan Goodman",
    ]
    assert "\n\nIntroduction\n\n" in emcee
    assert "Extending earlier work by Christen (2007), Goodman & Weare (2010) proposed an affine invariant" in emcee
    for _, text in texts.values():
        prose = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|\\begin\{(\w+\*?)\}.*?\\end\{\1\}", "", text, flags=re.DOTALL)
        assert len(prose) > 6000
        left = re.findall(r"\\[a-zA-Z]+|\{|\}", prose)
        assert len(left) * 2000 < len(prose), left[:20]
    assert len(texts["hott-book.tar.gz:main.tex"][1]) > 1_000_000


# --- layouts


def test_the_bulk_layout(tmp_path: Path) -> None:
    body = rb"\documentclass{article}\title{T}\begin{document}Hello \input{sec/one}\end{document}"
    nested = gzip.compress(packed({"ms.tex": body, "sec/one.tex": b"one % no\n", "draft.tex": rb"\documentclass{a}x"}))
    bulk = packed(
        {
            "2101/2101.00001.gz": nested,
            "2101/2101.00002.gz": gzip.compress(rb"\magnification 1200 Plain \TeX text.\bye"),
            "2101/2101.00003.pdf": b"%PDF-",
            "2101/hep-th9901001.gz": gzip.compress(body)[:-12],
            "2101/2101.00005.gz": gzip.compress(b"%PDF-1.4"),
        }
    )
    path = tmp_path / "arXiv_src_2101_001.tar"
    path.write_bytes(bulk)
    found = read(path)
    assert [record.metadata["arxiv_id"] for record in found] == [
        "2101.00001",
        "2101.00002",
        "2101.00003",
        "hep-th/9901001",
        "2101.00005",
    ]
    assert [outcome(record) for record in found] == [
        "T\n\nHello one",
        "1200 Plain TeX text.",
        "arxiv.no_source",
        "failed",
        "arxiv.no_source",
    ]
    assert found[0].url == "https://arxiv.org/abs/2101.00001"


def test_loose_files_with_their_neighbours(tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (tmp_path / "secret.tex").write_text("SECRET")
    (folder / "part.tex").write_text("the part")
    main = folder / "main.tex"
    main.write_text(
        r"\documentclass{a}\begin{document}\input{part} \input{../secret} \input{/etc/passwd} \input{main}.\end{document}"
    )
    (record,) = read(main)
    assert outcome(record) == "the part."
    assert [outcome(one) for one in read(folder / "part.tex")] == ["arxiv.not_included"]


def test_plain_archives_account_for_every_tex_file(tmp_path: Path) -> None:
    path = tmp_path / "p.tar"
    root = rb"\documentclass{a}\begin{document}%s\end{document}"
    path.write_bytes(
        packed(
            {
                "a/main.tex": root % b"long text \\input{used}",
                "a/used.tex": b"used",
                "a/old.tex": root % b"x",
                "a/lost.tex": b"lost",
                "b/other.tex": root % b"other",
                "fig.png": b"png",
            }
        )
    )
    assert {one.metadata["path"]: outcome(one) for one in read(path)} == {
        "a/main.tex": "long text used",
        "a/old.tex": "arxiv.not_main",
        "a/lost.tex": "arxiv.not_included",
        "b/other.tex": "other",
    }
    assert [one.failure != "" for one in read(path, 80)]


def test_papers_that_include_themselves_without_end_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "p.tar"
    ten = b"".join(rb"\input{b}" for _ in range(10))
    files = {"a.tex": rb"\documentclass{a}\begin{document}" + ten}
    files |= {f"{name}.tex": ten.replace(b"{b}", b"{%c}" % (ord(name) + 1)) for name in "bcdefgh"}
    path.write_bytes(packed(files))
    record = read(path, 100_000)[0]
    assert "more than 100000 characters" in record.failure


# --- rendering

CASES = [
    (r"caf\'e na\"{\i}ve \c{c}a \v s Erd\H{o}s \AA ngstr\"om \~n \o{} \ss", "café naïve ça š Erdős Ångström ñ ø ß"),
    (r"``quoted'' and `so' --- 1--2~km 50\% \& \$5 a\_b \{x\}", "“quoted” and 'so' — 1–2 km 50% & $5 a_b {x}"),
    (r"As \emph{seen} in~\cite{a}, {\bf bold \textit{it}} and Section~\ref{s}.", "As seen in, bold it and Section."),
    (r"see (\citep[e.g.][]{a}) and \cref{thm:x,lem:y}", "see and Theorem and Lemma"),
    ("one\ntwo % comment\nthree\n\nfour\\\\five", "one two three\n\nfour\nfive"),
    (r"Let $x^2 \label{a}$ and \(y\) and $$z \nonumber$$ end", "Let $x^2$ and $y$ and\n$$z$$\nend"),
    (
        r"\begin{equation}\label{e} a=b\end{equation}\begin{align*}a&=b\\c\end{align*}",
        "$$a=b$$\n\\begin{align*} a&=b\\\\c \\end{align*}",
    ),
    (r"\section*{A \emph{b}}text\subsection[s]{C}more\paragraph{D} run", "A b\n\ntext\n\nC\n\nmore\n\nD. run"),
    (r"\begin{itemize}\item one \item[x] two\end{itemize}", "- one\n- x two"),
    (
        r"\begin{figure}\includegraphics{f}\caption{The \emph{cap}.}\end{figure}x\begin{tabular}{c}1&2\end{tabular}y",
        "The cap.\n\nx\n\ny",
    ),
    (r"Text\footnote{A note.} goes on.", "Text goes on.\n\nA note."),
    (r"\newtheorem{thm}{Satz}\begin{thm}[Gauß] A.\end{thm}\begin{proof}B.\end{proof}", "Satz (Gauß). A.\n\nProof. B."),
    (r"\begin{verbatim}" + "\n% kept \\x\n  {\n" + r"\end{verbatim} and \verb|a%b_c|", "% kept \\x\n  {\n\nand a%b_c"),
    (r"\href{http://a.b}{link} \url{http://x.y/a_b} \textcolor{red}{c}", "link http://x.y/a_b c"),
    (r"\newcommand{\foo}{Foo}\def\bar#1{<#1>}\foo\ is \bar{x} and \foo{} $\foo$", "Foo is <x> and Foo $Foo$"),
    (r"\newcommand{\be}{\begin{equation}}\newcommand{\ee}{\end{equation}}\be x \ee", "$$x$$"),
    (r"\newcommand{\two}[2][d]{#1-#2}\two{a} \two[b]{c}", "d-a b-c"),
    (r"a\iffalse hidden \iftrue x\fi y\fi b \begin{comment}no\end{comment}c", "a b c"),
    (r"x\begin{thebibliography}{9}\bibitem{a} B.\end{thebibliography}\appendix\section{App}z", "x\n\nApp\n\nz"),
    (r"\ensuremath{x_1} text \mbox{box} \raisebox{1pt}{up}", "$x_1$ text box up"),
    (r"unclosed $ math and {brace \begin{itemize} \item a", "unclosed math and brace\n\n- a"),
]


@pytest.mark.parametrize(("source", "expected"), CASES)
def test_tex_to_prose(source: str, expected: str) -> None:
    assert paper(source).text == expected


def test_preamble_title_and_authors() -> None:
    found = paper(
        r"\documentclass{x}\title[s]{On\\Things\thanks{me}}\author{A. B\"uhl$^1$ \and C. D.\thanks{x}}"
        r"\begin{document}\maketitle\begin{abstract}Ab.\end{abstract}\bibliography{r}\end{document}junk"
    )
    assert found == Paper("On Things\n\nAbstract. Ab.", "On Things", "A. Bühl; C. D.")


def test_encodings() -> None:
    assert decode("é“".encode()) == "é“"
    assert decode(rb"\usepackage[latin1]{inputenc} " + b"\xe9 \x93") == "\\usepackage[latin1]{inputenc} é “"
    assert decode(rb"\usepackage[latin2]{inputenc} " + b"\xb3").endswith("ł")


def test_macros_that_feed_on_themselves_are_bounded() -> None:
    text, macros = take_definitions(r"\def\a{\b\b\b\b\b\b\b\b\b\b}\def\b{\a\a\a\a\a\a\a\a\a\a}\a")
    assert len(Expansion(macros, 10_000).expand(text)) < 200_000


MARKS = [
    "{", "}", "$", "$$", "\\[", "\\(", "\\]", "\\begin{equation}", "\\end{equation}", "\\begin{itemize}", "\\end{itemize}",
    "\\item", "\\item[", "\\emph{", "\\footnote{", "\\section{", "\\'", "\\cite{", "[", "]", "%", "\n\n", "\\def\\a{", "\\a",
    "\\newcommand{\\b}[1]{", "\\b", "#1", "\\verb|", "\\begin{verbatim}", "\\iffalse", "\\fi", "\\input{x}", "\\caption{",
    "\\begin{figure}", "\\end{figure}", "\\title{", "\\author{", "~", "&", "é", "a", " ", "\x7f0\x7f", "\x1d0\x1d", "\\bibitem[",
]  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(MARKS), max_size=60))
def test_any_mixture_of_marks_gives_text(pieces: list[str]) -> None:
    text = paper(decode("".join(pieces).encode())).text
    assert text == text.strip()
    assert "\x7f" not in text and "\x1e" not in text


@pytest.mark.parametrize("mark", MARKS)
def test_time_grows_linearly_with_hostile_papers(mark: str) -> None:
    def seconds(size: int) -> float:
        source = mark * (size // len(mark))
        began = time.process_time()
        paper(decode(source.encode()))
        return time.process_time() - began

    # Sixteen times the size may take some sixteen times as long; quadratic time would be 256 times.
    small = min(seconds(8_000) for _ in range(3))
    assert seconds(128_000) < 80 * max(small, 0.002)


@settings(max_examples=100)
@given(data=st.binary(max_size=400), name=st.sampled_from(["x.tex", "x.tar", "2101.00001.gz", "x.tar.gz"]))
def test_random_files_never_raise(data: bytes, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    for record in read(path):
        assert record.failure or outcome(record)

"""Tells by its content in which of several languages a file is written, where they share a suffix; and by editors' notes.

The telltales are those of GitHub's Linguist (lib/linguist/heuristics.yml, strategy/modeline.rb), as facts.
"""

from __future__ import annotations

import re

_CHARACTERS = 20_000
"""Characters of a file that are looked at."""
_NOTE_LINES = 5


def _line(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)


_OBJECTIVE_C = _line(
    r"^[ \t]*(?:@(?:interface|implementation|protocol|class|import|property|end|synchronized)\b|#import\b)"
)
_CPP = _line(
    r"^[ \t]*(?:class|namespace|template|using|public:|private:|protected:)"
    r"|^[ \t]*#[ \t]*include <(?:cstdint|string|vector|map|list|array|bitset|queue|stack|memory|iostream|sstream)>"
    r"|\bstd::|\bconstexpr\b|\bvirtual \w|\bnullptr\b"
)
_HACK = re.compile(r"\A(?:#!.{0,200}\n)?<\?hh")
_XML = re.compile(r"\A\s{0,100}<\?xml\b")

_HINTS: dict[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "cl": ((_line(r"\b(?:__kernel|__global)\b|^[ \t]*(?://|/\*)|^\}"), "OpenCL"),),
    "cls": (
        (_line(r"^[ \t]*\\(?:NeedsTeXFormat|ProvidesClass|LoadClass)\b|^%"), "TeX"),
        (_line(r"^(?:VERSION [0-9.]+ CLASS|Attribute VB_Name)"), "VBA"),
        (_line(r"^[ \t]*(?:public|private|global|@\w+)[^\n]{0,80}\bclass\b"), "Apex"),
    ),
    "cs": ((_line(r"![\w\s]{1,60}methodsFor: "), "Smalltalk"),),
    "d": (
        (_line(r"^[^\s:#]{1,200}\.[oad][^\n:]{0,200}:[ \t]*\\?$|^[^\s:#]{1,200}\.o: "), "Makefile"),
        (_line(r"\A#!.{0,80}\bdtrace\b|^\w{1,40}:\w{0,40}:\w{0,40}:\w{0,40}"), "DTrace"),
    ),
    "f": ((_line(r"^: \S"), "Forth"),),
    "for": ((_line(r"^: \S"), "Forth"),),
    "fs": (
        (_line(r"^[ \t]*(?:#version|precision|uniform|varying|attribute|void main)\b"), "GLSL"),
        (_line(r"^(?:: \S|new-device\b)"), "Forth"),
    ),
    "h": ((_OBJECTIVE_C, "Objective-C"), (_CPP, "C++")),
    "hh": ((_HACK, "Hack"),),
    "inc": (
        (_line(r"^<\?(?:php\b|hh\b|=|$)"), "PHP"),
        (_line(r"^[ \t]*\{\$(?:IFDEF|IFNDEF|I |INCLUDE|DEFINE)|^[ \t]*(?:procedure|function)\b[^\n{]{0,200};"), "Pascal"),
        (_CPP, "C++"),
        (_line(r"^[ \t]*#[ \t]*(?:include|define|ifdef|ifndef|if|pragma)\b|^[ \t]*/\*"), "C"),
        (_line(r"^[ \t]*(?:[%.](?:macro|define|equ|set|globl|section)|mov[lq]?|;)\b|^[ \t]*;"), "Assembly"),
    ),
    "l": (
        (_line(r"^%(?:[%{}]|option\b|x\b|s\b)"), "Lex"),
        (_line(r"^[ \t]*\((?:def\w*|in-package)\b"), "Common Lisp"),
        (_line(r"^\.(?:TH|Dd|SH|\\\")"), "Roff"),
    ),
    "m": (
        (_OBJECTIVE_C, "Objective-C"),
        (_line(r"^[ \t]*#include\b"), "Objective-C"),
        (_line(r"^:- (?:module|import_module)\b"), "Mercury"),
        (_line(r"^[ \t]*\(\*|\b(?:BeginPackage|Module|Block)\[|^[ \t]*\w{1,60}\[[^\n\]]{0,100}_[^\n\]]{0,100}\][ \t]*:="), "Wolfram Language"),
    ),
    "md": ((re.compile(r"\A\s{0,100}(?:;;|\(define_)"), "GCC Machine Description"),),
    "ml": ((_line(r"\bcase\b[^\n]{1,200}\bof\b|=>|^[ \t]*(?:structure|signature|functor)\b"), "Standard ML"),),
    "php": ((_HACK, "Hack"),),
    "pl": (
        (_line(r"^[ \t]*:-|^[a-z]\w{0,60}\([^)\n]{0,200}\)[ \t]*:-"), "Prolog"),
        (_line(r"^[ \t]*(?:use v6\b|(?:my )?class \w|unit module\b)"), "Raku"),
    ),
    "pm": ((_line(r"^[ \t]*(?:use v6\b|unit (?:module|class)\b|my class\b)"), "Raku"),),
    "pp": ((_line(r"^[ \t]*(?:class|define|node)\b[^\n]{0,200}\{|^[ \t]*\w+ *=> *['\"$]"), "Puppet"),),
    "pro": (
        (_line(r"^[ \t]*(?:QT|TEMPLATE|SOURCES|HEADERS|CONFIG|TARGET)[ \t]*\+?="), "QMake"),
        (_line(r"^[ \t]*-(?:keep|dontwarn|dontobfuscate|assumenosideeffects)"), "ProGuard"),
        (_line(r"^[ \t]*(?:function|pro)[ \t]+\w[^\n]{0,200}$[\s\S]{0,2000}?^[ \t]*end\b"), "IDL"),
    ),
    "r": ((re.compile(r"\A\s{0,100}REBOL\b", re.IGNORECASE), "Rebol"),),
    "rs": ((_XML, "XML"), (_line(r"^[ \t]*#pragma[ \t]+(?:rs|version)\b"), "RenderScript")),
    "sc": ((_line(r"\bSynthDef\b|\bServer\.default\b|^[ \t]*\+ [A-Z]\w* \{"), "SuperCollider"),),
    "sql": ((_line(r"^(?:SET TERM|CREATE OR REPLACE PACKAGE)\b|\bPLS_INTEGER\b"), "SQL"),),
    "st": ((re.compile(r"\A\s{0,100}<!?(?:html|doctype|div)", re.IGNORECASE), "HTML"),),
    "ts": ((re.compile(r"\A\s{0,100}<(?:\?xml|!DOCTYPE TS|TS\b)"), "XML"),),
    "tsx": ((_XML, "XML"),),
    "v": (
        (_line(r"^[ \t]*(?:Require|Theorem|Lemma|Inductive|Proof|From \w+ Require|Section|Definition)\b"), "Rocq"),
        (_line(r"^[ \t]*(?:pub )?(?:fn|struct) \w[^\n;]{0,200}\{|^import \w+(?:\.\w+)*$"), "V"),
    ),
    "yy": ((re.compile(r"\A\s{0,100}\{"), "JSON"),),
}  # fmt: skip
"""By suffix: the first pattern that is found decides; where none is, the suffix's usual language stays."""

CONTENT_ONLY = frozenset(("inc", "cls", "l"))
"""Suffixes that say nothing without the content."""

NAMED = frozenset(language for hints in _HINTS.values() for _, language in hints)
"""Every language that ``of_content`` can name."""

_EMACS = re.compile(
    r"-\*-[ \t]*(?:[^\n]{0,200}?\bmode:[ \t]*)?([A-Za-z0-9+#-]{1,40})[ \t]*(?:;[^\n]{0,200})?-\*-", re.IGNORECASE
)
_VIM = re.compile(r"\b(?:vim?|ex):[^\n]{0,200}?\b(?:ft|filetype|syntax)=([A-Za-z0-9+#-]{1,40})")


def of_content(suffix: str, text: str) -> str:
    """The language that a suffix stands for in this file, "" where its content does not tell."""
    for pattern, language in _HINTS.get(suffix, ()):
        if pattern.search(text, 0, _CHARACTERS):
            return language
    return ""


def noted(text: str) -> str:
    """What a note to an editor (``-*- mode: perl -*-``, ``vim: ft=perl``) in the first or last five lines calls the language."""
    head = text[:2000].split("\n", _NOTE_LINES)[:_NOTE_LINES]
    tail = text[-2000:].rsplit("\n", _NOTE_LINES)[1:]
    for line in (*head, *tail):
        found = (_EMACS.search(line) if "-*-" in line else None) or (_VIM.search(line) if "=" in line else None)
        if found and found[1].lower() not in ("coding", "utf-8"):
            return found[1].lower()
    return ""

"""Which programming language a file is written in, told by its name, its first line, or its content.

A table of our own and not a lexer library's: looking up a name takes a microsecond instead of a millisecond, and the
names are those of GitHub's Linguist, by which code corpora are usually described.
"""

from __future__ import annotations

import re

from pipeline.sources.repository import language_hints
from pipeline.sources.repository.language_hints import CONTENT_ONLY

UNTOLD = "?"
"""The name of a file is that of a language, but of which, its content tells."""

_BY_SUFFIX = """
ABAP: abap
Ada: adb ads ada
Agda: agda
ANTLR: g4
Apex: apex
Assembly: asm s nasm
AppleScript: applescript
AutoHotkey: ahk
Awk: awk
Batchfile: bat cmd
BibTeX: bib
Bicep: bicep
Bluespec: bsv
C: c h cats idc
C#: cs csx cake
C++: cpp cc cxx c++ hpp hh hxx h++ ipp inl tpp tcc ixx cppm
Clojure: clj cljs cljc edn
CMake: cmake
COBOL: cob cbl cobol cpy
CoffeeScript: coffee
Common Lisp: lisp lsp cl asd
Crystal: cr
CSS: css
Cuda: cu cuh
CUE: cue
Cython: pyx pxd pxi
D: d di
Dart: dart
Dhall: dhall
Elixir: ex exs
Elm: elm
Emacs Lisp: el
Erlang: erl hrl
F#: fs fsi fsx
Fish: fish
Forth: forth fth 4th
Fortran: f f77 f90 f95 f03 f08 for fpp ftn
GDScript: gd
GLSL: glsl vert frag geom comp tesc tese
Go: go
GraphQL: graphql gql
Groovy: groovy gradle gvy
Hack: hack
Haskell: hs lhs hsc
HCL: hcl tf tfvars nomad
HLSL: hlsl fx
HTML: html htm xhtml
Idris: idr
INI: ini cfg
Java: java
JavaScript: js mjs cjs jsx es6
JSON: json json5 jsonc geojson webmanifest
Julia: jl
Kotlin: kt kts ktm
Lean: lean
Less: less
LLVM: ll
Lua: lua
Makefile: mk mak
Markdown: md markdown mdx
MATLAB: m matlab
Meson: meson
Metal: metal
MLIR: mlir
Nim: nim nims
Nix: nix
Objective-C++: mm
OCaml: ml mli mll mly
OpenCL: opencl
OpenSCAD: scad
Org: org
Pascal: pas pp dpr lpr
Perl: pl pm perl t
PHP: php php3 php4 php5 phtml phps
PlantUML: puml plantuml
PowerShell: ps1 psm1 psd1
Prolog: prolog pro
Protocol Buffer: proto
Pug: pug jade
PureScript: purs
Python: py pyi pyw pyde
QML: qml
R: r rmd rd
Racket: rkt rktl
Ragel: rl
Raku: raku rakumod p6 pm6
ReScript: res resi
reStructuredText: rst
Ruby: rb rake gemspec ru rbi
Rust: rs
SAS: sas
Sass: sass
Scala: scala sbt sc
Scheme: scm ss sld
SCSS: scss
Shell: sh bash zsh ksh bats command
Smalltalk: st
Solidity: sol
SPARQL: sparql rq
SQL: sql ddl pgsql plsql
Standard ML: sml sig fun
Starlark: bzl star
Stata: do ado
Stylus: styl
SuperCollider: scd
Svelte: svelte
Swift: swift
SystemVerilog: sv svh
Tcl: tcl tk
TeX: tex sty ltx dtx
Text: txt text
Thrift: thrift
TLA: tla
TOML: toml
TypeScript: ts tsx mts cts
Twig: twig
Vala: vala vapi
VBA: bas vba
VBScript: vbs
Verilog: v vh
VHDL: vhd vhdl
Vim Script: vim
Visual Basic .NET: vb
Vue: vue
Vyper: vy
WebAssembly: wat wast
WGSL: wgsl
XML: xml xsd xsl xslt wsdl rng plist csproj vcxproj props targets
XQuery: xq xquery xqy
YAML: yaml yml
Yacc: y yy
Zig: zig
"""

_BY_NAME = """
CMake: cmakelists.txt
Dockerfile: dockerfile containerfile
Makefile: makefile gnumakefile makefile.am makefile.in kbuild
Ruby: gemfile rakefile vagrantfile podfile guardfile brewfile fastfile capfile
Python: sconstruct sconscript wscript snakefile
Starlark: build build.bazel workspace workspace.bazel module.bazel tiltfile
Groovy: jenkinsfile
Just: justfile
Meson: meson.build meson_options.txt meson.options
Shell: .bashrc .bash_profile .bash_aliases .profile .zshrc .zprofile pkgbuild
Vim Script: .vimrc
Go Module: go.mod
INI: .editorconfig .gitconfig
TOML: pipfile
JSON: .babelrc .eslintrc .prettierrc
Text: readme license licence copying notice authors contributors changelog changes news todo install
"""

_BY_INTERPRETER = """
Awk: awk gawk mawk
Clojure: bb
Elixir: elixir
Erlang: escript
Fish: fish
Groovy: groovy
Haskell: runhaskell runghc
JavaScript: node nodejs deno bun
Julia: julia
Lua: lua luajit
Makefile: make
OCaml: ocaml
Perl: perl
PHP: php
PowerShell: pwsh
Python: python pypy
R: rscript
Racket: racket
Ruby: ruby jruby
Scala: scala
Scheme: guile
Shell: sh bash zsh ksh dash ash
Swift: swift
Tcl: tclsh wish
TypeScript: ts-node tsx
"""


def _table(text: str) -> dict[str, str]:
    rows = (line.split(":", 1) for line in text.strip().split("\n"))
    return {key: language.strip() for language, keys in rows for key in keys.split()}


_LANGUAGE_OF_SUFFIX = _table(_BY_SUFFIX)
_LANGUAGE_OF_NAME = _table(_BY_NAME)
_LANGUAGE_OF_INTERPRETER = _table(_BY_INTERPRETER)

LANGUAGES = frozenset(
    {
        *_LANGUAGE_OF_SUFFIX.values(),
        *_LANGUAGE_OF_NAME.values(),
        *_LANGUAGE_OF_INTERPRETER.values(),
        *language_hints.NAMED,
    }
)
"""Every language that ``language_of`` can name."""

_SHEBANG = re.compile(r"#![ \t]*(?:\S*/)?(?:env[ \t]+(?:-\S+[ \t]+|\w+=\S*[ \t]+)*)?([A-Za-z-]+)")

_BY_NOTE = {language.lower().replace(" ", "-"): language for language in LANGUAGES}
_BY_NOTE |= {
    "bash": "Shell", "cpp": "C++", "cs": "C#", "csharp": "C#", "elisp": "Emacs Lisp", "emacs-lisp": "Emacs Lisp",
    "f90": "Fortran", "js": "JavaScript", "latex": "TeX", "lisp": "Common Lisp", "make": "Makefile", "objc": "Objective-C",
    "py": "Python", "sh": "Shell", "shell-script": "Shell", "tex": "TeX", "ts": "TypeScript", "vim": "Vim Script",
    "rst": "reStructuredText", "proto": "Protocol Buffer", "dosbatch": "Batchfile", "zsh": "Shell",
}  # fmt: skip
"""What editors call the languages."""


def language_of_name(path: str) -> str:
    """The language by the last part of the path alone; "" where the name says nothing, UNTOLD where the content must."""
    name = path.rpartition("/")[2].lower()
    if known := _LANGUAGE_OF_NAME.get(name):
        return known
    stem, dot, suffix = name.rpartition(".")
    if not dot or not stem:
        return ""
    if found := _LANGUAGE_OF_SUFFIX.get(suffix):
        return found
    if suffix in CONTENT_ONLY:
        return UNTOLD
    return "Dockerfile" if stem == "dockerfile" or suffix == "dockerfile" else ""


def language_of(path: str, text: str) -> str:
    """The language of a file; "" where it is none that we know.

    Asked in turn, as Linguist does: a note to an editor, the name, the first line (of files without a suffix), and
    where languages share the suffix, the content.
    """
    named = language_of_name(path)
    if "." in path.rpartition("/")[2].lstrip(".") and not named:
        return ""
    if note := _BY_NOTE.get(language_hints.noted(text)):
        return note
    if not named:
        shebang = _SHEBANG.match(text)
        return _LANGUAGE_OF_INTERPRETER.get(shebang[1].lower(), "") if shebang else ""
    told = language_hints.of_content(path.rpartition(".")[2].lower(), text)
    return told or named.removeprefix(UNTOLD)

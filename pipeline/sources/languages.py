"""Which programming language a file is written in, told by its name, its first line, or a few telltale words.

A table of our own and not a lexer library's: looking up a name takes a microsecond instead of a millisecond, and the
names are those of GitHub's Linguist, by which code corpora are usually described.
"""

from __future__ import annotations

import re

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
        "Objective-C",
        "Rocq",
    }
)
"""Every language that ``language_of`` can name."""

_SHEBANG = re.compile(r"#![ \t]*(?:\S*/)?(?:env[ \t]+(?:-\S+[ \t]+|\w+=\S*[ \t]+)*)?([A-Za-z-]+)")
_TELLTALES: dict[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    # Suffixes that several languages share: the first pattern found in the file's beginning decides.
    "h": (
        (re.compile(r"^[ \t]*(?:@interface|@protocol|@class|#import)\b", re.MULTILINE), "Objective-C"),
        (
            re.compile(
                r"^[ \t]*(?:class|namespace|template|using|public:|private:)|\bstd::|\bconstexpr\b", re.MULTILINE
            ),
            "C++",
        ),
    ),
    "m": (
        (
            re.compile(r"^[ \t]*(?:@interface|@implementation|@import|@class|#import|#include)\b", re.MULTILINE),
            "Objective-C",
        ),
    ),
    "ts": ((re.compile(r"\A\s*<(?:\?xml|!DOCTYPE TS|TS\b)"), "XML"),),
    "v": ((re.compile(r"^[ \t]*(?:Require|Theorem|Lemma|Inductive|Proof)\b", re.MULTILINE), "Rocq"),),
    "pl": ((re.compile(r"^[ \t]*:-|^[a-z]\w{0,60}\([^)\n]{0,200}\)[ \t]*:-", re.MULTILINE), "Prolog"),),
}
_TELLTALE_CHARACTERS = 20_000


def language_of_name(path: str) -> str:
    """The language by the last part of the path alone; "" where the name says nothing."""
    name = path.rpartition("/")[2].lower()
    if known := _LANGUAGE_OF_NAME.get(name):
        return known
    stem, dot, suffix = name.rpartition(".")
    if not dot or not stem:
        return ""
    if found := _LANGUAGE_OF_SUFFIX.get(suffix):
        return found
    return "Dockerfile" if stem == "dockerfile" or suffix == "dockerfile" else ""


def language_of(path: str, text: str) -> str:
    """The language of a file by its name and beginning; "" where it is none that we know."""
    found = language_of_name(path)
    if not found:
        name = path.rpartition("/")[2]
        shebang = _SHEBANG.match(text) if "." not in name.lstrip(".") else None
        return _LANGUAGE_OF_INTERPRETER.get(shebang[1].lower(), "") if shebang else ""
    suffix = path.rpartition(".")[2].lower()
    for pattern, language in _TELLTALES.get(suffix, ()):
        if pattern.search(text, 0, _TELLTALE_CHARACTERS):
            return language
    return found

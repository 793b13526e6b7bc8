"""What LaTeX commands and environments mean for the text: tables, in the order of what becomes of them."""

from __future__ import annotations

import re
import unicodedata


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


DROPPED = {
    # Commands that go with their arguments in braces, and how many of these they have.
    **dict.fromkeys(
        _words(
            "label index indexdef indexfoot glossary nomenclature vspace hspace vskip hskip bibliography bibliographystyle "
            "usepackage RequirePackage documentclass pagestyle thispagestyle pagenumbering hypersetup graphicspath "
            "includegraphics includepdf epsfig psfig plotone epsfbox epsffile input include usetikzlibrary tikzset "
            "email altaffilmark affiliation affil address institute institution author authors date "
            "thanks pacs keywords received accepted published journal volume preprint shorttitle shortauthors slugcomment "
            "titlerunning authorrunning markright title subtitle "
            "ref eqref pageref vref nameref "
            "crefrange subref labelcref color pagecolor phantom hphantom vphantom "
            "enlargethispage stepcounter refstepcounter newcounter "
            "lstset lstinputlisting captionsetup "
            "theoremstyle tableofcontents numberwithin allowdisplaybreaks "
            "special write message typeout penalty bibinfo bibliographyname linenumbers tablenum tabletypesize "
            "tablewidth tablecolumns tablehead startdata orcid orcidlink linespread selectlanguage inst "
            "footnotemark symlabel hyphenation acmConference acmYear acmDOI acmISBN acmPrice ccsdesc "
            "newgeometry geometry fontseries fontshape fontfamily "
            "copyrightyear setcopyright icmlauthor icmlaffiliation icmltitlerunning icmlkeywords defcitealias"
        ),
        1,
    ),
    **dict.fromkeys(
        _words(
            "setlength addtolength setcounter addtocounter rule definecolor markboth fontsize newlength "
            "newcolumntype DeclareGraphicsExtensions plottwo icmlaffiliation renewcaptionname "
            "altaffiltext indexsee"
        ),
        2,
    ),
    "usefont": 4,
    "collaboration": 2,
    "addcontentsline": 3,
    "addtocontents": 2,
    "tableofcontents": 0,
    "linenumbers": 0,
    "allowdisplaybreaks": 0,
    "startdata": 0,
    "newlength": 1,
    "DeclareGraphicsExtensions": 1,
}

KEPT_LAST = {
    # Commands of which only the last of so many arguments is text.
    **dict.fromkeys(
        _words(
            "href textcolor colorbox hyperref hyperlink hypertarget raisebox parbox scalebox rotatebox foreignlanguage "
            " adjustbox"
        ),
        2,
    ),
    "resizebox": 3,
    "multicolumn": 3,
    "multirow": 3,
    "fcolorbox": 3,
}
KEPT_FIRST = {"texorpdfstring": 2}

CITATION = re.compile(r"[A-Za-z]*[Cc]ite[A-Za-z]*")
TEXTUAL_CITATION = re.compile(
    r"[Cc]itet|[Tt]extcite|[Cc]iteauthor|citealt|citeasnoun|newcite|shortciteA?|[Cc]itetalias"
)
"""Citations that are part of the sentence: authors do something in them."""

REFERENCES = _words("cref Cref autoref Autoref fullref cpageref Cpageref")
"""Commands that print what kind of thing a label stands for, with its number."""
KINDS = {
    "sec": "Section", "sect": "Section", "section": "Section", "subsec": "Section", "ss": "Section", "fig": "Figure",
    "figure": "Figure", "f": "Figure", "tab": "Table", "table": "Table", "tbl": "Table", "eq": "Equation",
    "eqn": "Equation", "eqs": "Equations", "thm": "Theorem", "theorem": "Theorem", "th": "Theorem", "lem": "Lemma",
    "lemma": "Lemma", "lm": "Lemma", "prop": "Proposition", "cor": "Corollary", "def": "Definition", "defn": "Definition",
    "cha": "Chapter", "ch": "Chapter", "chap": "Chapter", "chapter": "Chapter", "app": "Appendix", "appendix": "Appendix",
    "alg": "Algorithm", "algo": "Algorithm", "ex": "Exercise", "exer": "Exercise", "eg": "Example", "rmk": "Remark",
    "rem": "Remark", "part": "Part", "ass": "Assumption", "conj": "Conjecture", "claim": "Claim",
}  # fmt: skip
"""What the beginning of a label, by custom, says of its kind."""

SECTIONS = _words("part chapter section subsection subsubsection addchap addsec specialsection")
RUN_IN = _words("paragraph subparagraph")
CAPTIONS = _words("caption captionof tablecaption figcaption")

DISPLAYED = _words(
    "equation equation* displaymath eqnarray eqnarray* align align* alignat alignat* flalign flalign* gather gather* "
    "multline multline* dmath dmath* IEEEeqnarray IEEEeqnarray* mathpar narrowmultline "
    "narrowmultline* xalignat xalignat*"
)
"""Environments that are formulas on lines of their own."""
UNWRAPPED = _words("equation equation* displaymath dmath dmath*")
"""Those of them that dollars stand for as well."""

CAPTION_ONLY = _words(
    "figure figure* table table* wrapfigure wraptable SCfigure sidewaysfigure sidewaystable sidewaysfigure* "
    "sidewaystable* longtable longtable* deluxetable deluxetable* floatingfigure subfigure supertabular "
    "longtabu planotable rotatetable rotatetable* marginfigure margintable scheme plate"
)
"""Environments of which nothing but the caption reads as text."""

HIDDEN = _words(
    "thebibliography references biblist tabular tabular* tabularx tabulary tabu array picture pspicture tikzpicture "
    "tikzcd pgfpicture xy comment filecontents CCSXML IEEEbiography IEEEbiographynophoto asy feynman "
    "forest dependency tikz axis overpic psfrags psmatrix fmfgraph fmfgraph* chessboard bibdiv mcitethebibliography "
    "diagram codi theglossary theindex keyword keywords MSCcodes AMS"
)
"""Environments that go with all they hold."""

ENVIRONMENT_ARGUMENTS = {"minipage": 1, "multicols": 1, "list": 2, "adjustwidth": 2, "spacing": 1, "addmargin": 1}
LISTS = _words("itemize enumerate description list compactitem compactenum inparaenum trivlist asparaenum "
               "asparaitem easylist enumdescript")  # fmt: skip

THEOREMS = {
    "proof": "Proof", "theorem": "Theorem", "thm": "Theorem", "lemma": "Lemma", "lem": "Lemma", "proposition": "Proposition",
    "prop": "Proposition", "corollary": "Corollary", "cor": "Corollary", "definition": "Definition", "defn": "Definition",
    "remark": "Remark", "rem": "Remark", "example": "Example", "claim": "Claim", "conjecture": "Conjecture",
    "exercise": "Exercise", "question": "Question", "observation": "Observation", "abstract": "Abstract",
}  # fmt: skip
"""Environments that begin with a word that is not in the source; a paper's own ``\\newtheorem`` adds to them."""

TEXT = {
    # Commands that stand for text.
    "ldots": "…", "dots": "…", "textellipsis": "…", "textendash": "–", "textemdash": "—", "S": "§", "P": "¶", "copyright": "©",
    "textcopyright": "©", "textregistered": "®", "texttrademark": "™", "pounds": "£", "textsterling": "£", "euro": "€",
    "texteuro": "€", "EUR": "€", "dag": "†", "ddag": "‡", "textdegree": "°", "degree": "°", "degr": "°", "textbackslash": "\\",
    "textasciitilde": "~", "textasciicircum": "^", "textunderscore": "_", "textbar": "|", "textless": "<",
    "textgreater": ">", "textbullet": "•", "textperiodcentered": "·", "textmu": "µ", "texttimes": "×", "textquoteleft": "‘",
    "textquoteright": "’", "textquotedblleft": "“", "textquotedblright": "”", "textquotesingle": "'", "guillemotleft": "«",
    "guillemotright": "»", "og": "« ", "fg": " »", "glqq": "„", "grqq": "“", "quotedblbase": "„", "slash": "/",
    "ss": "ß", "SS": "SS", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "o": "ø", "O": "Ø", "l": "ł",
    "L": "Ł", "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ", "ng": "ŋ", "TeX": "TeX",
    "LaTeX": "LaTeX", "LaTeXe": "LaTeX2e", "BibTeX": "BibTeX", "aap": "A&A", "apj": "ApJ", "mnras": "MNRAS", "quad": " ",
    "qquad": " ", "space": " ", "enspace": " ", "thinspace": " ", "nobreakspace": " ", "hfill": " ", "hfil": " ",
    "newline": "\x1e", "linebreak": "\x1e", "par": "\n\n", "bigskip": "\n\n", "medskip": "\n\n", "smallskip": "\n\n",
    "newpage": "\n\n", "clearpage": "\n\n", "endgraf": "\n\n", "centerline": "\n\n", "State": "\x1e", "STATE": "\x1e",
}  # fmt: skip
SYMBOLS = {
    "\\": "\x1e", " ": " ", "\n": " ", ",": " ", ";": " ", ":": " ", "!": "", "/": "", "-": "", "@": "", "%": "%",
    "&": "&", "#": "#", "$": "$", "_": "_", "{": "{", "}": "}", "|": "‖", ">": " ", "(": "", ")": "", "[": "", "]": "", "+": "", "\t": " ",
}  # fmt: skip
"""Commands of one sign."""

_COMBINING = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307", "u": "\u0306",
    "v": "\u030c", "H": "\u030b", "c": "\u0327", "k": "\u0328", "r": "\u030a", "d": "\u0323", "b": "\u0331", "t": "\u0361",
}  # fmt: skip
ACCENTS = frozenset(_COMBINING)


def accented(accent: str, letter: str) -> str:
    """A letter with the accent of a command such as ``\\'``; the accent goes above the first letter of several."""
    letter = letter.translate({0x131: "i", 0x237: "j"})
    if not letter:
        return ""
    return unicodedata.normalize("NFC", letter[0] + _COMBINING[accent]) + letter[1:]

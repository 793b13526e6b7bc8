"""Short language codes for the labels of language models: ``eng_Latn`` of GlotLID or NLLB is ``en``.

A label is an ISO 639-3 code, with or without the script (ISO 15924) after ``_`` or ``-``. Its short code is that of ISO
639-1 where the language, or the macrolanguage that it is the main part of, has one (``cmn`` and ``zho`` are ``zh``), else the ISO
639-3 code. A label that is short already stays as it is.
"""

from __future__ import annotations

import functools
from typing import Final

_PREFIX: Final = "__label__"

# ISO 639-3 by ISO 639-1 (all 183 languages of ISO 639-1, and sh, which it has withdrawn), and after them the individual languages
# that models name in place of a macrolanguage, each the largest or the standard one.
_SHORT: Final = """
aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel bg:bul bi:bis bm:bam
bn:ben bo:bod br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces cu:chu cv:chv cy:cym da:dan de:deu dv:div dz:dzo
ee:ewe el:ell en:eng eo:epo es:spa et:est eu:eus fa:fas ff:ful fi:fin fj:fij fo:fao fr:fra fy:fry ga:gle gd:gla gl:glg
gn:grn gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo hr:hrv ht:hat hu:hun hy:hye hz:her ia:ina id:ind ie:ile ig:ibo ii:iii
ik:ipk io:ido is:isl it:ita iu:iku ja:jpn jv:jav ka:kat kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor kr:kau
ks:kas ku:kur kv:kom kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit lu:lub lv:lav mg:mlg mh:mah mi:mri
mk:mkd ml:mal mn:mon mr:mar ms:msa mt:mlt my:mya na:nau nb:nob nd:nde ne:nep ng:ndo nl:nld nn:nno no:nor nr:nbl nv:nav
ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli pl:pol ps:pus pt:por qu:que rm:roh rn:run ro:ron ru:rus rw:kin
sa:san sc:srd sd:snd se:sme sg:sag sh:hbs si:sin sk:slk sl:slv sm:smo sn:sna so:som sq:sqi sr:srp ss:ssw st:sot su:sun
sv:swe sw:swa ta:tam te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig
uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol wa:wln wo:wol xh:xho yi:yid yo:yor za:zha zh:zho zu:zul
ar:arb az:azj et:ekk fa:pes gn:gug iu:ike ku:kmr lv:lvs mg:plt mn:khk ms:zsm ne:npi or:ory om:gaz ps:pbt qu:quy sq:als
sw:swh tl:fil uz:uzn yi:ydd zh:cmn
"""


@functools.cache
def _short_codes() -> dict[str, str]:
    return {long: short for short, _, long in (pair.partition(":") for pair in _SHORT.split())}


@functools.cache
def short_code(label: str) -> str:
    """The short code of a model's label.

    >>> short_code("__label__eng_Latn"), short_code("cmn_Hani"), short_code("yue_Hant"), short_code("zh-Hans"), short_code("en")
    ('en', 'zh', 'yue', 'zh', 'en')
    """
    language = plain(label).replace("-", "_").partition("_")[0]
    return _short_codes().get(language, language)


def plain(label: str) -> str:
    """A fastText label without the prefix that marks it as one."""
    return label.removeprefix(_PREFIX)

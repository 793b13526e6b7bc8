"""The reader of 7z archives, against archives made by 7-Zip 26.02."""

from __future__ import annotations

import base64
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.containers import sevenzip
from pipeline.sources.source import UnreadableRecord

PACKED = {
    "LZMA": (
        'H+sCUCma9-fWj7Fi2wiq00000ApigX00000pl-7>05F>hXC#ha-Uo$R7>CVs@l{()1lEO5AOHXWfinlL56`47xDV^<o&gPF1C7(-'
        '2?dR8AIioxkkGsaCOTibpm9SZ_R$NvR^;Y5Dr;my;M-7zcaS%IAwUp^b+3bPAo+_DySW-dmdHncfF1E`=&<5s+Wtrd%I1>PYASkE'
        'Z7Zzfq+*f)02c-t0SRva2MYlJ0V4we0R>$E5C8xSfRYLUF!2B9000'
    ),
    "LZMA2": (
        'H+sCUCma9-5e-t3i~s-t00000ApigX00000p{p9I-~_Y)8C?J{n+j(nj$hsfg<2Sg&2#ZpTTBGjg-;*=0001iGY75@&>hlzpFc-I'
        'EgqoRY0v+m;GE5pnUAc<^}Owg>m(cSu{bd_<vIl>O6L4^=&?LL^uKc+ktBy78V#{_-@$OKS(7&=867ezP+m+@-hma>fyNvz&C!e<'
        'so~%(HA&`njf1rS7X~2#32Oic3jqKDBLe{e1zi9T000btk_rJtVN<XG00'
    ),
    "BZip2": (
        'H+sCUCma9-Aqe=}qyPW_00000ApigX000002k^*fLRx4!F+o`-Q&|r>pl|>H$w7bs5HdtW03ZNVK)?!B7-{rHoDpgw-UzrN!4#tI'
        'NT&)C0q0Z>0001iGY75@(TNJ2ppc+)L)5Y2u3bSR1ym45!;TJz!#eZ=NlAogI(_Vb0(XvH=L$f{{h(U-8A%s?aTHSrK2RR|Kce~y'
        'K_3qdAV0CpLyuk3t#p4A1F_oz8{%X5CJR_uL{J(3SZini7X~>232Oic3jqKDBLe{e1zi9T000btk_rLT{QevO00'
    ),
    "Deflate": (
        'H+sCUCma9-4MVr{ivR!s00000ApigX00000p{dX2?ZlxC000OBLEkM)LV`db*gvd+_!H-zvY46wAGy{6004nA2d)p$4zN6*KSw*~'
        '(H?@ZBel+L;C8@bx5{WVi0|@6>V58G<!%K0?>R&sEydx3C&F)n&V&8LYtF;iHyWq<BSz4Qg>{O||3Ni>gTo>-jx<$U{C;e#A9{f|'
        'BdIj|`?wg$;-CN*1|R_mYXAoe0RRCb0|5aAT>uaO01SYV3IQ5M_W%F@'
    ),
    "PPMd": (
        'H+sCUCma9-iOlqag8%>k00000ApigX00000$$nyU0AUS3kJ@}K0F#QjQNq8U;rIXm0D&_Ht`E;A@Qeq@Lx6*V;=C+wtzJ!?&ISGX'
        '{p{rn_Mf18{!=co(<4U3I0u5KXp4@@6>{RCdnGl;AN#}pk{2%)(Wy<;{!RsPh)O{dEs5-oRqoU(#^?xJnGib<%n@~!v?8CnZZ&oU'
        'C!CrW1``1ZZ~zAj0RRCb0|5aAT>uaO01SYV3IQSm&?Nu>'
    ),
    "plain": (
        'H+sCUCma9--60j5Bme*a00000k^lez00000E4|#|-~_J#6I}o>n+j(nj$hsfg<2Sg&2#YDA^-pZ00d%XbYThr0R#pB0tp)l00#>K'
        '00AK(0RRCZAprmkgs=qw2nqpIJM0*Br{m@T00jgN0l*IdKp6@E000000000001-U^a{zS!VgLXDWdLmeZ~$}wc>pc|bO3k&bN~PV'
        'VE`@wbO3k&bN~PVa{zS!VgN4yVgN1xbO3k&bN~PV6%qje5P<DLAb_NSAb_NSAb_NS000'
    ),
}  # fmt: skip
"""A folder of ``a.txt`` (200 lines), ``sub/b.txt`` and an empty file, by method; ``plain``: not solid, header not packed."""

CONTENT = {"a.txt": b"alpha\n" * 200, "sub/b.txt": b"beta\n"}


def archive(name: str) -> bytes:
    return base64.b85decode("".join(PACKED[name]))


def unpack(data: bytes) -> dict[str, bytes]:
    return {entry.name: entry.stream.read() for entry in sevenzip.entries(io.BytesIO(data))}


@pytest.mark.parametrize("name", ["LZMA", "LZMA2", "BZip2", "Deflate", "plain"])
def test_files_of_every_method(name: str) -> None:
    assert unpack(archive(name)) == CONTENT
    sizes = {entry.name: entry.size for entry in sevenzip.entries(io.BytesIO(archive(name)))}
    assert sizes == {"a.txt": 1200, "sub/b.txt": 5}


def test_files_that_are_not_read_are_passed() -> None:
    second = [entry.stream.read() for entry in sevenzip.entries(io.BytesIO(archive("LZMA"))) if entry.name != "a.txt"]
    assert second == [b"beta\n"]


def test_a_method_that_is_not_read_is_named() -> None:
    with pytest.raises(UnreadableRecord, match="PPMd"):
        unpack(archive("PPMd"))


@pytest.mark.parametrize("name", ["LZMA", "LZMA2", "BZip2", "Deflate", "plain"])
def test_a_flipped_bit_is_never_taken_for_content(name: str) -> None:
    """Check sums cover the start header, the header and every file: whatever is changed, it is found."""
    whole = archive(name)
    found = 0
    for place in range(6, len(whole), 3):
        data = bytearray(whole)
        data[place] ^= 0x10
        try:
            assert unpack(bytes(data)) == CONTENT
        except UnreadableRecord:
            found += 1
    assert found > len(whole) / 3 * 0.8


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(sorted(PACKED)),
    cut=st.integers(0, 230),
    place=st.integers(0, 230),
    bytes_=st.binary(max_size=8),
)
def test_damage_raises_nothing_else(name: str, cut: int, place: int, bytes_: bytes) -> None:
    data = bytearray(archive(name))
    data[place : place + len(bytes_)] = bytes_
    del data[cut + 32 :]
    try:
        unpack(bytes(data))
    except UnreadableRecord as error:
        assert "7z" in str(error)

"""What an element is for, by the words in its class, id, role and the like: a bit for each group of words."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.extraction.html.names import HASH_PRIME, HASH_START, find, name_table

_WORDS: Final = {
    "hidden": "",
    "aria_hidden": "",
    "nav": "nav navi navbar navigation navigations navs subnav topnav sidenav mainnav leftnav navlist",
    "menu": "menu menus menuitem submenu dropdown megamenu hamburger offcanvas drawer menubar",
    "footer": "footer foot colophon contentinfo footnav",
    "header": "header head masthead banner topbar hdr heading",
    "sidebar": "sidebar sidebars side aside rail rightcol leftcol rightcolumn leftcolumn complementary sidebox",
    "comment": "comment comments commentlist cmt disqus livefyre respond commenting commenter",
    "share": "share sharing shares sharer shareicons addthis addtoany sharedaddy sharethis sharebar",
    "social": "social socials socialmedia facebook twitter linkedin pinterest whatsapp instagram tweet follow",
    "cookie": "cookie cookies consent gdpr ccpa onetrust cookiebot cmp",
    "ad": "ad ads adv advert adverts advertisement advertising advertise adsense adsbygoogle dfp doubleclick adslot "
    "adunit adbox sponsor sponsored sponsors taboola outbrain leaderboard skyscraper werbung anzeige",
    "promo": "promo promos promotion promotions promoted cta callout upsell offer offers teaser teasers",
    "related": "related recommend recommended recommendation recommendations similar recirc readnext seealso relates",
    "popular": "popular trending mostread latest recent top",
    "breadcrumb": "breadcrumb breadcrumbs crumb crumbs breadcrumblist bct",
    "pagination": "pagination pager paging paginate paginator prev next previous pagenav",
    "article": "article articles newsarticle blogposting reportagenewsarticle artikel",
    "content": "content contents maincontent articlecontent postcontent entrycontent",
    "main": "main primary",
    "entry": "entry hentry",
    "post": "post posts blogpost posting blog",
    "body": "body articlebody postbody text articletext prose richtext copy rte markdown wysiwyg paragraph",
    "story": "story stories storybody",
    "author": "author authors byline bio writer contributor vcard autor",
    "date": "date time datetime published pubdate datepublished timestamp posted updated dateline datum",
    "tags": "tag tags category categories keyword keywords topics taxonomy hashtag hashtags cat cats taglist",
    "caption": "caption captions figcaption credit credits",
    "gallery": "gallery carousel slider slideshow lightbox swiper slick slide slides slideshows",
    "login": "login signin signup register registration account auth password logout",
    "subscribe": "subscribe subscription subscriber newsletter newsletters mailing mailchimp optin paywall",
    "hidden_word": "hidden hide invisible",
    "screen_reader": "sr screenreader visuallyhidden screen a11y accessibility offscreen accessible",
    "modal": "modal popup popups dialog overlay tooltip toast popover alertdialog",
    "widget": "widget widgets textwidget",
    "toolbar": "toolbar tools tool actions action buttons button btn controls utility",
    "search": "search searchform searchbox query",
    "product": "product products sku shop store shopping",
    "price": "price prices pricing cart checkout basket buy wishlist",
    "review": "review reviews rating ratings stars testimonial testimonials",
    "forum": "forum forums thread threads topic board bbs phpbb vbulletin discussion discussionforumposting",
    "message": "message messages msg reply replies answer answers question questions",
    "quote": "quote quotes blockquote pullquote",
    "code": "code highlight hljs syntax syntaxhighlighter prettyprint sourcecode codehilite codeblock",
    "toc": "toc tableofcontents",
    "skip": "skip skiplink skipnav skiplinks",
    "print": "print printable noprint printonly",
    "legal": "copyright disclaimer legal terms privacy imprint trademark impressum",
    "logo": "logo logos brand branding icon icons",
    "title": "title headline subtitle hed titles headlines",
    "summary": "summary excerpt abstract lead lede intro standfirst dek deck description introduction",
    "meta": "meta metadata info infobox information",
    "image": "image images img photo photos picture pictures thumb thumbnail thumbnails figure media",
    "video": "video videos player audio embed podcast youtube vimeo videoplayer jwplayer",
    "list": "list listing listings grid card cards feed archive tile tiles items",
    "links": "link links linklist",
    "form": "form forms input field fields contact",
    "language": "language lang languages locale translate translation",
    "edit": "edit editsection",
    "reference": "reference references reflist footnote footnotes citation bibliography cite",
    "notice": "notice alert warning notification notifications notices alerts",
    "event": "event events calendar location address weather map",
    "detail": "spec specs specification specifications details detail feature features",
    "download": "download downloads app appstore apps",
}
HINTS: Final = tuple(_WORDS)
"""Names of the groups of words, by bit. ``hidden``: the attribute of this name, or a style that hides the element;
``aria_hidden``: the attribute."""

HIDDEN: Final = np.uint64(1 << HINTS.index("hidden"))
ARIA_HIDDEN: Final = np.uint64(1 << HINTS.index("aria_hidden"))

_AFFIX: Final = 5
_LONGEST: Final = 32

WORD_TABLE: Final = name_table(
    {word.encode(): 1 << bit for bit, words in enumerate(_WORDS.values()) for word in words.split()}
)


def hint(*names: str) -> int:
    """The mask of groups by name. Raises ValueError for a name that is none.

    >>> hint("hidden", "nav")
    5
    """
    mask = 0
    for name in names:
        mask |= 1 << HINTS.index(name)
    return mask


@njit(cache=True)
def words_hints(
    html: NDArray[np.uint8], start: int, stop: int, keys: NDArray[np.uint64], values: NDArray[np.uint64]
) -> np.uint64:
    """The groups of the words in ``html[start:stop]``: runs of ASCII letters, also as camelCase joins them.

    A word of more than six letters that is in no group belongs to those of the words of five letters and more that it
    begins or ends with (``sidebarright``, ``leftsidebar``).
    """
    found = np.uint64(0)
    at = start
    while at < stop:
        letter = html[at] | 32
        if letter < 97 or letter > 122:
            at += 1
            continue
        begin = at
        key = HASH_START
        affix = np.uint64(0)
        lower = False
        while at < stop:
            byte = html[at]
            letter = byte | 32
            if letter < 97 or letter > 122 or (lower and byte < 97):
                break
            lower = byte >= 97
            key = (key ^ np.uint64(letter)) * HASH_PRIME
            at += 1
        group = find(keys, values, key)
        length = at - begin
        if group == np.uint64(0) and 6 < length <= _LONGEST:
            key = HASH_START
            for place in range(begin, at):
                key = (key ^ np.uint64(html[place] | 32)) * HASH_PRIME
                if place - begin + 1 >= _AFFIX:
                    affix |= find(keys, values, key)
            for first in range(begin + 1, at - _AFFIX + 1):
                key = HASH_START
                for place in range(first, at):
                    key = (key ^ np.uint64(html[place] | 32)) * HASH_PRIME
                affix |= find(keys, values, key)
            group = affix
        found |= group
    return found


@njit(cache=True)
def style_hides(html: NDArray[np.uint8], start: int, stop: int) -> bool:
    """Whether a style in ``html[start:stop]`` says ``display: none`` or ``visibility: hidden``."""
    key = np.uint64(0)
    for at in range(start, stop):
        byte = html[at]
        if byte == 59:  # ;
            key = np.uint64(0)
        elif byte > 32:
            key = (key ^ np.uint64(byte | 32)) * HASH_PRIME
            if key in (_NO_DISPLAY, _NOT_VISIBLE):
                return True
    return False


def _style_key(declaration: str) -> np.uint64:
    key = 0
    for byte in declaration.encode():
        key = ((key ^ (byte | 32)) * int(HASH_PRIME)) & 0xFFFFFFFFFFFFFFFF
    return np.uint64(key)


_NO_DISPLAY: Final = _style_key("display:none")
_NOT_VISIBLE: Final = _style_key("visibility:hidden")

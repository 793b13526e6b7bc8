"""The part of a source's settings that picks its pages by a list of links, as WebText does (Radford et al. 2019).

A page is kept if its address is on the list: one that people have shared, and that others found worth some points.
``pipeline.links`` makes the list, ``prepare`` asks it.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pipeline.sources.source import Source

NOT_LISTED = "links.not_listed"
"""Why a page that no link led to is removed."""


class Links(BaseModel):
    """Which submissions to Reddit count. Files of addresses alone, one a line, count as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    links: tuple[str, ...] = Field(
        min_length=1,
        description="files or patterns: submissions as lines of JSON (Pushshift's RS_*), or an address a line; "
        "also as .gz, .bz2, .xz or .zst",
    )
    min_score: int = Field(3, description="points a submission needs (WebText: 3)")
    adult: bool = Field(False, description="whether submissions that are marked as not for minors count")
    removed: bool = Field(False, description="whether submissions that were removed or deleted count")
    exclude_domains: tuple[str, ...] = Field(
        (
            "reddit.com", "redd.it", "redditmedia.com", "redditstatic.com", "imgur.com", "gfycat.com", "giphy.com",
            "tumblr.com", "flickr.com", "flic.kr", "deviantart.com", "instagram.com", "pinterest.com", "tinypic.com",
            "photobucket.com", "imageshack.us", "postimg.org", "youtube.com", "youtu.be", "vimeo.com",
            "dailymotion.com", "liveleak.com", "streamable.com", "vid.me", "twitch.tv", "tiktok.com", "spotify.com",
            "soundcloud.com", "twitter.com", "x.com", "facebook.com", "discord.gg",
        ),
        description="domains, with all below them, whose links don't count: Reddit itself, pictures, films, chats",
    )  # fmt: skip


class Pages(Source):
    """The base of sources whose records have addresses."""

    select: Links | None = Field(
        None, description="keep only pages that a list of links leads to; see [select](#select). null: all pages"
    )

    def reads_besides(self) -> tuple[str, ...]:
        """The files of links count as input."""
        return self.select.links if self.select else ()

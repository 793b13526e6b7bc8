"""Personal data: found by presidio's recognizers behind cheap gates, judged by the recipe, and rewritten.

One module a family of entities (``network``, ``phones``, ``finance``, ``identity``, ``credentials``, ``names``,
``places``), ``gates`` and ``anchors`` in front of them, ``redactor`` over all. docs/pii.md says what is found.
"""

from filters.pii.matches import Match, resolve
from filters.pii.redactor import Redactor
from filters.pii.settings import ANYWHERE, ENTITIES, Entity, PiiSettings, Place

__all__ = ["ANYWHERE", "ENTITIES", "Entity", "Match", "PiiSettings", "Place", "Redactor", "resolve"]

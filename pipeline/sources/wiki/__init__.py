"""Wikipedia dumps and the text of wikitext."""

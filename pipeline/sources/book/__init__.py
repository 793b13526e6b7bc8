"""Books in every form read as prose: plain text, Project Gutenberg, XHTML, EPUB and TEI."""

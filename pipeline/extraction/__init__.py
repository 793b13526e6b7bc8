"""From the bytes that a web server sent to the text of a page: codings, charset, main content."""

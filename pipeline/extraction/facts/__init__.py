"""What a page says about itself: title, author, date, address, language."""

"""What a document is, and every way to measure, judge and clean its text: text in, numbers or text out. No Beam, no files."""

"""Web crawls: WARC, ARC and WET files, CommonCrawl by name, and pages selected by links."""

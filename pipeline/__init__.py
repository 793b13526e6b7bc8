"""Everything that knows Beam or files: recipe, sources, the stages, dedup, the runners, the command line, the report."""

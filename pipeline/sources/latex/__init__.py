"""LaTeX and plain TeX read as prose: finding and inlining a paper's files, expanding its macros, rendering its text."""

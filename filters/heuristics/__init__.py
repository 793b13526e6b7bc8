"""Rules of single publications: RefinedWeb, MADLAD-400, RedPajama v2, Dolma, NeMo Curator, Data-Juicer."""

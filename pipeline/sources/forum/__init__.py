"""Questions and answers: Stack Exchange dumps."""

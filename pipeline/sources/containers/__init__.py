"""What files are packed in: compressed streams, archives, and lines."""

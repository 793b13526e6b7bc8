"""The rules as datatrove defines them, where its definition is not ours: FineWeb was made with these."""

"""Array formats: each reads a call from a body and writes an answer to bytes."""

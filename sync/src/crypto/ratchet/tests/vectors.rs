//! Vectors: of another implementation for root and message chains, of our own for the rest.

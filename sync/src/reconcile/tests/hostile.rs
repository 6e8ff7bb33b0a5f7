//! What a hostile peer may try.

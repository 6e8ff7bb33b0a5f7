//! The terminal itself: what is switched on at the start is switched off however the interface ends.

//! Aggregates, events, rules and the event codec: pure and synchronous.

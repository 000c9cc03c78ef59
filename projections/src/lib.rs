//! The read side: one file per view.

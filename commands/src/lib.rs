//! The write side: commands decided, appended and answered.

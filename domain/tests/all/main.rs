//! The domain held against what it promises beyond single rules: the stored contract, and properties over random
//! histories. One binary.

mod golden;
mod history;
mod members;
mod model;
mod properties;

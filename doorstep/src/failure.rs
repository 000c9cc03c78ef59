//! How a subcommand ends when it does not succeed, and the exit status that tells so.
//!
//! Status 1 is work that failed, 2 is a command line (or configuration) that asks for something this program cannot
//! mean. Words go to standard error; standard output stays for data.

use std::fmt;

/// Why a subcommand did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage: nothing was tried. Exit status 2.
    Usage(String),
    /// The work was tried and failed. Exit status 1.
    Failed(anyhow::Error),
    /// The work was done to its end, and what was wrong has been told already. Exit status 1.
    Told,
}

impl Failure {
    /// Wrong usage, in words.
    pub(crate) fn usage(words: impl fmt::Display) -> Self {
        Self::Usage(words.to_string())
    }

    /// The exit status: 1 failed, 2 wrong usage.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) | Self::Told => 1,
        }
    }
}

/// An error with what it comes from, each told once: some errors tell their cause in their own words.
pub(crate) fn words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain() {
        let told = cause.to_string();
        if words.is_empty() {
            words = told;
        } else if !words.ends_with(&told) {
            words = format!("{words}: {told}");
        }
    }
    words
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What every subcommand returns.
pub(crate) type Done = Result<(), Failure>;

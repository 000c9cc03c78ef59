//! Data on standard output. Where it cannot be written, that is told as any other failure, with status 1.

use std::fmt;
use std::io::Write as _;

use anyhow::Context as _;

/// Prints one line.
pub(crate) fn line(text: impl fmt::Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .context("standard output cannot be written")
}

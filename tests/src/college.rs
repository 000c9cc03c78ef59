//! The real messages that the project's owners share: where the two files are.
//!
//! They lie beside the repository, at `../shared/data` from its root, or where `DOORSTEP_SHARED_DATA` says.

use std::path::PathBuf;

/// The folder of the shared data.
///
/// # Panics
/// When it is not there: a test over real input fails rather than passes on nothing.
pub fn folder() -> PathBuf {
    let folder = std::env::var_os("DOORSTEP_SHARED_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    assert!(
        folder.join("college-messages.txt").is_file(),
        "no shared data in {}: set DOORSTEP_SHARED_DATA to the folder with college-messages.txt and sms-texts.tsv",
        folder.display()
    );
    folder
}

/// Who wrote to whom, and when: `src dst time` a line below a header.
pub fn messages() -> PathBuf {
    folder().join("college-messages.txt")
}

/// What they wrote, in turn: `ham` or `spam`, a tab, a text a line.
pub fn texts() -> PathBuf {
    folder().join("sms-texts.tsv")
}

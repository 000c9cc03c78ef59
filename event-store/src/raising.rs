//! The raising of a log's schema level: by hand, at rest, once no program reads the log any more that knows less.
//!
//! A log is written in the types and versions of its level. Raising it changes one number in the identity, whole or not at
//! all; no event is touched. There is no way back: what is written from then on, older programs cannot read.

use std::path::Path;

use crate::backend::{Backend, RealBackend};
use crate::error::OpenError;
use crate::recovery::{read_identity, write_file};
use crate::{LogId, copied, embedded, files};

/// A log's schema level, and what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// The log.
    pub log_id: LogId,
    /// Its level until now.
    pub before: u32,
    /// Its level from here on.
    pub level: u32,
}

/// Raises the log of a data folder to a level, the newest that this program knows. One that is there already stays as it
/// is; one above it is refused, as is a folder that is in use, and a backup.
pub fn raise_level(data_dir: impl AsRef<Path>, level: u32) -> Result<Raised, OpenError> {
    raise_level_with(&RealBackend, data_dir.as_ref(), level)
}

/// The same on another file system.
pub fn raise_level_with(
    backend: &dyn Backend,
    data_dir: &Path,
    level: u32,
) -> Result<Raised, OpenError> {
    if copied::is_backup(backend, data_dir) {
        return Err(OpenError::Backup {
            dir: data_dir.to_owned(),
        });
    }
    let _lock = embedded::lock(backend, data_dir)?;
    let log = data_dir.join("log");
    let mut identity = read_identity(backend, &log)?;
    let before = identity.schema_level;
    if before > level {
        return Err(OpenError::SchemaLevel {
            found: before,
            known: level,
        });
    }
    if before < level {
        identity.schema_level = level;
        write_file(backend, &log, files::IDENTITY, identity.render().as_bytes())?;
    }
    Ok(Raised {
        log_id: identity.log_id,
        before,
        level,
    })
}

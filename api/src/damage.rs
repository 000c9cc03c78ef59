//! Damage of the log, as the interface meets it: logged with its place, counted, told, and remembered.
//!
//! Whoever meets it first, a reading, a query, a backup or a verification, makes the service not ready until it is
//! started again: what is damaged stays so, and somebody has to look. The log names the file; of who is told over the
//! network a reader of events learns the position, an operator the place, everybody else neither.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use event_store::{BackupError, EventStore, OpenError, Position, ReadError, damage};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::problem::{ApiError, Code};

/// What was found since the service started.
#[derive(Debug, Default)]
pub(crate) struct Found(AtomicBool);

impl Found {
    /// Notes what does not check.
    pub(crate) fn note(&self, place: &Place<'_>) {
        let Place { file, offset, what } = place;
        tracing::error!(file = %file.display(), offset, what, "the log is damaged");
        metrics::counter!("doorstep_store_damage_found_total").increment(1);
        self.0.store(true, Ordering::Relaxed);
    }

    /// Notes what the views met, once.
    pub(crate) fn note_of_views(&self, unread: Option<ReadError>) {
        if let Some(ReadError::Damaged { file, offset, what }) = unread
            && self.reason().is_none()
        {
            self.note(&Place {
                file: &file,
                offset,
                what: &what,
            });
        }
    }

    /// Why the service is not ready because of it.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        self.0.load(Ordering::Relaxed).then_some(
            "the log is damaged, where the service's own log says; the service stays unready until it is started again on a whole log",
        )
    }
}

/// Where a log does not check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a Path,
    /// The byte where the damaged piece begins.
    pub(crate) offset: u64,
    /// What does not check.
    pub(crate) what: &'a str,
}

/// The same, on its way out of a query.
#[derive(Clone, Debug)]
pub(crate) struct FoundPlace {
    file: PathBuf,
    offset: u64,
    what: String,
}

impl FoundPlace {
    /// The place that a failed reading of the log tells of, if it met damage.
    pub(crate) fn of_reading(error: &anyhow::Error) -> Option<Self> {
        match error.downcast_ref()? {
            ReadError::Damaged { file, offset, what } => Some(Self {
                file: file.clone(),
                offset: *offset,
                what: what.clone(),
            }),
            ReadError::Closed
            | ReadError::Io { .. }
            | ReadError::Unavailable { .. }
            | ReadError::Foreign { .. } => None,
        }
    }
}

impl<'a> From<&'a FoundPlace> for Place<'a> {
    fn from(found: &'a FoundPlace) -> Self {
        Self {
            file: &found.file,
            offset: found.offset,
            what: &found.what,
        }
    }
}

impl<'a> Place<'a> {
    /// The place that a report of a verification names.
    pub(crate) fn of_report(report: &'a Value) -> Option<Self> {
        let damage = report.get("damage")?;
        Some(Self {
            file: Path::new(damage.get("file")?.as_str()?),
            offset: damage.get("offset")?.as_u64()?,
            what: damage.get("what")?.as_str()?,
        })
    }

    /// The place that a backup came upon.
    pub(crate) fn of_backup(error: &'a anyhow::Error) -> Option<Self> {
        match error.downcast_ref()? {
            BackupError::Log(OpenError::Damaged { file, offset, what }) => Some(Self {
                file,
                offset: *offset,
                what,
            }),
            BackupError::Log(_)
            | BackupError::NotEmpty(_)
            | BackupError::NoRoom { .. }
            | BackupError::Manifest { .. }
            | BackupError::Differs { .. }
            | BackupError::Io { .. } => None,
        }
    }
}

/// Why a reading of the log came to no end.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Broken {
    /// `damaged`; `not_ready` where the service stops, `store_unavailable` where the log is elsewhere and not reached,
    /// `internal` for any other failure.
    pub(crate) code: Code,
    /// In words.
    pub(crate) detail: String,
    /// Where the log is damaged: the first event that cannot be read. Null where that is not known.
    pub(crate) position: Option<u64>,
}

impl Broken {
    /// What a reading that had come to `after` is told.
    pub(crate) async fn of(
        error: &ReadError,
        store: &dyn EventStore,
        found: &Found,
        after: Position,
    ) -> Self {
        let (code, detail, position) = match error {
            ReadError::Damaged { file, offset, what } => {
                found.note(&Place {
                    file,
                    offset: *offset,
                    what,
                });
                let position = damage::first_damaged(store, after).await;
                let place = match position {
                    Some(position) => format!("at position {position}"),
                    None => format!("after position {after}"),
                };
                let detail = format!("The log is damaged {place}; what stands before can be read.");
                (Code::Damaged, detail, position.map(|position| position.0))
            }
            ReadError::Closed => (Code::NotReady, "The service stops.".to_owned(), None),
            ReadError::Unavailable { .. } => {
                tracing::warn!(%error, "the log cannot be read");
                let code = Code::StoreUnavailable;
                (code, code.title().to_owned(), None)
            }
            ReadError::Io { .. } | ReadError::Foreign { .. } => {
                tracing::error!(%error, "the log cannot be read");
                (Code::Internal, Code::Internal.title().to_owned(), None)
            }
        };
        Self {
            code,
            detail,
            position,
        }
    }

    /// The last line of an answer that began well.
    pub(crate) fn line(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Line<'a> {
            error: &'a Broken,
        }
        let mut line = serde_json::to_vec(&Line { error: self }).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

impl From<Broken> for ApiError {
    fn from(broken: Broken) -> Self {
        ApiError::with_detail(broken.code, broken.detail)
    }
}

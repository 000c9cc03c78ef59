//! Who a log is: its id, the ids it had before it was restored, its schema level.
//!
//! A few lines of text under a checksum, read whole and compared with their own rendering, so that
//! no changed byte passes. Segments written under an earlier id keep it in their headers.

use std::fmt::Write;

use uuid::Uuid;

use crate::LogId;
use crate::batch::FORMAT;

/// A log's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) log_id: LogId,
    pub(crate) schema_level: u32,
    /// Earlier ids, oldest first, each with the last position written under it.
    pub(crate) earlier: Vec<(LogId, u64)>,
}

impl Identity {
    pub(crate) fn render(&self) -> String {
        let mut text = format!(
            "doorstep-log {FORMAT}\nlog-id {}\nschema-level {}\n",
            self.log_id, self.schema_level
        );
        for (log_id, through) in &self.earlier {
            // Writing to a String does not fail.
            let _ = writeln!(text, "earlier {log_id} through {through}");
        }
        let checksum = crc32c::crc32c(text.as_bytes());
        let _ = writeln!(text, "crc32c {checksum:08x}");
        text
    }

    /// Reads an identity; the error is the format found, or none where the text is damaged.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Option<u32>> {
        let text = std::str::from_utf8(bytes).map_err(|_| None)?;
        let mut lines = text.lines();
        let mut value = |key: &str| {
            lines
                .next()
                .and_then(|line| line.strip_prefix(key))
                .map(str::to_owned)
                .ok_or(None)
        };
        let format: u32 = value("doorstep-log ")?.parse().map_err(|_| None)?;
        if format != FORMAT && checksum_stands(text) {
            return Err(Some(format));
        }
        let log_id = LogId(value("log-id ")?.parse().map_err(|_| None)?);
        let schema_level = value("schema-level ")?.parse().map_err(|_| None)?;
        let mut earlier = Vec::new();
        for line in lines {
            let Some(line) = line.strip_prefix("earlier ") else {
                break;
            };
            let (id, through) = line.split_once(" through ").ok_or(None)?;
            let id: Uuid = id.parse().map_err(|_| None)?;
            earlier.push((LogId(id), through.parse().map_err(|_| None)?));
        }
        let identity = Self {
            log_id,
            schema_level,
            earlier,
        };
        if identity.render() == text {
            Ok(identity)
        } else {
            Err(None)
        }
    }

    /// The id under which the event at this position was written.
    pub(crate) fn written_as(&self, position: u64) -> LogId {
        self.earlier
            .iter()
            .find(|(_, through)| position <= *through)
            .map_or(self.log_id, |(log_id, _)| *log_id)
    }
}

fn checksum_stands(text: &str) -> bool {
    text.rfind("crc32c ").is_some_and(|at| {
        let (before, line) = text.split_at(at);
        line == format!("crc32c {:08x}\n", crc32c::crc32c(before.as_bytes()))
    })
}

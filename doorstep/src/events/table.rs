//! Events as the rows of a Parquet file: one column for each field of the lines that `events` prints, by the same name.
//!
//! A row is made from its line, so the file cannot say anything else. Ids are text, as everywhere else; times are moments
//! in UTC, numbers unsigned, `members` a list, `data` JSON as it was stored, null where a store that was tampered with
//! holds something else. Rows are gathered into groups of a bounded size, so that memory does not grow with the log.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use chrono::DateTime;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Rows of a group at most: what a reader of the file has to go through for one row.
const GROUP_EVENTS_MAX: usize = 64 * 1024;
/// Bytes of texts after which a group ends: what is held in memory, about twice.
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The columns, in the order of the lines' fields.
const SCHEMA: &str = "message event {
    REQUIRED BYTE_ARRAY log_id (STRING);
    REQUIRED INT64 position (INTEGER(64, false));
    REQUIRED BYTE_ARRAY stream (STRING);
    REQUIRED INT64 version (INTEGER(64, false));
    REQUIRED BYTE_ARRAY event_id (STRING);
    REQUIRED BYTE_ARRAY type (STRING);
    REQUIRED INT64 at (TIMESTAMP(MILLIS, true));
    REQUIRED INT64 recorded_at (TIMESTAMP(MILLIS, true));
    REQUIRED BYTE_ARRAY command_id (STRING);
    REQUIRED BYTE_ARRAY correlation_id (STRING);
    REQUIRED BYTE_ARRAY causation_id (STRING);
    REQUIRED BYTE_ARRAY actor (STRING);
    REQUIRED GROUP members (LIST) {
        REPEATED GROUP list {
            REQUIRED BYTE_ARRAY element (STRING);
        }
    }
    OPTIONAL INT64 last_number (INTEGER(64, false));
    OPTIONAL BYTE_ARRAY data (JSON);
}";

/// A line, as `api::event_json` writes it.
#[derive(Deserialize)]
struct Row<'a> {
    log_id: &'a str,
    position: u64,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    version: u64,
    event_id: &'a str,
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    at: &'a str,
    recorded_at: &'a str,
    #[serde(borrow)]
    command_id: Cow<'a, str>,
    correlation_id: &'a str,
    causation_id: &'a str,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    members: Vec<Cow<'a, str>>,
    last_number: Option<u64>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A Parquet file that is being written.
pub(crate) struct Table<W: Write + Send> {
    file: SerializedFileWriter<W>,
    rows: Rows,
}

/// The rows of the group to come, by column.
#[derive(Default)]
struct Rows {
    count: usize,
    log_id: Texts,
    position: Numbers,
    stream: Texts,
    version: Numbers,
    event_id: Texts,
    event_type: Texts,
    at: Numbers,
    recorded_at: Numbers,
    command_id: Texts,
    correlation_id: Texts,
    causation_id: Texts,
    actor: Texts,
    members: Texts,
    last_number: Numbers,
    data: Texts,
}

/// A column of texts: one after the other, and where each ends.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    levels: Levels,
}

/// A column of numbers.
#[derive(Default)]
struct Numbers {
    values: Vec<i64>,
    levels: Levels,
}

/// Whether a value is there, and whether it goes on with the list of the row before; empty where every row has one value.
#[derive(Default)]
struct Levels {
    defined: Vec<i16>,
    repeated: Vec<i16>,
}

impl<W: Write + Send> Table<W> {
    /// An empty file.
    pub(crate) fn new(out: W) -> anyhow::Result<Self> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        // Texts that never come twice gain nothing from a dictionary.
        let properties = WriterProperties::builder()
            .set_created_by(concat!("doorstep ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::SNAPPY)
            .set_column_dictionary_enabled("event_id".into(), false)
            .set_column_dictionary_enabled("data".into(), false)
            .set_column_dictionary_enabled("position".into(), false)
            .build();
        Ok(Self {
            file: SerializedFileWriter::new(out, schema, Arc::new(properties))?,
            rows: Rows::default(),
        })
    }

    /// Adds the event of a line.
    pub(crate) fn take(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let row: Row<'_> = serde_json::from_slice(line).context("a line is no event")?;
        self.rows.take(&row)?;
        if self.rows.count >= GROUP_EVENTS_MAX || self.rows.bytes() >= GROUP_BYTES_MAX {
            self.end_group()?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> anyhow::Result<()> {
        if self.rows.count > 0 {
            let mut group = self.file.next_row_group()?;
            std::mem::take(&mut self.rows).write(&mut group)?;
            group.close()?;
        }
        Ok(())
    }

    /// Ends the file, and gives what it was written to.
    pub(crate) fn finish(mut self) -> anyhow::Result<W> {
        self.end_group()?;
        Ok(self.file.into_inner()?)
    }
}

impl Rows {
    fn take(&mut self, row: &Row<'_>) -> anyhow::Result<()> {
        let (at, recorded_at) = (moment(row.at)?, moment(row.recorded_at)?);
        self.count += 1;
        self.log_id.put(row.log_id);
        self.position.put(row.position.cast_signed());
        self.stream.put(&row.stream);
        self.version.put(row.version.cast_signed());
        self.event_id.put(row.event_id);
        self.event_type.put(&row.event_type);
        self.at.put(at);
        self.recorded_at.put(recorded_at);
        self.command_id.put(&row.command_id);
        self.correlation_id.put(row.correlation_id);
        self.causation_id.put(row.causation_id);
        self.actor.put(&row.actor);
        for (index, member) in row.members.iter().enumerate() {
            self.members.put(member);
            self.members.levels.put(1, i16::from(index > 0));
        }
        if row.members.is_empty() {
            self.members.levels.put(0, 0);
        }
        if let Some(number) = row.last_number {
            self.last_number.put(number.cast_signed());
        }
        let is_there = |there: bool| i16::from(there);
        self.last_number
            .levels
            .define(is_there(row.last_number.is_some()));
        let data = Some(row.data.get()).filter(|data| *data != "null");
        if let Some(data) = data {
            self.data.put(data);
        }
        self.data.levels.define(is_there(data.is_some()));
        Ok(())
    }

    /// Bytes of texts, which are nearly all of what is held.
    fn bytes(&self) -> usize {
        let texts = [
            &self.log_id,
            &self.stream,
            &self.event_id,
            &self.event_type,
            &self.command_id,
            &self.correlation_id,
            &self.causation_id,
            &self.actor,
            &self.members,
            &self.data,
        ];
        texts.iter().map(|texts| texts.bytes.len()).sum()
    }

    /// Writes the columns in the order of the schema.
    fn write<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> anyhow::Result<()> {
        self.log_id.write(group)?;
        self.position.write(group)?;
        self.stream.write(group)?;
        self.version.write(group)?;
        self.event_id.write(group)?;
        self.event_type.write(group)?;
        self.at.write(group)?;
        self.recorded_at.write(group)?;
        self.command_id.write(group)?;
        self.correlation_id.write(group)?;
        self.causation_id.write(group)?;
        self.actor.write(group)?;
        self.members.write(group)?;
        self.last_number.write(group)?;
        self.data.write(group)
    }
}

impl Texts {
    fn put(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
    }

    fn write<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> anyhow::Result<()> {
        let bytes = Bytes::from(self.bytes);
        let mut begin = 0;
        let mut values = Vec::with_capacity(self.ends.len());
        for end in self.ends {
            values.push(ByteArray::from(bytes.slice(begin..end)));
            begin = end;
        }
        let mut column = group
            .next_column()?
            .context("the schema has no such column")?;
        let (defined, repeated) = self.levels.told();
        column
            .typed::<ByteArrayType>()
            .write_batch(&values, defined, repeated)?;
        Ok(column.close()?)
    }
}

impl Numbers {
    fn put(&mut self, value: i64) {
        self.values.push(value);
    }

    fn write<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> anyhow::Result<()> {
        let mut column = group
            .next_column()?
            .context("the schema has no such column")?;
        let (defined, repeated) = self.levels.told();
        column
            .typed::<Int64Type>()
            .write_batch(&self.values, defined, repeated)?;
        Ok(column.close()?)
    }
}

impl Levels {
    fn put(&mut self, defined: i16, repeated: i16) {
        self.defined.push(defined);
        self.repeated.push(repeated);
    }

    fn define(&mut self, defined: i16) {
        self.defined.push(defined);
    }

    fn told(&self) -> (Option<&[i16]>, Option<&[i16]>) {
        let told = |levels| Some(levels).filter(|levels: &&[i16]| !levels.is_empty());
        (told(&self.defined), told(&self.repeated))
    }
}

/// The milliseconds since the Unix epoch of a time in a line.
fn moment(text: &str) -> anyhow::Result<i64> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_millis())
        .with_context(|| format!("{text} is no time"))
}

#[cfg(test)]
mod spec {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    use super::*;

    /// The rows of each group of a file of these many lines, whose data are so long.
    fn groups(lines: u64, data_bytes: usize) -> Vec<i64> {
        let data = "x".repeat(data_bytes);
        let id = "5a1b6c1e-6f0c-5d0e-9a54-2f6a4a1f8c01";
        let time = "2004-01-02T10:00:00.000Z";
        let mut table = Table::new(Vec::new()).unwrap();
        for position in 1..=lines {
            let line = format!(
                r#"{{"log_id":"{id}","position":{position},"stream":"s","version":0,"event_id":"{id}","type":"t.v1","at":"{time}","recorded_at":"{time}","command_id":"c","correlation_id":"{id}","causation_id":"{id}","actor":"a","members":[],"data":"{data}"}}"#
            );
            table.take(line.as_bytes()).unwrap();
        }
        let file = Bytes::from(table.finish().unwrap());
        let reader = SerializedFileReader::new(file).unwrap();
        let groups = reader.metadata().row_groups().iter();
        groups
            .map(parquet::file::metadata::RowGroupMetaData::num_rows)
            .collect()
    }

    #[test]
    fn a_group_ends_after_so_many_rows_or_bytes_and_an_empty_file_is_one() {
        let most = i64::try_from(GROUP_EVENTS_MAX).unwrap();
        assert_eq!(groups(0, 0), [0_i64; 0]);
        assert_eq!(groups(3, 0), [3]);
        assert_eq!(groups(u64::try_from(most).unwrap() + 1, 0), [most, 1]);
        let long = groups(100, 250 * 1024);
        assert_eq!(long.iter().sum::<i64>(), 100);
        assert!(
            long.len() == 2 && long.iter().all(|rows| *rows < 70),
            "{long:?}"
        );
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let mut table = Table::new(Vec::new()).unwrap();
        assert!(table.take(b"{}").is_err());
        assert!(table.take(b"no JSON").is_err());
    }
}

//! The names of the log's files, all in the folder `log`.

/// Who the log is.
pub(crate) const IDENTITY: &str = "identity";
/// How far the log is durable.
pub(crate) const MARK: &str = "mark";
/// The next segment, zero-filled and not yet part of the log.
pub(crate) const PREPARED: &str = "prepared";
/// What a file is called while it is being written.
pub(crate) const UNFINISHED: &str = "unfinished";

/// A segment, named by the position of its first event.
pub(crate) fn segment_name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// A sealed segment's footer.
pub(crate) fn footer_name(first: u64) -> String {
    format!("{first:020}.idx")
}

/// Bytes set aside when the tail did not check.
pub(crate) fn torn_name(position: u64) -> String {
    format!("torn-{position}")
}

/// The first position of the segment a file name names.
pub(crate) fn segment_of_name(name: &str) -> Option<u64> {
    let first = name.strip_suffix(".seg")?.parse().ok()?;
    (segment_name(first) == name).then_some(first)
}

/// The first position of the segment that a footer's name names.
pub(crate) fn footer_of_name(name: &str) -> Option<u64> {
    let first = name.strip_suffix(".idx")?.parse().ok()?;
    (footer_name(first) == name).then_some(first)
}

//! What is wrong with a line, in the words of the interface: the parser's own are not told.
//!
//! A command is told by its name and read by its fields, so that the parser does not say which field it did not like:
//! each is read by itself to find it. A field of one name is of one kind in every command.

use domain::act::SeenCase;
use domain::case::Category;
use domain::conversation::{Also, DeleteMode, RelationshipKind};
use domain::ids::{MemberId, ReasonCode};
use domain::member::AgeBand;
use domain::policy::Audience;
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::error::Category as Kind;
use serde_json::{Map, Value};

use super::{At, NO_TIME, Relationship};

/// What the parser leaves out of the commands, because it is read apart.
const READ_APART: &str = "`ChangePolicy`";

/// Of a text that is no object of fields.
pub(super) fn of_text(error: &serde_json::Error) -> serde_json::Error {
    match error.classify() {
        Kind::Syntax => told(format!("it is no JSON, from column {} on", error.column())),
        Kind::Eof => told("it is no whole JSON: it breaks off at its end"),
        Kind::Data | Kind::Io => of_field("", &error.to_string()),
    }
}

/// Of an object that is none of the commands.
pub(super) fn of_command(
    fields: &Map<String, Value>,
    error: &serde_json::Error,
) -> serde_json::Error {
    let said = error.to_string();
    let of_name = fields.iter().find_map(|(name, value)| {
        let said = not_read(name, value)?.to_string();
        Some(of_field(name, &said))
    });
    let field = if said.starts_with("unknown variant") {
        "command"
    } else {
        ""
    };
    of_name.unwrap_or_else(|| of_field(field, &said))
}

/// Of the value at this path, of which the parser said this.
pub(super) fn of_field(path: &str, said: &str) -> serde_json::Error {
    if said == NO_TIME {
        return told(format!(
            "`{path}`: It has to be an RFC 3339 time, such as 2004-01-02T10:00:00Z."
        ));
    }
    let error = api::fields::told(path, said);
    let mut message = error.message;
    if path == "command" && said.starts_with("unknown variant") {
        message = format!("{}, {READ_APART}.", message.trim_end_matches('.'));
    }
    if path.is_empty() && error.field == api::problem::WHOLE_BODY {
        told(format!("the line: {message}"))
    } else {
        told(format!("`{}`: {message}", error.field))
    }
}

fn told(words: impl std::fmt::Display) -> serde_json::Error {
    serde_json::Error::custom(words)
}

/// Why a field cannot be read, by its name; none where it can, or where no command has it.
fn not_read(name: &str, value: &Value) -> Option<serde_json::Error> {
    fn read<'a, T: Deserialize<'a>>(value: &'a Value) -> Option<serde_json::Error> {
        T::deserialize(value).err()
    }
    match name {
        "member" | "to" | "with" | "other" => read::<MemberId>(value),
        "registered_at" | "until" => read::<Option<At>>(value),
        "text" | "comment" | "command" => read::<String>(value),
        "number" | "up_to" => read::<u64>(value),
        "messages" => read::<Vec<u64>>(value),
        "cases" => read::<Vec<SeenCase>>(value),
        "per_day" => read::<u32>(value),
        "relationship" => read::<Option<Relationship>>(value),
        "reason" => read::<ReasonCode>(value),
        "category" => read::<Category>(value),
        "also" => read::<Also>(value),
        "mode" => read::<DeleteMode>(value),
        "kind" => read::<RelationshipKind>(value),
        "audience" => read::<Audience>(value),
        "age_band" => read::<AgeBand>(value),
        _ => None,
    }
}

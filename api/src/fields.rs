//! What is wrong with a field, in words of the interface: the parser's own never leave the service.
//!
//! The parser tells by a few fixed forms of sentences (those of `serde`) what it wanted and what it got. They are taken
//! apart here, and told again without the names of types inside, the value that was given, or a place in the source.
//! A form that is not known is told as *not what is needed*.

use crate::problem::{FieldCode, FieldError, WHOLE_BODY};

/// What a parser said of the value at `path` (`.` or nothing is the whole), as the client is told it.
pub fn told(path: &str, said: &str) -> FieldError {
    let path = path.trim_matches('.');
    let said = without_place(said);
    let named = quoted(said).unwrap_or_default();
    let rest = said.split_once(", expected ").map(|(_, rest)| rest);
    if said.starts_with("missing field") {
        return error(join(path, named), FieldCode::Missing, "It is missing.");
    }
    if said.starts_with("unknown field") {
        let known = rest.filter(|rest| rest.contains('`')).map_or_else(
            || "There is no such field.".to_owned(),
            |known| {
                let known = known
                    .strip_prefix("one of ")
                    .unwrap_or(known)
                    .replace("` or `", "`, `");
                format!("There is no such field; known are {known}.")
            },
        );
        return error(join(path, named), FieldCode::Unknown, known);
    }
    if said.starts_with("duplicate field") {
        return error(
            join(path, named),
            FieldCode::Repeated,
            "It is given more than once.",
        );
    }
    if said.starts_with("unknown variant") {
        let words = rest.unwrap_or("those of the document");
        let words = words.strip_prefix("one of ").unwrap_or(words);
        return error(
            path,
            FieldCode::NotOneOf,
            format!("It is none of the words that are accepted: {words}."),
        );
    }
    let wanted = wanted(rest.unwrap_or_default());
    if said.starts_with("invalid value") || said.starts_with("invalid length") {
        return error(
            path,
            FieldCode::OutOfRange,
            format!("It has to be {wanted}."),
        );
    }
    if let Some(got) = said.strip_prefix("invalid type: ") {
        let got = kind(got);
        return error(
            path,
            FieldCode::WrongType,
            format!("It is {got}, and has to be {wanted}."),
        );
    }
    let wanted = match said {
        "not a member id" => MEMBER_ID,
        "not a reason code" => REASON_CODE,
        _ => "what the document says of it",
    };
    error(
        path,
        FieldCode::Malformed,
        format!("It has to be {wanted}."),
    )
}

/// What a member's id is, in words.
pub(crate) const MEMBER_ID: &str = "a member's id: 1-128 characters of `A-Z a-z 0-9 . _ : -`";
const REASON_CODE: &str = "a code: 1-64 characters of `a-z 0-9 _`";

fn error(field: impl Into<String>, code: FieldCode, message: impl Into<String>) -> FieldError {
    let field = field.into();
    FieldError {
        field: if field.is_empty() {
            WHOLE_BODY.to_owned()
        } else {
            field
        },
        code,
        message: message.into(),
    }
}

/// The parser puts a place behind what it says of JSON.
fn without_place(said: &str) -> &str {
    said.rfind(" at line ")
        .and_then(|end| said.get(..end))
        .unwrap_or(said)
}

/// The first name between backquotes.
fn quoted(said: &str) -> Option<&str> {
    said.split('`').nth(1)
}

/// The path of a field of what is at `path`; the parser may have named it already.
fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        return field.to_owned();
    }
    let last = path.rsplit('.').next().unwrap_or(path);
    if last == field {
        path.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

/// What was given, by its kind alone.
fn kind(got: &str) -> &'static str {
    const KINDS: [(&str, &str); 9] = [
        ("null", "null"),
        ("unit", "null"),
        ("string", "a string"),
        ("integer", "a number"),
        ("floating point", "a number that is not whole, or too large"),
        ("number", "a number"),
        ("boolean", "a boolean"),
        ("map", "an object"),
        ("sequence", "a list"),
    ];
    KINDS
        .iter()
        .find(|(prefix, _)| got.starts_with(prefix))
        .map_or("something else", |(_, words)| words)
}

/// What was needed, without the names of types.
fn wanted(expected: &str) -> &'static str {
    const WANTED: [(&str, &str); 13] = [
        ("a string", "a string"),
        ("string or map", "a string"),
        ("enum", "a string"),
        ("variant", "a string"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("u", "a whole number, 0 or more"),
        ("i", "a whole number"),
        ("a boolean", "a boolean"),
        ("a sequence", "a list"),
        ("a member id", MEMBER_ID),
        ("a reason code", REASON_CODE),
        ("struct", "an object"),
        ("a map", "an object"),
    ];
    WANTED
        .iter()
        .find(|(prefix, _)| expected.starts_with(prefix))
        .map_or("what the document says of it", |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::told;

    fn words(path: &str, said: &str) -> String {
        let told = told(path, said);
        format!("{} {}: {}", told.field, told.code.as_str(), told.message)
    }

    #[test]
    fn the_forms_of_the_parser_are_told_in_words_of_the_interface() {
        for (path, said, expected) in [
            (
                ".",
                "missing field `to` at line 1 column 15",
                "to missing: It is missing.",
            ),
            (
                "audience_table.friends",
                "missing field `anyone`",
                "audience_table.friends.anyone missing: It is missing.",
            ),
            (
                "at",
                "unknown field `at`, expected `to` or `text`",
                "at unknown: There is no such field; known are `to`, `text`.",
            ),
            (
                ".",
                "duplicate field `to` at line 1 column 15",
                "to repeated: It is given more than once.",
            ),
            (
                "audience",
                "unknown variant `nobody`, expected `everyone` or `no_one`",
                "audience not_one_of: It is none of the words that are accepted: `everyone` or `no_one`.",
            ),
            (
                "up_to",
                "invalid value: integer `-1`, expected u64",
                "up_to out_of_range: It has to be a whole number, 0 or more.",
            ),
            (
                "messages[1]",
                "invalid type: string \"two\", expected u64",
                "messages[1] wrong_type: It is a string, and has to be a whole number, 0 or more.",
            ),
            (
                ".",
                "invalid type: null, expected struct Message at line 1 column 4",
                "body wrong_type: It is null, and has to be an object.",
            ),
        ] {
            assert_eq!(words(path, said), expected, "{said}");
        }
    }

    #[test]
    fn a_form_that_is_not_known_shows_nothing_of_the_parser() {
        let told = words("x", "something of mod::Type at src/file.rs");
        assert_eq!(
            told,
            "x malformed: It has to be what the document says of it."
        );
    }
}

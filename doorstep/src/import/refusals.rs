//! The lines that were refused or could not be read, one by one: into a file, or the first of each kind in words.
//!
//! Told for the whole file by every run, like the summary: what an earlier run was refused is refused again from what the
//! log has of it. The words are those of the interface, and the exact cause, which no member is ever told.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use api::problem::ApiError;
use chrono::{SecondsFormat, Utc};
use commands::{CommandError, WrongTime};
use serde::Serialize;

use super::progress::Progress;
use crate::failure::Failure;

/// Lines of one code that are told in words where there is no file.
const TOLD_OF_EACH: u64 = 3;
/// The code of a line that cannot be read.
const INVALID: &str = "invalid";

/// A line by what it calls itself.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Named {
    /// Its number in the file, from 1.
    pub(crate) line: u64,
    /// Its command id; none of a line that does not say.
    pub(crate) id: Option<String>,
    /// Who acts.
    pub(crate) member: Option<String>,
    /// The command's name.
    pub(crate) command: Option<String>,
}

impl Named {
    /// What can be known of a line that is no command.
    pub(crate) fn of_invalid(number: u64, text: Option<&[u8]>) -> Self {
        let value: serde_json::Value = text
            .and_then(|text| serde_json::from_slice(text).ok())
            .unwrap_or_default();
        let field = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        Self {
            line: number,
            id: field("id"),
            member: field("member"),
            command: field("command"),
        }
    }
}

/// Why a line was refused.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Why {
    /// The stable code.
    code: &'static str,
    /// The rule of `SendMessage` that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<u8>,
    /// In words.
    detail: String,
}

impl Why {
    /// Of a line that is the same as an earlier one, which left nothing.
    pub(crate) fn again(code: &'static str, line: u64) -> Self {
        Self {
            code,
            rule: None,
            detail: format!("the same as line {line}"),
        }
    }

    /// Of a line whose outcome is counted under this code.
    pub(crate) fn of(code: &'static str, error: &CommandError) -> Self {
        let CommandError::Refused(refusal) = error else {
            return Self {
                code,
                rule: None,
                detail: if let CommandError::InvalidTime(wrong) = error {
                    of_time(*wrong)
                } else {
                    error.to_string()
                },
            };
        };
        let rejection = &refusal.rejection;
        let told = ApiError::from(error.clone());
        let cause = rejection.cause().and_then(|cause| {
            Some(
                serde_json::to_value(cause)
                    .ok()?
                    .as_str()?
                    .replace('_', " "),
            )
        });
        let amount = rejection
            .evidence()
            .and_then(|evidence| Some(format!("{} of {}", evidence.used?, evidence.limit?)));
        let exact: Vec<String> = cause.into_iter().chain(amount).collect();
        // The words for members may say that the cause is not told.
        let detail = if exact.is_empty() {
            told.told().to_owned()
        } else {
            format!("{}: {}", told.code().title(), exact.join(", "))
        };
        Self {
            code,
            rule: rejection.rule(),
            detail,
        }
    }
}

/// Why a time cannot be taken, and what could be done.
fn of_time(wrong: WrongTime) -> String {
    match wrong {
        WrongTime::Ahead => {
            let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
            format!("`at` is ahead of the clock, which says {now}; run the import again after that time")
        }
        WrongTime::BeforeLast => "`at` is before the last event of its stream; lines of one member or conversation have to stand in the order of their times".to_owned(),
    }
}

/// Where refusals are told.
pub(crate) struct Refusals {
    file: Option<(PathBuf, BufWriter<File>)>,
    /// Lines that were written to it.
    written: u64,
    silent: bool,
    told: BTreeMap<&'static str, u64>,
    progress: Progress,
}

impl Refusals {
    /// Into this file, in place of what it held; the first of each code in words where there is none.
    pub(crate) fn new(file: Option<(PathBuf, File)>, progress: Progress) -> Self {
        Self {
            file: file.map(|(path, file)| (path, BufWriter::new(file))),
            written: 0,
            silent: false,
            told: BTreeMap::new(),
            progress,
        }
    }

    /// Of what nobody waits for.
    pub(crate) fn silent() -> Self {
        Self {
            silent: true,
            ..Self::new(None, Progress::silent())
        }
    }

    /// Opens the file for refusals, which must not be the one that is read.
    pub(crate) fn open(
        path: Option<&PathBuf>,
        read: &Path,
    ) -> Result<Option<(PathBuf, File)>, Failure> {
        let Some(path) = path else {
            return Ok(None);
        };
        let same = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
            (Ok(a), Ok(b)) => a == b,
            (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
        };
        if same(path, read) {
            return Err(Failure::usage(
                "--refusals names the file that is read; it would be overwritten",
            ));
        }
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Some((path.clone(), file)))
    }

    /// Tells of a refused line.
    pub(crate) fn refused(&mut self, line: &Named, why: &Why) -> anyhow::Result<()> {
        self.progress.refused();
        if self.silent {
            return Ok(());
        }
        if self.file.is_some() {
            return self.write(line, why);
        }
        let told = self.told.entry(why.code).or_insert(0);
        *told += 1;
        if *told <= TOLD_OF_EACH {
            let rule = why
                .rule
                .map_or_else(String::new, |rule| format!(", rule {rule}"));
            let words = format!(
                "line {}{}: refused, {}{rule}: {}",
                line.line,
                of(line),
                why.code,
                why.detail
            );
            self.progress.say(&words);
        }
        Ok(())
    }

    /// Tells of a line that cannot be read; each of them in words, too.
    pub(crate) fn invalid(&mut self, line: &Named, reason: &str) -> anyhow::Result<()> {
        self.progress.say(&format!("line {}: {reason}", line.line));
        let why = Why {
            code: INVALID,
            rule: None,
            detail: reason.to_owned(),
        };
        self.write(line, &why)
    }

    fn write(&mut self, line: &Named, why: &Why) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Told<'a> {
            #[serde(flatten)]
            line: &'a Named,
            #[serde(flatten)]
            why: &'a Why,
        }
        if let Some((path, out)) = &mut self.file {
            let mut bytes = serde_json::to_vec(&Told { line, why })?;
            bytes.push(b'\n');
            out.write_all(&bytes)
                .with_context(|| format!("cannot write {}", path.display()))?;
            self.written += 1;
        }
        Ok(())
    }

    /// Makes what was told whole, and says how many more there are.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        if let Some((path, out)) = &mut self.file {
            out.flush()
                .with_context(|| format!("cannot write {}", path.display()))?;
            if self.written > 0 {
                let words = format!(
                    "{} refused and invalid lines are told in {}",
                    self.written,
                    path.display()
                );
                self.progress.say(&words);
            }
            return Ok(());
        }
        for (code, count) in &self.told {
            let more = if *count > TOLD_OF_EACH {
                "; --refusals FILE tells all of them"
            } else {
                ""
            };
            self.progress
                .say(&format!("refused, {code}: {count}{more}"));
        }
        Ok(())
    }
}

/// Whose line it is, as words behind its number.
fn of(line: &Named) -> String {
    let words: Vec<&str> = [&line.id, &line.member, &line.command]
        .into_iter()
        .filter_map(|name| name.as_deref())
        .collect();
    if words.is_empty() {
        String::new()
    } else {
        format!(" ({})", words.join(", "))
    }
}

//! What `doorstep import` tells beside its summary: refusals line by line, progress, and inputs that are not there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tests::program::{self, Ended};

const AT: &str = "2004-01-02T10:00:00Z";

fn register(id: &str, member: &str) -> Value {
    json!({"id": id, "at": AT, "command": "RegisterMember", "member": member, "age_band": "adult"})
}

/// Two members, refusals of three codes, one of them five times, and two lines that cannot be read.
fn lines() -> Vec<String> {
    let mut lines = vec![
        register("c1", "ann"),
        register("c1", "bob"),
        json!({"id": "c2", "at": AT, "command": "AcceptRequest", "member": "ann", "with": "bob"}),
        json!({"id": "c3", "at": AT, "command": "SendMessage", "member": "ann", "to": "ann", "text": "hi"}),
        json!({"id": "c4", "at": AT, "command": "BlockMember", "member": "bob", "other": "ann"}),
    ];
    for number in 0..5 {
        lines.push(json!({"id": format!("m{number}"), "at": AT, "command": "SendMessage", "member": "ann", "to": "bob", "text": "hi"}));
    }
    let mut lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    lines.push(json!({"id": "v1", "at": AT, "command": "Vanish", "member": "ann"}).to_string());
    lines.push("{".to_owned());
    lines
}

fn import(data: &Path, lines: &[String], more: &[&str]) -> Ended {
    let file = data.with_extension("ndjson");
    std::fs::write(&file, lines.join("\n")).expect("the lines");
    let mut command = program::doorstep(["import"]);
    command.arg(&file).arg("--data").arg(data).args(more);
    program::ended(&mut command)
}

#[test]
fn every_refused_and_invalid_line_is_told_in_the_file_by_every_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let file = folder.path().join("told.ndjson");
    let more = ["--refusals", &*file.to_string_lossy()];
    let told = || -> Vec<Value> {
        let text = std::fs::read_to_string(&file).expect("a file");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON a line"))
            .collect()
    };
    let lines = lines();
    let part = import(&data, &lines[..7], &more).done();
    assert!(part.stderr.contains("4 refused"), "{}", part.stderr);
    assert!(!part.stderr.contains("line 3"), "{}", part.stderr);
    let ended = import(&data, &lines, &more);
    assert_eq!(ended.status, Some(1), "two lines cannot be read");
    let first = told();
    let of = |line: &Value| {
        (
            line["line"].clone(),
            line["id"].clone(),
            line["code"].clone(),
        )
    };
    let mut expected = vec![
        (json!(3), json!("c2"), json!("not_found")),
        (json!(4), json!("c3"), json!("invalid_message")),
    ];
    for number in 0..5 {
        let id = format!("m{number}");
        expected.push((json!(6 + number), json!(id), json!("not_allowed")));
    }
    expected.push((json!(11), json!("v1"), json!("invalid")));
    expected.push((json!(12), Value::Null, json!("invalid")));
    assert_eq!(first.iter().map(of).collect::<Vec<_>>(), expected);
    let blocked = &first[2];
    assert_eq!(
        (&blocked["command"], &blocked["member"], &blocked["rule"]),
        (&json!("SendMessage"), &json!("ann"), &json!(4)),
        "{blocked}"
    );
    let detail = blocked["detail"].as_str().expect("words");
    assert_eq!(
        detail,
        "This message cannot be sent to this member: recipient blocks"
    );
    assert!(first[0].get("rule").is_none(), "{}", first[0]);
    assert!(first.iter().all(|line| line["detail"].as_str() > Some("")));
    assert_eq!(ended.json(), import(&data, &lines, &more).json());
    assert_eq!(told(), first, "the resumed run tells the whole file");
}

#[test]
fn without_a_file_the_first_of_each_code_are_told_and_the_others_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = import(&folder.path().join("data"), &lines(), &[]);
    let words = &ended.stderr;
    let count = |what: &str| words.lines().filter(|line| line.contains(what)).count();
    assert_eq!(count(": refused, not_allowed, rule 4: "), 3, "{words}");
    assert_eq!(count(": refused, not_found: "), 1, "{words}");
    assert!(words.contains("line 6 (m0, ann, SendMessage): "), "{words}");
    assert!(
        words.contains("line 3 (c2, ann, AcceptRequest): "),
        "{words}"
    );
    assert!(!words.contains("line 9 "), "{words}");
    assert!(
        words.contains("refused, not_allowed: 5; --refusals FILE tells all of them"),
        "{words}"
    );
    assert!(
        words.contains("line 11: ") && words.contains("line 12: "),
        "{words}"
    );
}

#[test]
fn what_is_read_is_not_overwritten_and_what_cannot_be_written_is_told_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let file = data.with_extension("ndjson").to_string_lossy().into_owned();
    let ended = import(&data, &lines(), &["--refusals", &file]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert!(std::fs::metadata(&file).expect("the lines").len() > 0);
    let ended = import(&data, &lines(), &["--refusals", "/proc/nowhere/told"]);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("/proc/nowhere/told"),
        "{}",
        ended.stderr
    );
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn a_file_that_is_not_there_is_told_once_and_leaves_no_data_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("above/data");
    let text = data.to_string_lossy().into_owned();
    let missing = folder.path().join("missing").to_string_lossy().into_owned();
    let here = folder.path().to_string_lossy().into_owned();
    for arguments in [
        ["import", &missing, "--data", &text],
        ["import", &here, "--data", &text],
        ["restore", &missing, "--data", &text],
        ["restore", &here, "--data", &text],
    ] {
        let ended = program::run(arguments);
        assert_eq!(ended.status, Some(1), "{}", ended.stderr);
        let told = ended.stderr.matches("No such file").count();
        let folder = arguments == ["import", &here, "--data", &text];
        assert_eq!(told, usize::from(!folder), "{}", ended.stderr);
        assert!(!data.parent().expect("above").exists(), "{arguments:?}");
    }
}

#[test]
fn off_a_terminal_a_line_tells_how_far_it_is_while_it_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut child = program::doorstep(["import", "-", "--progress", "1s", "--data"])
        .arg(&data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("import starts");
    let mut pipe = child.stdin.take().expect("piped");
    for line in &lines()[..10] {
        writeln!(pipe, "{line}").expect("it reads");
    }
    // The next line is not there yet, and it tells all the same.
    let mut words = BufReader::new(child.stderr.take().expect("piped")).lines();
    let told = words
        .by_ref()
        .map(|line| line.expect("text"))
        .find(|line| line.starts_with("import: 10 lines, "))
        .expect("a line of progress");
    assert!(told.contains(" per second, 7 refused"), "{told}");
    drop(pipe);
    let rest: Vec<_> = words.collect();
    assert!(child.wait().expect("it ends").success(), "{rest:?}");
}

#[test]
fn a_line_that_cannot_be_read_is_told_by_its_field_in_words_of_the_interface() {
    let folder = tempfile::tempdir().expect("a folder");
    let send = |fields: &str| {
        format!(
            r#"{{"id": "c1", "at": "{AT}", "command": "SendMessage", "member": "bob", "text": "hi"{fields}}}"#
        )
    };
    let cases = [
        ("not json".to_owned(), "it is no JSON, from column 2 on"),
        ("{".to_owned(), "it breaks off"),
        (
            "[1]".to_owned(),
            "the line: It is a list, and has to be an object.",
        ),
        (
            send(r#", "to": "a b""#),
            "`to`: It has to be a member's id: 1-128 characters",
        ),
        (send(r#", "to": 7"#), "`to`: It is a number, and has to be"),
        (send(""), "`to`: It is missing."),
        (
            send(r#", "to": "ann", "too": 1"#),
            "`too`: There is no such field; known are",
        ),
        (
            format!(r#"{{"id": "c1", "at": "{AT}", "command": "Vanish", "member": "ann"}}"#),
            "`ReinstateMember`, `ClaimCase`, `ReleaseCase`, `NoteOnCase`, `EscalateCase`, `DecideCase`, `AppealDecision`, `DecideAppeal`, `ReverseDecision`, `DecideCases`, `ReverseCases`, `ReopenCase`, `LimitReports`, `LiftReportLimit`, `ChangePolicy`.",
        ),
        (
            r#"{"id": "c1", "at": "yesterday", "command": "AcceptRequest"}"#.to_owned(),
            "`at`: It has to be an RFC 3339 time, such as",
        ),
    ];
    let lines: Vec<String> = cases.iter().map(|(line, _)| line.clone()).collect();
    let ended = import(&folder.path().join("data"), &lines, &[]);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    for (number, (line, words)) in (1..).zip(&cases) {
        let begins = format!("line {number}: ");
        let told = ended.stderr.lines().find(|told| told.contains(&begins));
        let told = told.expect("every line is told");
        assert!(told.contains(words), "{line}: {told}");
        for of_parser in ["expected", "at line", "variant", "yesterday"] {
            assert!(!told.contains(of_parser), "{told}");
        }
    }
}

#[test]
fn a_time_that_cannot_be_taken_is_told_with_its_cause() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut late = register("c1", "eve");
    late["at"] = json!("2999-01-01T00:00:00Z");
    let mut early = json!({"id": "c2", "at": AT, "command": "ChangeDmSetting", "member": "ann", "audience": "friends"});
    early["at"] = json!("2003-01-01T00:00:00Z");
    let lines = [register("c1", "ann"), late, early].map(|line| line.to_string());
    let words = import(&folder.path().join("data"), &lines, &[])
        .done()
        .stderr;
    let of = |number: u8| {
        let begins = format!("line {number} (");
        let told = words.lines().find(|line| line.contains(&begins));
        told.unwrap_or_else(|| panic!("{words}")).to_owned()
    };
    assert!(
        of(2).contains("invalid_time: `at` is ahead of the clock, which says 2"),
        "{words}"
    );
    assert!(
        of(3).contains("invalid_time: `at` is before the last event of its stream"),
        "{words}"
    );
}

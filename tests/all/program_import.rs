//! `doorstep import` on the real messages: whole, twice, and killed on the way.
//!
//! The totals are counted here a second time, from the rules as they are written and the two data files alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tests::{college, program};

const DAY_S: i64 = 24 * 60 * 60;

/// What the rules make of the workload, counted from the files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    members: u64,
    messages: u64,
    delivered_to_inbox: u64,
    waiting_in_requests: u64,
    refused_by_cap: u64,
    refused_by_daily_limit: u64,
    requests_opened: u64,
    accepted_by_reply: u64,
    accepted_by_crossing: u64,
    reports: u64,
    cases: u64,
}

/// A report that the workload has: of a member, by another, at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reported {
    /// The message that is reported, by its place in the file.
    pub(crate) message: usize,
    /// Who wrote it.
    pub(crate) member: u32,
    /// Who reports it.
    pub(crate) by: u32,
    /// When, in Unix seconds.
    pub(crate) at_seconds: i64,
}

/// What the rules make of the workload.
fn count() -> Totals {
    counted().0
}

/// Sends every message by the rules of sending, for adults without follows whose audience is `everyone`; and the reports,
/// in the order of the messages.
pub(crate) fn counted() -> (Totals, Vec<Reported>) {
    let messages = std::fs::read_to_string(college::messages()).expect("messages");
    let texts = std::fs::read_to_string(college::texts()).expect("texts");
    let spam: Vec<bool> = texts
        .lines()
        .map(|line| line.starts_with("spam\t"))
        .collect();
    let rows: Vec<(u32, u32, i64)> = messages
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<i64> = line
                .split(' ')
                .map(|field| field.parse().expect("a number"))
                .collect();
            (
                u32::try_from(fields[0]).expect("a member"),
                u32::try_from(fields[1]).expect("a member"),
                fields[2],
            )
        })
        .collect();

    let mut totals = Totals {
        messages: rows.len() as u64,
        ..Totals::default()
    };
    totals.members = rows
        .iter()
        .flat_map(|(from, to, _)| [*from, *to])
        .collect::<HashSet<_>>()
        .len() as u64;
    // Directions that hold a stored message; those accepted; the messages in those that are not; opened requests.
    let mut written: HashSet<(u32, u32)> = HashSet::new();
    let mut accepted: HashSet<(u32, u32)> = HashSet::new();
    let mut waiting: HashMap<(u32, u32), Vec<usize>> = HashMap::new();
    let mut openings: HashMap<u32, Vec<i64>> = HashMap::new();
    for (index, (from, to, at)) in rows.iter().copied().enumerate() {
        let (there, back) = ((from, to), (to, from));
        // Rule 3: a first contact, after 20 opened within 24 hours.
        let first_contact = !written.contains(&there) && !written.contains(&back);
        let opened = openings.entry(from).or_default();
        if first_contact
            && opened
                .iter()
                .filter(|opening| at - **opening < DAY_S)
                .count()
                >= 20
        {
            totals.refused_by_daily_limit += 1;
            continue;
        }
        // Rule 7: the other's request is accepted by answering it; at the very time it was opened, both knocked at once.
        if let Some(request) = waiting.get(&back)
            && accepted.insert(back)
        {
            let both_wait = waiting.contains_key(&there) && !accepted.contains(&there);
            if both_wait || rows[request[0]].2 == at {
                totals.accepted_by_crossing += 1;
            } else {
                totals.accepted_by_reply += 1;
            }
        }
        // Rule 8: accepted, or the recipient wrote first.
        if accepted.contains(&there) || written.contains(&back) {
            written.insert(there);
            totals.delivered_to_inbox += 1;
            continue;
        }
        // Rules 11 and 12: a request holds three.
        let request = waiting.entry(there).or_default();
        if request.len() == 3 {
            totals.refused_by_cap += 1;
            continue;
        }
        if request.is_empty() {
            opened.push(at);
            totals.requests_opened += 1;
        }
        request.push(index);
        written.insert(there);
        totals.waiting_in_requests += 1;
    }
    // Each request never answered is reported once if it holds a spam text: one case for each.
    let unanswered = waiting
        .iter()
        .filter(|(direction, _)| !accepted.contains(*direction));
    let first_spam = |request: &Vec<usize>| {
        let mut request = request.iter().copied();
        request.find(|index| spam[index % spam.len()])
    };
    let mut reports: Vec<Reported> = unanswered
        .filter_map(|(direction, request)| {
            first_spam(request).map(|message| Reported {
                message,
                member: direction.0,
                by: direction.1,
                at_seconds: rows[message].2,
            })
        })
        .collect();
    reports.sort_unstable_by_key(|report| report.message);
    totals.reports = reports.len() as u64;
    totals.cases = totals.reports;
    (totals, reports)
}

/// The lines of the workload, as the program prints them.
fn lines() -> &'static str {
    static LINES: OnceLock<String> = OnceLock::new();
    LINES.get_or_init(|| {
        let (messages, texts) = (college::messages(), college::texts());
        program::run([
            "workload".as_ref(),
            "--messages".as_ref(),
            messages.as_os_str(),
            "--texts".as_ref(),
            texts.as_os_str(),
        ])
        .done()
        .stdout
    })
}

/// Every event of a log at rest, without what two logs may differ in: their ids, and when an event was recorded.
fn events(data: &Path) -> Vec<Value> {
    let ended = program::run(["events".as_ref(), "--data".as_ref(), data.as_os_str()]).done();
    ended
        .stdout
        .lines()
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).expect("an event a line");
            let fields = event.as_object_mut().expect("an object");
            assert!(fields.remove("log_id").is_some() && fields.remove("recorded_at").is_some());
            event
        })
        .collect()
}

/// A digest over all events in order.
fn digest(events: &[Value]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for event in events {
        digest.update(event.to_string());
        digest.update(b"\n");
    }
    digest.finalize().into()
}

/// One import of the whole workload, for the tests that compare with it: summary, digest and events by type.
pub(crate) struct Whole {
    pub(crate) data: tempfile::TempDir,
    file: std::path::PathBuf,
    took: std::time::Duration,
    summary: Value,
    digest: [u8; 32],
    by_type: BTreeMap<String, u64>,
    routes: BTreeMap<String, u64>,
    methods: BTreeMap<String, u64>,
}

pub(crate) fn whole() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let data = tempfile::tempdir().expect("a folder");
        let file = data.path().join("college.ndjson");
        std::fs::write(&file, lines()).expect("the lines");
        let started = std::time::Instant::now();
        let summary = import(&data.path().join("data"), &file);
        let took = started.elapsed();
        let events = events(&data.path().join("data"));
        let mut by_type = BTreeMap::new();
        let (mut routes, mut methods) = (BTreeMap::new(), BTreeMap::new());
        for event in &events {
            let event_type = event["type"].as_str().expect("a type").to_owned();
            if event_type == "message-sent.v1" {
                *routes
                    .entry(event["data"]["route"].as_str().expect("a route").to_owned())
                    .or_insert(0) += 1;
            }
            if event_type == "request-accepted.v1" {
                *methods
                    .entry(
                        event["data"]["method"]
                            .as_str()
                            .expect("a method")
                            .to_owned(),
                    )
                    .or_insert(0) += 1;
            }
            *by_type.entry(event_type).or_insert(0) += 1;
        }
        Whole {
            digest: digest(&events),
            data,
            file,
            took,
            summary,
            by_type,
            routes,
            methods,
        }
    })
}

/// Imports a file, and gives the summary.
fn import(data: &Path, file: &Path) -> Value {
    program::run([
        "import".as_ref(),
        file.as_os_str(),
        "--data".as_ref(),
        data.as_os_str(),
    ])
    .done()
    .json()
}

#[test]
fn the_college_workload_imports_whole_with_the_totals_that_follow_from_the_rules() {
    let whole = whole();
    let meant = count();
    let by_type = |name: &str| whole.by_type.get(name).copied().unwrap_or(0);
    let found = Totals {
        members: by_type("member-registered.v1"),
        messages: by_type("message-sent.v1") + meant.refused_by_cap + meant.refused_by_daily_limit,
        delivered_to_inbox: whole.routes.get("inbox").copied().unwrap_or(0),
        waiting_in_requests: whole.routes.get("request").copied().unwrap_or(0),
        refused_by_cap: by_type("command-refused.v2") - meant.refused_by_daily_limit,
        refused_by_daily_limit: by_type("command-refused.v2") - meant.refused_by_cap,
        requests_opened: by_type("request-opened.v1"),
        accepted_by_reply: whole.methods.get("reply").copied().unwrap_or(0),
        accepted_by_crossing: whole.methods.get("crossing").copied().unwrap_or(0),
        reports: by_type("messages-reported.v1"),
        cases: by_type("case-opened.v1"),
    };
    assert_eq!(found, meant);
    let refused = meant.refused_by_cap + meant.refused_by_daily_limit;
    let lines = 2 * meant.members + meant.messages + meant.reports;
    assert_eq!(
        json!([
            whole.summary["lines"],
            whole.summary["carried_out"],
            whole.summary["unchanged"],
            whole.summary["refused"],
            whole.summary["invalid"]
        ]),
        json!([lines, lines - refused, 0, { "limit_reached": refused }, 0])
    );
}

#[test]
fn importing_the_same_again_changes_nothing_and_says_the_same() {
    let whole = whole();
    let copy = tempfile::tempdir().expect("a folder");
    let data = copy.path().join("data");
    copy_folder(&whole.data.path().join("data"), &data);
    assert_eq!(import(&data, &whole.file), whole.summary);
    assert_eq!(digest(&events(&data)), whole.digest);
}

#[test]
fn killed_at_any_moment_and_run_again_it_ends_the_same_event_for_event() {
    let whole = whole();
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut seed = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a clock")
        .subsec_nanos();
    let (mut killed, mut share) = (0, whole.took / 9);
    for run in 1.. {
        if killed == 5 {
            break;
        }
        assert!(run < 40, "the runs end before they can be killed");
        let mut child = program::doorstep([
            "import".as_ref(),
            whole.file.as_os_str(),
            "--data".as_ref(),
            data.as_os_str(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("import starts");
        // The moment is a time: a ninth of a whole run, give or take, after the process began.
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let moment = share * (50 + (seed >> 16) % 100) / 100;
        let (ended, wait) = std::sync::mpsc::channel();
        let mut words = child.stderr.take().expect("piped");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = words.read_to_string(&mut text);
            let _ = ended.send(());
            text
        });
        let at_work = wait.recv_timeout(moment).is_err();
        child.kill().expect("it is a child");
        child.wait().expect("it is a child");
        let words = reader.join().expect("the reader");
        if at_work {
            killed += 1;
        } else {
            // It went faster than the whole one did: over from the beginning, and killed sooner.
            share /= 2;
            std::fs::remove_dir_all(&data).expect("it was made");
        }
        println!("run {run}: killed after {moment:?}, still at work: {at_work} {words}");
    }
    assert_eq!(import(&data, &whole.file), whole.summary);
    let ended = events(&data);
    assert_eq!(digest(&ended), whole.digest, "{} events", ended.len());
    assert_eq!(import(&data, &whole.file), whole.summary);
}

/// Copies a folder of plain files and folders.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Imports these lines into a data folder.
fn import_lines(data: &Path, lines: &[Value]) -> program::Ended {
    let file = data.with_extension("ndjson");
    let text: String = lines
        .iter()
        .map(|line| match line.as_str() {
            Some(text) => format!("{text}\n"),
            None => format!("{line}\n"),
        })
        .collect();
    std::fs::write(&file, text).expect("the lines");
    program::run([
        "import".as_ref(),
        file.as_os_str(),
        "--data".as_ref(),
        data.as_os_str(),
    ])
}

#[test]
fn the_sample_of_the_interface_gives_its_summary_and_gives_it_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let lines = [
        json!({"id": "c1", "at": "2004-01-01T00:00:00Z", "command": "RegisterMember", "member": "ann", "age_band": "adult"}),
        json!({"id": "c2", "at": "2004-01-01T00:00:00Z", "command": "RegisterMember", "member": "bob", "age_band": "adult"}),
        json!({"id": "c3", "at": "2004-01-01T00:00:00Z", "command": "ChangeDmSetting", "member": "ann", "audience": "everyone"}),
        json!({"id": "c4", "at": "2004-01-02T09:30:00Z", "command": "RecordRelationship", "member": "bob", "kind": "follow", "other": "ann"}),
        json!({"id": "c5", "at": "2004-01-02T10:00:00Z", "command": "SendMessage", "member": "bob", "to": "ann", "text": "hi"}),
        json!({"id": "c6", "at": "2004-01-02T10:01:00Z", "command": "AcceptRequest", "member": "ann", "with": "bob"}),
        json!({"id": "c7", "at": "2004-01-02T10:02:00Z", "command": "DeleteRequest", "member": "ann", "with": "bob", "mode": "quiet"}),
        json!({"id": "c8", "at": "2004-01-02T10:03:00Z", "command": "ReportMessage", "member": "ann", "with": "bob", "messages": [1], "category": "spam", "comment": "", "also": "none"}),
    ];
    let first = import_lines(&data, &lines).done().json();
    assert_eq!(
        json!([
            first["lines"],
            first["carried_out"],
            first["unchanged"],
            first["refused"],
            first["invalid"]
        ]),
        json!([8, 7, 0, {"already_accepted": 1}, 0])
    );
    let log = events(&data);
    assert_eq!(import_lines(&data, &lines).done().json(), first);
    assert_eq!(events(&data), log);
}

#[test]
fn lines_that_left_nothing_are_told_the_same_in_every_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let at = "2004-01-02T10:00:00Z";
    let lines = [
        json!({"id": "c1", "at": at, "command": "RegisterMember", "member": "ann", "age_band": "adult"}),
        json!({"id": "c2", "at": at, "command": "RegisterMember", "member": "bob", "age_band": "adult"}),
        // Nothing was ever visible: not found. Never blocked: unchanged.
        json!({"id": "c3", "at": at, "command": "AcceptRequest", "member": "ann", "with": "bob"}),
        json!({"id": "c4", "at": at, "command": "UnblockMember", "member": "ann", "other": "bob"}),
        json!({"id": "c5", "at": at, "command": "BlockMember", "member": "ann", "other": "bob"}),
        json!({"id": "c6", "at": at, "command": "BlockMember", "member": "ann", "other": "bob"}),
        json!({"id": "c7", "at": at, "command": "SendMessage", "member": "ann", "to": "ann", "text": "hi"}),
        json!({"id": "c1", "at": at, "command": "RegisterMember", "member": "ann", "age_band": "16_17"}),
        json!({"id": "c8", "at": at, "command": "RegisterMember", "member": "eve", "age_band": "adult"}),
    ];
    let first = import_lines(&data, &lines).done().json();
    assert_eq!(
        json!([
            first["lines"],
            first["carried_out"],
            first["unchanged"],
            first["refused"],
            first["invalid"]
        ]),
        json!([9, 4, 2, {"command_id_reused": 1, "invalid_message": 1, "not_found": 1}, 0])
    );
    let log = events(&data);
    assert_eq!(import_lines(&data, &lines).done().json(), first);
    assert_eq!(
        events(&data),
        log,
        "a line that was unchanged before a block must not lift it now"
    );
}

#[test]
fn unreadable_lines_are_told_with_number_and_reason_and_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let at = "2004-01-02T10:00:00Z";
    let lines = [
        json!({"id": "c1", "at": at, "command": "RegisterMember", "member": "ann", "age_band": "adult"}),
        json!("{\"id\": \"c2\", "),
        json!({"id": "c3", "at": at, "command": "RegisterMember", "member": "bob", "age_band": "adult", "more": 1}),
        json!({"id": "c4", "at": at, "command": "RegisterMember", "member": "bob", "age_band": "elder"}),
        json!({"id": "c5", "at": "yesterday", "command": "RegisterMember", "member": "bob", "age_band": "adult"}),
        json!({"id": "c6", "at": at, "command": "Vanish", "member": "bob"}),
        json!({"id": "c7", "at": at, "command": "RegisterMember", "member": "no spaces", "age_band": "adult"}),
        json!({"id": 8, "at": at, "command": "RegisterMember", "member": "bob", "age_band": "adult"}),
        json!(
            "{\"id\": \"c9\", \"id\": \"c10\", \"at\": \"2004-01-02T10:00:00Z\", \"command\": \"RegisterMember\", \"member\": \"bob\", \"age_band\": \"adult\"}"
        ),
        json!("[1]"),
        json!({"id": "c11", "at": at, "command": "RegisterMember", "member": "eve", "age_band": "adult"}),
    ];
    let ended = import_lines(&data, &lines);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    let summary = ended.json();
    assert_eq!(
        json!([
            summary["lines"],
            summary["carried_out"],
            summary["refused"],
            summary["invalid"]
        ]),
        json!([11, 2, {}, 9])
    );
    for number in 2..=10 {
        assert!(
            ended.stderr.contains(&format!("line {number}: ")),
            "line {number} is not told:\n{}",
            ended.stderr
        );
    }
    let members: Vec<Value> = events(&data)
        .into_iter()
        .filter(|event| event["type"] == "member-registered.v1")
        .map(|event| event["stream"].clone())
        .collect();
    assert_eq!(members, [json!("member-ann"), json!("member-eve")]);
}

#[test]
fn standard_input_is_carried_out_as_a_file_is_and_goes_on_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let at = "2004-01-02T10:00:00Z";
    let lines: Vec<String> = ["ann", "bob", "cat"]
        .iter()
        .map(|name| {
            let line = json!({"id": "c1", "at": at, "command": "RegisterMember", "member": name, "age_band": "adult"});
            format!("{line}\n")
        })
        .collect();
    let import = |text: &str| {
        let mut child = program::doorstep(["import", "-", "--data"])
            .arg(&data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("import starts");
        let mut pipe = child.stdin.take().expect("piped");
        pipe.write_all(text.as_bytes()).expect("it reads");
        drop(pipe);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success());
        serde_json::from_slice::<Value>(&output.stdout).expect("a summary")
    };
    assert_eq!(import(&lines[..2].concat())["carried_out"], 2);
    // Blank lines are none, and the last line needs no end.
    let more = format!("\n{}\n{}", lines[..2].concat(), lines[2].trim_end());
    let summary = import(&more);
    assert_eq!(
        json!([summary["lines"], summary["carried_out"]]),
        json!([3, 3])
    );
    assert_eq!(import(&more), summary);
    let registered = events(&data)
        .iter()
        .filter(|event| event["type"] == "member-registered.v1")
        .count();
    assert_eq!(registered, 3);
}

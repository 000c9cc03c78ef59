//! What somebody who begins is told: help that names what is needed, and errors that say what to do.

use std::path::Path;

use tests::program::{self, Ended, Server};

/// Failure with status 1, these words, and nothing told twice.
#[track_caller]
fn failed(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    for words in words {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    for part in ["(os error", "No such file"] {
        assert!(ended.stderr.matches(part).count() <= 1, "{}", ended.stderr);
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn help_tells_where_to_begin_and_what_each_command_needs() {
    let help = program::run(["--help"]).done().stdout;
    assert!(
        help.contains("serve --demo") && help.contains("2 wrong usage"),
        "{help}"
    );
    for (command, words) in [
        ("serve", "doorstep token"),
        ("token", "Give the same"),
        ("import", "goes on where it was"),
        ("events", "role auditor or service"),
        ("verify", "role operator or service"),
        ("backup", "Keys are not"),
        ("restore", "data folder without a log"),
        ("config", "flags of all other commands"),
    ] {
        let help = program::run([command, "--help"]).done().stdout;
        let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            flat.to_lowercase().contains(&words.to_lowercase()),
            "{command}: {help}"
        );
        assert!(help.contains("For every command:"), "{command}: {help}");
    }
}

#[test]
fn an_address_that_is_taken_is_told_before_a_data_folder_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("first"), &[]);
    let address = server.url.trim_start_matches("http://");
    let second = folder.path().join("second");
    let taken = program::run(["serve", "--data", &text(&second), "--listen", address]);
    failed(&taken, &[address, "in use", "--listen"]);
    assert!(!second.exists());
    // Over the same folder the folder is what both want.
    let data = text(&folder.path().join("first"));
    let twice = program::run(["serve", "--data", &data, "--listen", address]);
    failed(&twice, &["in use by process", "stop it first"]);
    let elsewhere = program::run(["serve", "--data", &text(&second), "--listen", "192.0.2.1:0"]);
    failed(
        &elsewhere,
        &["192.0.2.1:0", "not an address of this machine"],
    );
    assert!(server.stop().success());
}

#[test]
fn a_log_of_a_newer_version_is_told_so_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    program::run(["import", "/dev/null", "--data", &text(&data)]).done();
    let path = data.join("log/identity");
    let identity = std::fs::read_to_string(&path).expect("the identity");
    let level = format!("schema-level {}\n", domain::codec::LEVEL);
    for (from, to) in [
        ("doorstep-log 1\n", "doorstep-log 9\n"),
        (level.as_str(), "schema-level 9\n"),
    ] {
        let newer = identity.replace(from, to);
        assert_ne!(newer, identity, "there is something newer");
        let at = newer.rfind("crc32c ").expect("a checksum");
        let (body, _) = newer.split_at(at);
        let newer = format!("{body}crc32c {:08x}\n", crc32c::crc32c(body.as_bytes()));
        std::fs::write(&path, &newer).expect("the identity");
        for command in [
            &["serve", "--listen", "127.0.0.1:0"][..],
            &["import", "/dev/null"],
            &["events"],
        ] {
            let mut command = program::doorstep(command);
            let ended = program::ended(command.arg("--data").arg(&data));
            failed(&ended, &["newer doorstep", "9"]);
        }
        assert_eq!(std::fs::read_to_string(&path).expect("the identity"), newer);
    }
}

#[test]
fn a_token_that_does_not_open_a_service_is_told_with_what_would() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"), &[]);
    let events = |token: &str| program::run(["events", "--url", &server.url, "--token", token]);
    failed(
        &events(&server.token("ann", "member")),
        &["403", "forbidden", "auditor", "member"],
    );
    let other = text(&folder.path().join("other"));
    program::run(["import", "/dev/null", "--data", &other]).done();
    let foreign = program::run([
        "token", "--sub", "ada", "--role", "auditor", "--data", &other,
    ]);
    let foreign = foreign.done();
    assert!(foreign.stderr.contains("new one"), "{}", foreign.stderr);
    let make = "Make one with `doorstep token`";
    failed(
        &events(foreign.stdout.trim()),
        &["401", "token_invalid", make],
    );
    failed(&events("nonsense"), &["401", "token_invalid", make]);
    let spaces = events("two words");
    assert_eq!(spaces.status, Some(2), "{}", spaces.stderr);
    assert!(!spaces.stderr.contains("two words"), "a token is a secret");
    let nobody = program::run(["events", "--url", "http://127.0.0.1:9", "--token", "t"]);
    failed(&nobody, &["http://127.0.0.1:9 does not answer", "refused"]);
    assert!(server.stop().success());
}

#[test]
fn a_backup_that_is_none_and_a_folder_that_has_a_log_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = text(&folder.path().join("data"));
    program::run(["import", "/dev/null", "--data", &data]).done();
    let back = text(&folder.path().join("back"));
    let none = program::run(["restore", &data, "--data", &back]);
    failed(&none, &["is no backup", "manifest.json"]);
    let copy = text(&folder.path().join("copy"));
    program::run(["backup", &copy, "--data", &data]).done();
    let full = program::run(["restore", &copy, "--data", &data]);
    failed(&full, &["holds a log already", "another folder"]);
    failed(
        &program::run(["events", "--data", &back]),
        &["holds no log", "--data"],
    );
}

#[test]
fn slips_of_the_hand_are_told_with_what_may_be_meant() {
    for (arguments, words) in [
        (&["serv"][..], "'serve'"),
        (&["serve", "--lisen", "127.0.0.1:1"], "--listen"),
        (&["events", "--after", "-1"], "a whole number"),
        (
            &["token", "--sub", "ann", "--role", "member,king"],
            "possible values: member, moderator",
        ),
        (
            &["token", "--sub", "ann", "--ttl", "none"],
            "such as 90s or 1h",
        ),
        (
            &["token", "--sub", "ann", "--ttl", "0s"],
            "between 1s and ten years",
        ),
        (&["bench", "--events", "0"], "a whole number from 1"),
    ] {
        let ended = program::run(arguments);
        assert_eq!(ended.status, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

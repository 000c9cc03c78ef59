//! `events` through the program: what can match nothing is told as a mistake, at rest and of a running service.

use tests::program::{self, Ended, Server};

use crate::program_care::{filled, on};

/// Wrong usage with these words.
#[track_caller]
fn refused(ended: &Ended, words: &str) {
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
}

#[test]
fn a_filter_that_can_match_nothing_is_refused_and_one_that_matches_nothing_is_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    filled(&data);
    let server_data = folder.path().join("served");
    filled(&server_data);
    let server = Server::start(&server_data, &[]);
    let auditor = server.token("ada", "auditor");
    let remote = |filter: &[&str]| {
        let url = ["events", "--url", &server.url, "--token", &auditor];
        program::run([&url[..], filter].concat())
    };
    let at_rest = |filter: &[&str]| on(&data, &[&["events"][..], filter].concat());
    for (filter, words) in [
        (["--type", "bogus"], "No event is of the type `bogus`"),
        (["--type", "message-snet"], "message-sent.v1"),
        (["--type", "message-sent.v2"], "message-sent.v1"),
        (["--stream", "bogus-1"], "No stream is called `bogus-1`"),
        (["--stream", "a b"], "name of a stream"),
        (["--member", "a b"], "an id is 1 to 128"),
    ] {
        refused(&at_rest(&filter), words);
        refused(&remote(&filter), words);
    }
    for filter in [
        ["--type", "message-sent"],
        ["--type", "message-sent.v1"],
        ["--stream", "member-ann"],
        ["--member", "ann"],
    ] {
        let (here, there) = (at_rest(&filter).done(), remote(&filter).done());
        assert!(!here.stdout.is_empty(), "{filter:?}");
        assert_eq!(here.stdout.lines().count(), there.stdout.lines().count());
    }
    for filter in [
        ["--type", "member-suspended"],
        ["--stream", "member-nobody"],
        ["--member", "nobody"],
    ] {
        assert_eq!(at_rest(&filter).done().stdout, "", "{filter:?}");
        assert_eq!(remote(&filter).done().stdout, "", "{filter:?}");
    }
    assert!(server.stop().success());
}

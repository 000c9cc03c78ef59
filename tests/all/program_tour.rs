//! The README's tour: every line of its shell blocks, run by `bash` against a demo service.

use std::process::{Command, Stdio};

use tests::program::{self, Server};

/// The blocks between a line "```sh" and the next "```".
fn blocks(readme: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in readme.lines() {
        match (&mut open, line) {
            (None, "```sh") => open = Some(String::new()),
            (Some(block), "```") => {
                blocks.push(std::mem::take(block));
                open = None;
            }
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

#[test]
fn every_line_of_the_readme_tour_does_what_it_says() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"))
        .expect("README.md");
    let blocks = blocks(&readme);
    assert_eq!(
        blocks.len(),
        8,
        "the tour has other blocks than this test knows"
    );

    // The tour as a reader finds it: the binary where a release build puts it, the data folder where serve puts it.
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("target/release")).expect("a folder");
    std::os::unix::fs::symlink(
        program::binary(),
        folder.path().join("target/release/doorstep"),
    )
    .expect("a link");
    let data = folder.path().join("doorstep-data");
    let server = Server::start(&data, &["--demo"]);
    let address = server.url.strip_prefix("http://").expect("an address");

    let mut script = String::from("set -euo pipefail\n");
    for block in &blocks {
        script.push_str(block);
        script.push_str("\nprintf '\\n=====\\n'\n");
    }
    assert!(script.contains("127.0.0.1:7070"));
    let script = script.replace("127.0.0.1:7070", address);
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env_remove("DOORSTEP_DATA")
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    let (said, words) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{said}\n{words}\n{}",
        server.words()
    );
    let said: Vec<&str> = said.split("=====").collect();
    let has = |block: usize, parts: &[&str]| {
        for part in parts {
            assert!(
                said[block].contains(part),
                "block {block} does not say `{part}`: {}",
                said[block]
            );
        }
    };
    has(1, &["\"outcome\":\"sent\"", "\"number\":1"]);
    has(2, &["\"items\":[]", "play chess", "\"with\":\"bob\""]);
    has(3, &["play chess", "\"with\":\"bob\""]);
    has(4, &["\"report_id\""]);
    has(5, &["\"member\":\"cat\"", "You have WON a prize"]);
    has(
        6,
        &[
            "\"type\":\"messages-reported.v1\"",
            "\"type\":\"request-accepted.v1\"",
        ],
    );
    has(
        7,
        &[
            "Rule 12: the audience of ann is `everyone`",
            "\"statement\":\"ann deleted the request of cat, quietly\"",
            "\"dm_setting\":",
        ],
    );
    assert!(server.stop().success());
}

#[test]
fn the_demo_prints_the_tokens_of_its_users_and_loads_its_sample_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::start(&data, &["--demo"]);
    let events = |server: &Server| {
        let token = server.token("ada", "auditor");
        program::run(["events", "--url", &server.url, "--token", &token])
            .done()
            .stdout
            .lines()
            .count()
    };
    let first = events(&server);
    assert!(first > 1_000, "{first} events");
    assert!(server.stop().success());
    let server = Server::start(&data, &["--demo"]);
    assert_eq!(events(&server), first);
}

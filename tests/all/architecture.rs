//! What the tree may depend on: the edges between our crates, and the licences and sources of everybody else's.
//!
//! An edge that `ARCHITECTURE.md` does not name is an event, not a detail: change the page first. Everything foreign
//! comes from the public registry, under a licence of the list below.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// The edges between our crates; `ARCHITECTURE.md` has the same table.
const EDGES: [(&str, &[&str]); 9] = [
    ("domain", &[]),
    ("event-store", &[]),
    ("kurrent", &["event-store"]),
    ("tables", &["event-store"]),
    ("commands", &["domain", "event-store", "tables"]),
    ("projections", &["domain", "event-store", "tables"]),
    ("api", &["commands", "domain", "event-store", "projections"]),
    (
        "doorstep",
        &[
            "api",
            "commands",
            "domain",
            "event-store",
            "kurrent",
            "projections",
            "tables",
        ],
    ),
    (
        "tests",
        &[
            "api",
            "commands",
            "domain",
            "doorstep",
            "event-store",
            "kurrent",
            "projections",
            "tables",
        ],
    ),
];

/// Licences that what we build on may carry; an `OR` needs one of them, an `AND` all.
const LICENCES: [&str; 15] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Lines that a file of ours has at most.
const FILE_LINES_MAX: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(
            ["--locked", "--offline", "--filter-platform", &host()]
                .map(str::to_owned)
                .to_vec(),
        )
        .exec()
        .expect("cargo metadata of the locked workspace")
}

/// The platform that this build is for: its crates are there, those of other platforms may not be.
fn host() -> String {
    let rustc = std::process::Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc -vV");
    let words = String::from_utf8(rustc.stdout).expect("rustc speaks UTF-8");
    words
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("rustc names its host")
        .to_owned()
}

#[test]
fn our_crates_depend_on_one_another_as_the_architecture_says() {
    let metadata = metadata();
    let ours: BTreeSet<String> = metadata
        .workspace_packages()
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata.workspace_packages() {
        let edges = package
            .dependencies
            .iter()
            .filter(|dependency| ours.contains(&dependency.name))
            .inspect(|dependency| {
                assert!(
                    dependency.kind != DependencyKind::Build,
                    "{} builds with {}",
                    package.name,
                    dependency.name
                );
            })
            .map(|dependency| dependency.name.clone());
        found.insert(package.name.to_string(), edges.collect());
    }
    let meant: BTreeMap<String, BTreeSet<String>> = EDGES
        .iter()
        .map(|(name, edges)| {
            (
                (*name).to_owned(),
                edges.iter().map(|edge| (*edge).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(
        found, meant,
        "an edge between our crates is not as ARCHITECTURE.md has it"
    );
}

#[test]
fn the_page_on_the_architecture_has_the_same_edges() {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let all: Vec<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    let rows = page
        .lines()
        .skip_while(|line| *line != "| crate | may use |")
        .skip(2);
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        for name in cells[0].split(", ").map(|name| name.trim_matches('`')) {
            let edges: BTreeSet<String> = match cells[1] {
                "-" => BTreeSet::new(),
                "all" => all
                    .iter()
                    .filter(|other| **other != name && **other != "tests")
                    .map(|other| (*other).to_owned())
                    .collect(),
                listed => listed.split(", ").map(str::to_owned).collect(),
            };
            told.insert(name.to_owned(), edges);
        }
    }
    let meant: BTreeMap<String, BTreeSet<String>> = EDGES
        .iter()
        .map(|(name, edges)| {
            (
                (*name).to_owned(),
                edges.iter().map(|edge| (*edge).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(told, meant);
}

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    let mut wrong = Vec::new();
    for (name, _) in EDGES {
        let mut folders = vec![root().join(name)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)
                .expect("a folder")
                .map(|entry| entry.expect("an entry"))
            {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path).expect("a file");
                    let lines = text.lines().count();
                    if !text.starts_with("//! ") || lines > FILE_LINES_MAX {
                        wrong.push(format!("{} ({lines} lines)", path.display()));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "without a header, or longer than {FILE_LINES_MAX} lines:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_domain_is_pure() {
    let metadata = metadata();
    let domain = metadata
        .workspace_packages()
        .into_iter()
        .find(|p| p.name.as_str() == "domain")
        .expect("domain");
    let outside: BTreeSet<&str> = domain
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
        .map(|dependency| dependency.name.as_str())
        .collect();
    for forbidden in [
        "tokio",
        "async-trait",
        "futures",
        "chrono",
        "getrandom",
        "rand",
        "redb",
        "axum",
        "rustix",
    ] {
        assert!(
            !outside.contains(forbidden),
            "domain depends on {forbidden}"
        );
    }
}

#[test]
fn everything_foreign_comes_from_the_registry() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
    let sources: BTreeSet<&str> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("source = "))
        .collect();
    assert_eq!(sources.len(), 1, "one source for all: {sources:?}");
    for package in metadata().packages {
        let ours = EDGES.iter().any(|(name, _)| package.name.as_str() == *name);
        let public = package.source.is_some_and(|source| source.is_crates_io());
        assert!(ours != public, "{} is from elsewhere", package.name);
    }
    let packages = lock.matches("[[package]]").count();
    let checked = lock.matches("\nchecksum = ").count();
    assert_eq!(
        packages - checked,
        EDGES.len(),
        "only our own crates have no checksum"
    );
}

#[test]
fn everything_foreign_is_under_a_known_licence() {
    let metadata = metadata();
    let wrong: Vec<String> = metadata
        .packages
        .iter()
        .filter(|package| !metadata.workspace_members.contains(&package.id))
        .filter(|package| !licence_is_fine(package.license.as_deref().unwrap_or_default()))
        .map(|package| {
            format!(
                "{} {} is under `{:?}`",
                package.name, package.version, package.license
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_licence_expression_is_read_as_written() {
    for fine in [
        "MIT",
        "MIT OR GPL-3.0",
        "MIT/Apache-2.0",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(licence_is_fine(fine), "{fine}");
    }
    for wrong in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "GPL-3.0 OR AGPL-3.0",
    ] {
        assert!(!licence_is_fine(wrong), "{wrong}");
    }
}

/// Whether an SPDX expression can be met by the list: `AND` of `OR`s of names, parentheses around either.
fn licence_is_fine(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut tokens: Vec<String> = Vec::new();
    for word in spaced.split_whitespace() {
        match (word, tokens.last_mut()) {
            ("(" | ")" | "AND" | "OR", _) => tokens.push(word.to_owned()),
            (_, Some(last)) if last == "WITH" || last.ends_with("WITH") => {
                last.push(' ');
                last.push_str(word);
            }
            ("WITH", Some(last)) => last.push_str(" WITH"),
            _ => tokens.push(word.to_owned()),
        }
    }
    let mut rest = tokens.as_slice();
    let fine = any_of(&mut rest);
    fine == Some(true) && rest.is_empty()
}

fn any_of(rest: &mut &[String]) -> Option<bool> {
    let mut fine = all_of(rest)?;
    while let Some((_, tail)) = rest.split_first().filter(|(head, _)| *head == "OR") {
        *rest = tail;
        fine |= all_of(rest)?;
    }
    Some(fine)
}

fn all_of(rest: &mut &[String]) -> Option<bool> {
    let mut fine = one_of(rest)?;
    while let Some((_, tail)) = rest.split_first().filter(|(head, _)| *head == "AND") {
        *rest = tail;
        fine &= one_of(rest)?;
    }
    Some(fine)
}

fn one_of(rest: &mut &[String]) -> Option<bool> {
    let (head, tail) = rest.split_first()?;
    *rest = tail;
    if head == "(" {
        let fine = any_of(rest)?;
        let (close, tail) = rest.split_first()?;
        *rest = tail;
        return (close == ")").then_some(fine);
    }
    Some(LICENCES.contains(&head.as_str()))
}

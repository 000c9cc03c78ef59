//! What the pages for people link to inside this tree is there, headings included.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The tree.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pages of the tree's root and of `docs/`.
fn pages() -> Vec<PathBuf> {
    let mut pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
        .map(|page| root().join(page))
        .to_vec();
    for folder in ["docs", "docs/adr"] {
        let files = std::fs::read_dir(root().join(folder)).expect("a folder");
        let files = files.map(|file| file.expect("a file").path());
        pages.extend(files.filter(|file| file.extension().is_some_and(|end| end == "md")));
    }
    pages
}

/// A heading as links name it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim().to_lowercase();
    let kept = heading
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// The headings of a page, outside of what is shown as code.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut code = false;
    let mut found = BTreeSet::new();
    for line in page.lines() {
        code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if !code && heading.len() < line.len() && heading.starts_with(' ') {
            found.insert(anchor(heading));
        }
    }
    found
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("a pattern");
    let mut checked = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for target in link.captures_iter(&text).filter_map(|found| found.get(1)) {
            let target = target.as_str();
            if target.contains("://") {
                continue;
            }
            checked += 1;
            let shown = format!("{}: {target}", page.display());
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            assert!(file.exists(), "{shown} is not there");
            if !heading.is_empty() && file.extension().is_some_and(|end| end == "md") {
                let there = std::fs::read_to_string(&file).expect("a page");
                assert!(
                    anchors(&there).contains(heading),
                    "{shown} has no such heading"
                );
            }
        }
    }
    assert!(checked > 50, "only {checked} links were found");
}

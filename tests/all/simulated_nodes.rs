//! The simulation of many nodes over one cluster: the same seed gives the same figures, and they say what the page says.

use std::path::Path;

use serde_json::Value;
use tests::program::run;

/// The rows of a short run.
fn rows(seed: &str) -> Value {
    run(["simulate", "--smoke", "--json", "--seed", seed])
        .done()
        .json()["rows"]
        .take()
}

/// The row of a case.
fn row<'a>(rows: &'a Value, conversations: &str, routing: &str, nodes: u64) -> &'a Value {
    let all = rows.as_array().expect("rows");
    all.iter()
        .find(|row| {
            row["conversations"] == conversations
                && row["routing"] == routing
                && row["nodes"] == nodes
        })
        .expect("the row")
}

fn figure(row: &Value, name: &str) -> f64 {
    row[name].as_f64().expect("a figure")
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_one_others() {
    let once = rows("7");
    assert_eq!(once, rows("7"));
    assert_ne!(once, rows("8"));
}

#[test]
fn one_hot_conversation_conflicts_on_many_nodes_and_on_its_own_node_never() {
    let rows = rows("1");
    let conflicts =
        |routing, nodes| figure(row(&rows, "one", routing, nodes), "conflicts_per_command");
    assert!(conflicts("any", 1) == 0.0);
    assert!(conflicts("any", 4) > 0.1);
    assert!(conflicts("sticky", 4) == 0.0);
    for name in ["uniform", "zipf"] {
        let alone = row(&rows, name, "any", 1);
        assert!(figure(alone, "conflicts_per_command") == 0.0);
        assert!(figure(row(&rows, name, "sticky", 4), "conflicts_per_command") == 0.0);
        assert!(figure(alone, "done_per_s") > 0.9 * figure(alone, "offered_per_s"));
    }
}

#[test]
fn the_table_has_a_line_for_each_row() {
    let told = run(["simulate", "--smoke"]).done().stdout;
    let lines: Vec<&str> = told.lines().collect();
    let rows = rows("1");
    assert_eq!(lines.len(), 2 + rows.as_array().expect("rows").len());
    assert!(lines.iter().all(|line| line.starts_with('|')), "{told}");
}

#[test]
fn the_page_shows_the_table_that_is_printed() {
    let told = run(["simulate", "--nodes", "1,2,4"]).done().stdout;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/beyond.md");
    let page = std::fs::read_to_string(page).expect("docs/beyond.md");
    let shown: Vec<&str> = page.lines().collect();
    // The page has the other ways for the highest numbers of nodes alone.
    let plain = |line: &&str| !line.contains("sticky") && !line.contains("caught up first");
    let lines: Vec<&str> = told.lines().filter(plain).collect();
    assert_eq!(lines.len(), 2 + 3 * 3, "{told}");
    for line in lines {
        assert!(
            shown.contains(&line),
            "docs/beyond.md is renewed by `doorstep simulate`; it does not have\n{line}"
        );
    }
}

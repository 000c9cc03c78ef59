//! A test of this binary run again as a process of its own, and killed for real.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Runs one test of this binary with these variables in its environment until a line that it tells is enough, and kills
/// it as `kill -9` does. Whether it was; else the process ended by itself.
///
/// # Panics
/// When it cannot be run.
pub fn when(test: &str, told: &[(&str, String)], mut enough: impl FnMut(&str) -> bool) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .envs(told.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    // Where one test runs at a time, its first line stands behind its name.
    let reached = lines.any(|line| enough(line.rsplit(" ... ").next().unwrap_or(&line)));
    child.kill().unwrap();
    child.wait().unwrap();
    reached
}

/// Tells the parent a line, from the process that is to be killed.
///
/// # Panics
/// When nobody reads.
pub fn tell(line: &str) {
    let line = format!("{line}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

//! The accessibility check: axe-core, run inside the page.
//!
//! It is no part of this tree: the test gets this one version from the npm registry by its name, once, into the target
//! folder, and takes it only if the package's bytes are the ones named here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::{Browser, driver, looks};

/// The package with its version.
const PACKAGE: &str = "axe-core@4.14.1";
/// Its file, as `npm pack` calls it.
const FILE: &str = "axe-core-4.14.1.tgz";
/// SHA-512 of the file; the registry's `dist.integrity` is the same in base64.
const SHA512: &str = "1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5";
/// What a finding has to be to count.
const GRAVE: [&str; 2] = ["serious", "critical"];

impl Browser {
    /// Holds that the check has no serious and no critical finding on the page as it is.
    ///
    /// # Panics
    /// With what it found.
    pub async fn is_accessible(&self) {
        let found = self.barriers().await;
        let at = self.address().await;
        assert!(found.is_empty(), "{at}:\n{}", found.join("\n"));
    }

    /// The serious and critical findings on the page as it is, a line each.
    pub async fn barriers(&self) -> Vec<String> {
        if self.script("return typeof window.axe").await != "object" {
            self.script(source()).await;
        }
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, {resultTypes: ['violations']})
                .then(found => done(found.violations.map(rule => ({
                    rule: rule.id, impact: rule.impact, help: rule.help,
                    at: rule.nodes.map(node => node.target.join(' ') + ' ' + node.html.slice(0, 200)
                        + ' (' + node.any.concat(node.all).map(check => check.message).join('; ') + ')'),
                }))), failed => done(String(failed)));";
        let asked = json!({"script": script, "args": []});
        let found = self.session.post("execute/async", asked).await;
        let found = found.unwrap_or_else(|failure| panic!("axe: {failure}"));
        let rules = found
            .as_array()
            .unwrap_or_else(|| panic!("axe failed: {found}"));
        let grave = rules
            .iter()
            .filter(|rule| GRAVE.iter().any(|grave| rule["impact"] == *grave));
        grave
            .map(|rule| {
                let at: Vec<&str> = rule["at"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(Value::as_str)
                    .collect();
                let word = |name: &str| rule[name].as_str().unwrap_or_default();
                format!(
                    "{} ({}): {}\n  {}",
                    word("rule"),
                    word("impact"),
                    word("help"),
                    at.join("\n  ")
                )
            })
            .collect()
    }
}

/// The script of the check.
fn source() -> &'static str {
    static SOURCE: OnceLock<String> = OnceLock::new();
    SOURCE.get_or_init(|| {
        let folder = looks::target().join("axe-core");
        let package = package(&folder);
        let output = Command::new("tar")
            .args(["-xzOf"])
            .arg(&package)
            .arg("package/axe.min.js")
            .output()
            .expect("tar");
        assert!(
            output.status.success(),
            "{} has no package/axe.min.js",
            package.display()
        );
        String::from_utf8(output.stdout).expect("a script is text")
    })
}

/// The package, got where it is not there yet.
fn package(folder: &Path) -> PathBuf {
    let file = folder.join(FILE);
    if digest(&file).as_deref() == Some(SHA512) {
        return file;
    }
    let known = Command::new("npm")
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    if !known.is_ok_and(|output| output.status.success()) {
        driver::install(&["npm"]);
    }
    std::fs::create_dir_all(folder).expect("a folder in the target folder");
    let advice = format!(
        "the accessibility check needs {PACKAGE} from the npm registry: see that `npm pack {PACKAGE}` works here, and run \
         the tests again"
    );
    let output = Command::new("npm")
        .args(["pack", PACKAGE, "--silent"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("{advice}.\n{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("{advice}.\n{error}"),
    }
    let found = digest(&file);
    if found.as_deref() != Some(SHA512) {
        let _ = std::fs::remove_file(&file);
        panic!("{advice}. What came was not it: its SHA-512 is {found:?}, and has to be {SHA512}");
    }
    file
}

fn digest(file: &Path) -> Option<String> {
    let bytes = std::fs::read(file).ok()?;
    let mut hex = String::new();
    for byte in Sha512::digest(bytes) {
        use std::fmt::Write as _;
        let _ = write!(hex, "{byte:02x}");
    }
    Some(hex)
}

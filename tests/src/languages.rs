//! Published clients of KurrentDB in other languages, each in one version, installed once into the target folder.
//!
//! They are no part of this tree: the package registries of their languages have them. What is missing of Debian's is
//! installed as for the browser, or told.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::browser;

/// The client for Python, with its version.
const PYTHON: &str = "kurrentdbclient==1.3.5";
/// The client for Node, with its version.
const NODE: &str = "@kurrent/kurrentdb-client@1.3.1";

/// The folder of what was installed, which bears the name and version.
fn folder(package: &str) -> PathBuf {
    let name = package.replace(['@', '/', '='], "-");
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/languages")
        .join(name.trim_matches('-'))
}

fn works(command: &mut Command) -> bool {
    let output = command.stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

/// Runs what installs, or says what to do.
fn install(command: &mut Command, package: &str) {
    let output = command.stdin(Stdio::null()).output();
    let told = match output {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "the tests need {package} from its registry: see that {command:?} works here, and run them again.\n{told}"
    );
}

/// A Python program, with the client to import.
pub fn python(script: &Path) -> Command {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = folder(PYTHON);
        let python = folder.join("bin/python");
        let imports = || works(Command::new(&python).args(["-c", "import kurrentdbclient"]));
        if !imports() {
            let venv = || works(Command::new("python3").args(["-m", "venv"]).arg(&folder));
            if !venv() {
                browser::install(&["python3", "python3-venv"]);
                assert!(venv(), "python3 -m venv {}", folder.display());
            }
            let mut pip = Command::new(&python);
            install(pip.args(["-m", "pip", "install", "-q", PYTHON]), PYTHON);
            assert!(imports(), "{PYTHON} is installed, and not found");
        }
        folder
    });
    let mut command = Command::new(folder.join("bin/python"));
    command.arg(script);
    command
}

/// A Node program, with the client to import.
pub fn node(script: &Path) -> Command {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = folder(NODE);
        let whole = folder.join("installed");
        if !whole.exists() {
            if !works(Command::new("npm").arg("--version")) {
                browser::install(&["npm"]);
            }
            std::fs::create_dir_all(&folder).expect("a folder in the target folder");
            let mut npm = Command::new("npm");
            let npm = npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]);
            install(npm.arg(&folder).arg(NODE), NODE);
            std::fs::write(whole, "").expect("a file in the target folder");
        }
        folder
    });
    // What a program imports is looked for from where it lies.
    let copy = folder.join(script.file_name().expect("a file's name"));
    std::fs::copy(script, &copy).expect("a file in the target folder");
    let mut command = Command::new("node");
    command.arg(copy);
    command
}

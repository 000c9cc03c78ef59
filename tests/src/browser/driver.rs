//! The programs: Debian's `chromium` and `chromedriver`, installed when they are missing, and one driver for all tests.
//!
//! The driver listens on a free port of loopback. It stands in a process group of its own under a shell that waits for its
//! standard input to end, which is a pipe that this process holds: however this process ends, killed too, the shell ends
//! the whole group, the browsers with it.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// What is installed, as Debian names it: the two of one source package, so that they are of one version, and letters to
/// show, which they do not bring.
const PACKAGES: [&str; 3] = ["chromium", "chromium-driver", "fonts-dejavu-core"];
/// Ends the group once nobody holds the other end of its standard input any more.
const WATCHED: &str =
    "chromedriver --port=0 --log-level=SEVERE </dev/null & read -r _; kill -KILL 0";

/// The driver's process with the pipe that keeps it.
struct Driver {
    address: SocketAddr,
    _watched: Child,
}

/// Where the driver of this process listens.
///
/// # Panics
/// When the programs are missing and cannot be installed, or it does not start.
pub(super) fn address() -> SocketAddr {
    static DRIVER: OnceLock<Driver> = OnceLock::new();
    DRIVER.get_or_init(start).address
}

fn start() -> Driver {
    if versions().is_none() {
        install(&PACKAGES);
        assert!(
            versions().is_some(),
            "chromium and chromedriver are not of one version: `chromium --version` and `chromedriver --version` \
             have to tell the same; `apt-get install chromium chromium-driver` brings both"
        );
    }
    let mut watched = Command::new("sh")
        .args(["-c", WATCHED])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let mut lines = BufReader::new(watched.stdout.take().expect("piped")).lines();
    let port = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        })
        .expect("chromedriver tells its port");
    std::thread::spawn(move || lines.for_each(drop));
    Driver {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        _watched: watched,
    }
}

/// The version that both programs are of; none where one is missing or they differ.
fn versions() -> Option<String> {
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok()?;
        let words = String::from_utf8(output.stdout).ok()?;
        let mut words = words.split_whitespace();
        words
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
            .map(str::to_owned)
    };
    let chromium = version("chromium")?;
    (chromium == version("chromedriver")?).then_some(chromium)
}

/// Installs Debian's packages, one call at a time.
///
/// # Panics
/// When they cannot be: with what a person has to do.
pub(crate) fn install(packages: &[&str]) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    let names = packages.join(" ");
    assert!(
        rustix::process::geteuid().is_root(),
        "the tests need {names}, and only root can install them: run \
         `apt-get install --no-install-recommends {names}` as root, and the tests again"
    );
    let apt = |arguments: &[&str]| {
        let output = Command::new("apt-get")
            .args(["-o", "DPkg::Lock::Timeout=600", "-q", "-y"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output();
        match output {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Some(error.to_string()),
        }
    };
    // An old list may name versions that are gone; one that cannot be renewed may still do.
    let renewing = apt(&["update"]).unwrap_or_default();
    let install = [&["install", "--no-install-recommends"], packages].concat();
    if let Some(words) = apt(&install) {
        panic!(
            "the tests need {names}, and `apt-get install --no-install-recommends {names}` failed: install \
             them by hand, and run the tests again.\n{renewing}{words}"
        );
    }
}

//! The real program, built once, run as a process.
//!
//! A server listens on a port of its own and is killed when its handle goes; nothing here waits for a time to pass,
//! only for a line that the program prints.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

/// The binary, built by cargo in the profile of the tests.
///
/// # Panics
/// When it cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&root).args([
            "build",
            "--quiet",
            "--workspace",
            "--bins",
            "--message-format=json",
        ]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let output = cargo.stderr(Stdio::inherit()).output().expect("cargo runs");
        assert!(output.status.success(), "the program does not build");
        let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
        messages
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|message| message["target"]["name"] == "doorstep")
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .expect("cargo names the executable")
    })
}

/// The program with these arguments, away from the configuration of whoever runs the tests.
pub fn doorstep<I, S>(args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DOORSTEP_") {
            command.env_remove(name);
        }
    }
    command.args(args);
    command
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; none after a signal.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// Itself, when the status is 0.
    ///
    /// # Panics
    /// When it is not.
    #[expect(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "often only that it was done matters"
    )]
    pub fn done(self) -> Self {
        assert_eq!(self.status, Some(0), "{}", self.stderr);
        self
    }

    /// Standard output as one JSON value.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).expect("JSON on standard output")
    }
}

/// Runs the program to its end.
///
/// # Panics
/// When it cannot be started.
pub fn run<I, S>(args: I) -> Ended
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    ended(&mut doorstep(args))
}

/// Runs a prepared command to its end.
///
/// # Panics
/// When it cannot be started.
pub fn ended(command: &mut Command) -> Ended {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    Ended {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A running service, killed when dropped.
pub struct Server {
    child: Child,
    /// Where it answers, such as `http://127.0.0.1:41234`.
    pub url: String,
    data: PathBuf,
    words: Arc<(Mutex<String>, Condvar)>,
}

impl Server {
    /// Starts the service over a data folder, on a free port, and waits until it listens.
    ///
    /// # Panics
    /// When it ends before that.
    pub fn start(data: &Path, more: &[&str]) -> Self {
        let mut command = doorstep(["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(data).args(more);
        Self::spawn(command, data)
    }

    /// Starts a prepared `serve` command.
    ///
    /// # Panics
    /// When it ends before it listens.
    pub fn spawn(mut command: Command, data: &Path) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("serve starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut told = String::new();
        let url = loop {
            let Some(Ok(line)) = lines.next() else {
                let _ = child.wait();
                panic!("serve ended before it listened:\n{told}");
            };
            if let Some((_, url)) = line.split_once("listening on ") {
                break url.trim().to_owned();
            }
            told.push_str(&line);
            told.push('\n');
        };
        let words = Arc::new((Mutex::new(told), Condvar::new()));
        let kept = Arc::clone(&words);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let (text, told) = &*kept;
                let mut text = text.lock().expect("nobody panics with it");
                text.push_str(&line);
                text.push('\n');
                told.notify_all();
            }
        });
        Self {
            child,
            url,
            data: data.to_owned(),
            words,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error.
    ///
    /// # Panics
    /// Never.
    pub fn words(&self) -> String {
        self.words.0.lock().expect("nobody panics with it").clone()
    }

    /// The first line on standard error that holds all of these, which may still be on its way.
    ///
    /// # Panics
    /// When it does not come within a minute.
    pub fn line_with(&self, parts: &[&str]) -> String {
        let (text, told) = &*self.words;
        let found = |text: &str| {
            let mut lines = text.lines();
            let line = lines.find(|line| parts.iter().all(|part| line.contains(part)));
            line.map(str::to_owned)
        };
        let text = text.lock().expect("nobody panics with it");
        let (text, _) = told
            .wait_timeout_while(text, Duration::from_mins(1), |text| found(text).is_none())
            .expect("nobody panics with it");
        found(&text).unwrap_or_else(|| panic!("no line with {parts:?}:\n{text}"))
    }

    /// Registers a member, an adult, as the host; gives the position.
    ///
    /// # Panics
    /// When it is not taken.
    pub async fn register(&self, member: &str) -> u64 {
        let answer = reqwest::Client::new()
            .put(format!("{}/v1/members/{member}", self.url))
            .bearer_auth(self.token("host", "service"))
            .json(&serde_json::json!({"age_band": "adult"}))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), reqwest::StatusCode::OK);
        let answer: serde_json::Value = answer.json().await.expect("JSON");
        answer["position"].as_u64().expect("a position")
    }

    /// A token of its data folder.
    ///
    /// # Panics
    /// When `token` fails.
    pub fn token(&self, sub: &str, role: &str) -> String {
        let data = self.data.to_string_lossy();
        run(["token", "--data", &data, "--sub", sub, "--role", role])
            .done()
            .stdout
            .trim()
            .to_owned()
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Panics
    /// When the process cannot be waited for.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        self.child.wait().expect("it was a child");
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Panics
    /// When the process cannot be signalled.
    pub fn stop(self) -> ExitStatus {
        self.terminate();
        self.ended()
    }

    /// Asks it to stop, and goes on: a second time ends it at once.
    ///
    /// # Panics
    /// When the process cannot be signalled.
    pub fn terminate(&self) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let process = rustix::process::Pid::from_raw(id).expect("a process id");
        rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it runs");
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When the process cannot be waited for.
    pub fn ended(mut self) -> ExitStatus {
        self.child.wait().expect("it was a child")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

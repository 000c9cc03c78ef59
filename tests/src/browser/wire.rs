//! The `WebDriver` protocol: a session, its commands as JSON over HTTP, and its end.
//!
//! A session ends when its handle goes, also by a panic: the browser's process and its profile go with it. What a command
//! fails with is told in the driver's words.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::PATIENCE;

/// A script may take longer than is waited inside of it.
const SCRIPT_PATIENCE: Duration = PATIENCE.saturating_mul(2);
/// How long the driver may take to end a session.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// A session of the driver: one browser.
pub(super) struct Session {
    /// Where its driver listens.
    pub(super) driver: SocketAddr,
    id: String,
    client: reqwest::Client,
}

/// What a command failed with.
#[derive(Debug)]
pub(super) struct Failure {
    code: String,
    message: String,
}

impl Failure {
    /// Whether there is no browser any more.
    pub(super) fn is_the_end(&self) -> bool {
        self.code == "invalid session id"
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Session {
    /// Opens a browser: no window, a profile of its own, no host but this machine, and nothing that it asks by itself.
    pub(super) async fn open(driver: SocketAddr) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-proxy-server",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--lang=en",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "timeouts": {"script": SCRIPT_PATIENCE.as_millis(), "pageLoad": SCRIPT_PATIENCE.as_millis()},
            "unhandledPromptBehavior": "accept",
            "goog:chromeOptions": {"args": arguments, "perfLoggingPrefs": {"enableNetwork": true}},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let url = format!("http://{driver}/session");
        let opened = call(client.post(url).json(&capabilities)).await;
        let opened = opened.unwrap_or_else(|failure| panic!("no browser: {failure}"));
        Session {
            driver,
            id: opened["sessionId"].as_str().unwrap().to_owned(),
            client,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/session/{}/{path}", self.driver, self.id)
    }

    /// Asks for something.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        call(self.client.get(self.url(path))).await
    }

    /// Has something done.
    pub(super) async fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        call(self.client.post(self.url(path)).json(&body)).await
    }

    /// A command of the browser's own protocol, where `WebDriver` has none.
    pub(super) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let asked = json!({"cmd": command, "params": parameters});
        let done = self.post("goog/cdp/execute", asked).await;
        done.unwrap_or_else(|failure| panic!("{command}: {failure}"))
    }

    /// What came to a log since it was asked for the last time.
    pub(super) async fn log(&self, name: &str) -> Vec<Value> {
        let told = self.post("se/log", json!({"type": name})).await;
        let told = told.unwrap_or_else(|failure| panic!("the log {name}: {failure}"));
        told.as_array().cloned().expect("a log is a list")
    }
}

/// One command and what it answers.
async fn call(request: reqwest::RequestBuilder) -> Result<Value, Failure> {
    let answer = request.send().await.expect("the driver answers");
    let succeeded = answer.status().is_success();
    let mut body: Value = answer.json().await.expect("the driver speaks JSON");
    let value = body["value"].take();
    if succeeded {
        return Ok(value);
    }
    let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Err(Failure {
        code: word("error"),
        message: word("message"),
    })
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without the runtime, which may be ending: whatever fails here is ended with the driver.
        let Ok(mut driver) = TcpStream::connect_timeout(&self.driver, END_PATIENCE) else {
            return;
        };
        let _ = driver.set_read_timeout(Some(END_PATIENCE));
        let request = format!(
            "DELETE /session/{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.id, self.driver
        );
        let _ = driver.write_all(request.as_bytes());
        let _ = driver.read(&mut [0; 1024]);
    }
}

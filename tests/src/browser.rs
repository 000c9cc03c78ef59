//! Pages in a real browser: Debian's Chromium, driven through `chromedriver` by the `WebDriver` protocol.
//!
//! A [`Browser`] is one session with a profile of its own: what it signs into, no other knows. Nothing here sleeps: what a
//! page comes to is waited for inside the page, up to [`PATIENCE`], and a wait that is over says what the page looked like
//! instead. [`Browser::is_sound`] holds what every page promises whatever it shows: nothing wrong on the console, no request
//! to another host, no serious finding of an accessibility check. The parts: `driver` brings the programs and starts them,
//! `wire` speaks the protocol, `axe` is the accessibility check, `looks` has the sizes, the colour schemes and the pictures.
//!
//! The protocol is spoken here, over the HTTP client that the tests have: the crates that speak it stand on one whose
//! licence is not among those of `tests/all/architecture.rs`.

mod axe;
mod driver;
mod looks;
mod wire;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) use driver::install;
pub use looks::{SCHEMES, Scheme, WIDTHS};
use wire::Session;

/// How long a page may take to come to what is waited for: long, since the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Keys that have no letter, as the protocol names them.
pub mod keys {
    /// Enter.
    pub const ENTER: &str = "\u{e007}";
    /// Tab.
    pub const TAB: &str = "\u{e004}";
    /// Escape.
    pub const ESCAPE: &str = "\u{e00c}";
    /// Control, to be held.
    pub const CONTROL: &str = "\u{e009}";
}

/// A browser with one page.
pub struct Browser {
    session: Session,
    /// Where it was told to go: requests to other origins are findings.
    origins: Mutex<BTreeSet<String>>,
    /// What the console and the network log told so far that is a finding; the logs tell it once.
    found: Mutex<Vec<String>>,
    /// Statuses of answers that this test provokes and that the console therefore may name.
    provoked: Mutex<BTreeSet<u16>>,
}

impl Browser {
    /// Opens one, wide, in the light scheme.
    pub async fn open() -> Self {
        let browser = Browser {
            session: Session::open(driver::address()).await,
            origins: Mutex::default(),
            found: Mutex::default(),
            provoked: Mutex::default(),
        };
        browser.look(1280, Scheme::Light).await;
        browser
    }

    /// Where the driver of this process listens.
    pub fn driver(&self) -> SocketAddr {
        self.session.driver
    }

    /// Goes to an address and waits until it is loaded.
    pub async fn go(&self, url: &str) {
        self.origins.lock().unwrap().insert(origin(url));
        self.session
            .post("url", json!({"url": url}))
            .await
            .unwrap_or_else(|failure| panic!("cannot go to {url}: {failure}"));
    }

    /// The address of the page.
    pub async fn address(&self) -> String {
        let url = self.session.get("url").await.unwrap();
        url.as_str().unwrap().to_owned()
    }

    /// What a function's body returns in the page.
    pub async fn script(&self, body: &str) -> Value {
        let asked = json!({"script": body, "args": []});
        self.session
            .post("execute/sync", asked)
            .await
            .unwrap_or_else(|failure| panic!("{failure}, of the script\n{body}"))
    }

    /// Waits until an expression is true in the page, over navigations.
    ///
    /// # Panics
    /// When it does not come to be.
    pub async fn until(&self, expression: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let script = format!(
                "const done = arguments[arguments.length - 1], end = Date.now() + {};
                 const look = () => {{
                     let is; try {{ is = Boolean({expression}); }} catch (_) {{ is = false; }}
                     if (is || Date.now() > end) done(is); else setTimeout(look, 20);
                 }};
                 look();",
                left.as_millis()
            );
            let asked = json!({"script": script, "args": []});
            let came = self.session.post("execute/async", asked).await;
            match came {
                Ok(Value::Bool(true)) => return,
                // The page went away under the script, which the driver tells in many ways: the next one is looked at.
                Err(failure) if Instant::now() < until && !failure.is_the_end() => {}
                Err(failure) => panic!("{failure}, while waiting for `{expression}`"),
                Ok(_) => {
                    let at = self.address().await;
                    let page = self.text_of_page().await;
                    panic!("{at} does not come to `{expression}`; it says\n{page}");
                }
            }
        }
    }

    /// Waits until something matches a selector.
    pub async fn until_there(&self, selector: &str) {
        self.until(&format!("document.querySelector({})", quoted(selector)))
            .await;
    }

    /// Waits until nothing matches a selector.
    pub async fn until_gone(&self, selector: &str) {
        self.until(&format!("!document.querySelector({})", quoted(selector)))
            .await;
    }

    /// Waits until what matches a selector holds these words, as they are shown.
    pub async fn until_says(&self, selector: &str, words: &str) {
        let (selector, words) = (quoted(selector), quoted(words));
        self.until(&format!(
            "[...document.querySelectorAll({selector})].some(e => e.innerText.includes({words}))"
        ))
        .await;
    }

    /// How many match a selector now.
    pub async fn count(&self, selector: &str) -> u64 {
        let selector = quoted(selector);
        self.script(&format!(
            "return document.querySelectorAll({selector}).length"
        ))
        .await
        .as_u64()
        .unwrap()
    }

    /// The text of the first that matches, as it is shown.
    pub async fn text(&self, selector: &str) -> String {
        self.until_there(selector).await;
        let selector = quoted(selector);
        let text = self
            .script(&format!(
                "return document.querySelector({selector}).innerText"
            ))
            .await;
        text.as_str().unwrap().to_owned()
    }

    /// All that the page shows as text.
    pub async fn text_of_page(&self) -> String {
        let text = self
            .script("return document.body ? document.body.innerText : ''")
            .await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks the first that matches once it is there, as a person does: what it begins has begun when this returns, and a
    /// page that comes of it is loaded.
    pub async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.session
            .post(&format!("element/{element}/click"), json!({}))
            .await
            .unwrap_or_else(|failure| panic!("cannot click `{selector}`: {failure}"));
    }

    /// Types into the first that matches, in place of what it holds.
    pub async fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.session
            .post(&format!("element/{element}/clear"), json!({}))
            .await
            .unwrap_or_else(|failure| panic!("cannot empty `{selector}`: {failure}"));
        self.session
            .post(&format!("element/{element}/value"), json!({"text": text}))
            .await
            .unwrap_or_else(|failure| panic!("cannot type into `{selector}`: {failure}"));
    }

    /// Chooses the option of this value in the first `select` that matches, and tells the page as a person's choice does.
    pub async fn choose(&self, selector: &str, value: &str) {
        self.click(&format!("{selector} option[value={}]", quoted(value)))
            .await;
    }

    /// Presses one key, as a person does with whatever has the focus; `held` is held meanwhile.
    pub async fn press(&self, held: Option<&str>, key: &str) {
        let down = |key: &str| json!({"type": "keyDown", "value": key});
        let up = |key: &str| json!({"type": "keyUp", "value": key});
        let mut actions: Vec<Value> = held.map(down).into_iter().collect();
        actions.extend([down(key), up(key)]);
        actions.extend(held.map(up));
        let asked = json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]});
        self.session.post("actions", asked).await.unwrap();
    }

    /// This test provokes answers of this status; the console names them, and that is no finding.
    pub fn provokes(&self, status: u16) {
        self.provoked.lock().unwrap().insert(status);
    }

    /// Holds what every page promises: an accessibility check without a serious finding on the page as it is, and since the
    /// browser was opened no error on the console and no request to another host.
    ///
    /// # Panics
    /// When it does not.
    pub async fn is_sound(&self) {
        self.is_accessible().await;
        self.is_quiet().await;
    }

    /// Holds that since the browser was opened no error came to the console and no request went to another host.
    ///
    /// # Panics
    /// When one did.
    pub async fn is_quiet(&self) {
        let found = self.findings().await;
        assert!(
            found.is_empty(),
            "{}:\n{}",
            self.address().await,
            found.join("\n")
        );
    }

    /// Errors of the console and requests to other hosts since the browser was opened.
    pub async fn findings(&self) -> Vec<String> {
        let console = self.session.log("browser").await;
        let network = self.session.log("performance").await;
        let origins = self.origins.lock().unwrap().clone();
        let provoked = self.provoked.lock().unwrap().clone();
        let mut found = self.found.lock().unwrap();
        for entry in console {
            let message = entry["message"].as_str().unwrap_or_default();
            let is_provoked = entry["source"] == "network"
                && provoked
                    .iter()
                    .any(|status| message.contains(&format!("a status of {status} ")));
            if entry["level"] == "SEVERE" && !is_provoked {
                found.push(format!("on the console: {message}"));
            }
        }
        for entry in network {
            let told: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            let (method, told) = (&told["message"]["method"], &told["message"]["params"]);
            let url = match method.as_str().unwrap_or_default() {
                "Network.requestWillBeSent" => &told["request"]["url"],
                "Network.webSocketCreated" | "Network.webTransportCreated" => &told["url"],
                _ => continue,
            };
            let url = url.as_str().unwrap_or_default();
            let inside = ["data:", "blob:", "about:"]
                .iter()
                .any(|s| url.starts_with(s));
            if !inside && !origins.contains(&origin(url)) {
                found.push(format!("a request to another host: {url}"));
            }
        }
        found.clone()
    }

    async fn element(&self, selector: &str) -> String {
        self.until_there(selector).await;
        let asked = json!({"using": "css selector", "value": selector});
        let found = self.session.post("element", asked).await;
        let found = found.unwrap_or_else(|failure| panic!("no `{selector}`: {failure}"));
        let reference = found.as_object().unwrap().values().next().unwrap();
        reference.as_str().unwrap().to_owned()
    }
}

/// A text as a literal of a script.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}")
}

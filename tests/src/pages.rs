//! A browser without a browser: pages asked for with their cookie, forms sent as they were shown.
//!
//! [`Sitting`] is somebody signed in at the desk. [`Shown`] is a page, of which the tests read text, forms and headers; what
//! a real browser makes of it is not known here.

use std::fmt::Write as _;

use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::api::{Door, Reply, reply};

/// A page.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The page as it was written.
    pub html: String,
}

impl Shown {
    /// The page of an answer.
    pub fn of(reply: Reply) -> Self {
        Shown {
            status: reply.status,
            headers: reply.headers,
            html: String::from_utf8(reply.bytes).expect("a page is UTF-8"),
        }
    }

    /// The same page; panics with it unless it has this status.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.html);
        self
    }

    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// Whether it shows this text, as text.
    pub fn says(&self, text: &str) -> bool {
        self.html.contains(&escaped(text))
    }

    /// Whether it has a form that is sent there.
    pub fn has_form(&self, action: &str) -> bool {
        self.html.contains(&format!("action=\"{action}\""))
    }

    /// What the form that is sent there has of its own: names and values of its hidden fields.
    pub fn hidden(&self, action: &str) -> Vec<(String, String)> {
        let form = self.form(action).html;
        let fields = form.split("<input type=\"hidden\" name=\"").skip(1);
        let field = |text: &str| {
            let (name, rest) = text.split_once("\" value=\"").unwrap();
            let value = rest.split('"').next().unwrap();
            (name.to_owned(), unescaped(value))
        };
        fields.map(field).collect()
    }

    /// The part of the page that is the form which is sent there.
    #[must_use]
    pub fn form(&self, action: &str) -> Shown {
        let start = self.html.find(&format!("action=\"{action}\""));
        let start = start.unwrap_or_else(|| panic!("no form for {action}: {}", self.html));
        let form = &self.html[start..];
        let html = form[..form.find("</form>").unwrap()].to_owned();
        Shown {
            html,
            ..self.clone()
        }
    }

    /// The value that a field of this name is filled with.
    pub fn field(&self, name: &str) -> String {
        let named = format!("name=\"{name}\"");
        let at = self.html.find(&named).unwrap_or_else(|| panic!("{name}"));
        let tag_start = self.html[..at].rfind('<').unwrap();
        let tag = &self.html[tag_start..];
        let end = tag.find('>').unwrap();
        if tag.starts_with("<textarea") {
            let rest = &tag[end + 1..];
            let text = &rest[..rest.find("</textarea>").unwrap()];
            // As a browser reads it.
            return unescaped(text.strip_prefix('\n').unwrap_or(text));
        }
        let value = tag[..end].split("value=\"").nth(1).unwrap_or("");
        unescaped(value.split('"').next().unwrap())
    }

    /// The elements that the alert of the page leads to, each of which is there once and says that it is wrong; none where it
    /// tells of no field. It has the focus when the page is shown.
    ///
    /// # Panics
    /// When there is not one alert, or it leads elsewhere.
    pub fn led_to(&self) -> Vec<String> {
        let parts: Vec<&str> = self.html.split("role=\"alert\"").collect();
        let [_, alert] = &parts[..] else {
            panic!("not one alert: {}", self.html);
        };
        assert!(
            alert.starts_with(" tabindex=\"-1\" autofocus"),
            "it has not the focus: {alert}"
        );
        let alert = alert.split("</div>").next().unwrap();
        let links = alert.split("href=\"#").skip(1);
        let links = links.map(|rest| rest.split('"').next().unwrap().to_owned());
        let links: Vec<String> = links.collect();
        for element in &links {
            let with = format!(" id=\"{element}\"");
            let parts: Vec<&str> = self.html.split(&with).collect();
            assert_eq!(parts.len(), 2, "{element}: {}", self.html);
            let attributes = parts[1].split('>').next().unwrap();
            assert!(
                attributes.contains("aria-invalid=\"true\"")
                    || attributes.contains("aria-describedby=\"wrong-"),
                "{element} does not say that it is wrong: {attributes}"
            );
        }
        links
    }

    /// Where it sends the browser.
    pub fn location(&self) -> &str {
        self.header("location")
    }

    /// The cookie that it sets, without its attributes.
    pub fn cookie(&self) -> &str {
        self.header("set-cookie").split(';').next().unwrap()
    }
}

/// Text as the pages write it.
pub fn escaped(text: &str) -> String {
    let mut written = String::new();
    for letter in text.chars() {
        match letter {
            '<' | '>' | '&' | '"' | '\'' => {
                let _ = write!(written, "&#{};", u32::from(letter));
            }
            letter => written.push(letter),
        }
    }
    written
}

fn unescaped(text: &str) -> String {
    let mut read = text.to_owned();
    for letter in ['<', '>', '"', '\'', '&'] {
        read = read.replace(&format!("&#{};", u32::from(letter)), &letter.to_string());
    }
    read
}

/// A form's body.
pub fn form(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        text.bytes()
            .map(|byte| match byte {
                b' ' => "+".to_owned(),
                byte if plain(byte) => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    pairs.join("&")
}

/// Asks for a page with this cookie.
pub async fn page(door: &Door, path: &str, cookie: &str) -> Shown {
    let request = door.request(Method::GET, path).header("cookie", cookie);
    Shown::of(reply(request).await)
}

/// Sends a form with this cookie, as a browser that says where it comes from.
pub async fn send(door: &Door, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Shown {
    send_from(
        door,
        path,
        cookie,
        fields,
        &[("sec-fetch-site", "same-origin")],
    )
    .await
}

/// The same with these headers.
pub async fn send_from(
    door: &Door,
    path: &str,
    cookie: &str,
    fields: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Shown {
    let mut request = door
        .request(Method::POST, path)
        .header("cookie", cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(fields));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Shown::of(reply(request).await)
}

/// Somebody at the desk.
pub struct Sitting<'a> {
    /// Where.
    pub door: &'a Door,
    /// Their cookie.
    pub cookie: String,
}

impl<'a> Sitting<'a> {
    /// Signs in by the form.
    pub async fn of(door: &'a Door, token: &str) -> Self {
        let shown = sign_in(door, token, &[]).await.expect(303);
        let cookie = shown.cookie().to_owned();
        Sitting { door, cookie }
    }

    /// Asks for a page.
    pub async fn page(&self, path: &str) -> Shown {
        page(self.door, path, &self.cookie).await
    }

    /// Sends the form of a page that is sent there, with these fields filled.
    pub async fn fill(&self, shown: &Shown, action: &str, fields: &[(&str, &str)]) -> Shown {
        let hidden = shown.hidden(action);
        let own = hidden.iter().map(|(name, value)| (&**name, &**value));
        let all: Vec<(&str, &str)> = own.chain(fields.iter().copied()).collect();
        send(self.door, action, &self.cookie, &all).await
    }

    /// Goes where an answer sends the browser.
    pub async fn follow(&self, shown: &Shown) -> Shown {
        assert_eq!(shown.status, 303, "{}", shown.html);
        self.page(shown.location()).await
    }
}

/// Sends the sign-in form with this token, and what comes of it.
pub async fn sign_in(door: &Door, token: &str, headers: &[(&str, &str)]) -> Shown {
    let shown = page(door, "/desk/sign-in", "").await.expect(200);
    let hidden = shown.hidden("/desk/sign-in");
    let own = hidden.iter().map(|(name, value)| (&**name, &**value));
    let fields: Vec<(&str, &str)> = own.chain([("token", token)]).collect();
    send_from(door, "/desk/sign-in", shown.cookie(), &fields, headers).await
}

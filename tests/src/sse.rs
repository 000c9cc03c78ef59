//! Streams that go on, as a client reads them: server-sent events and lines, piece by piece as they come.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

/// How long a test waits for what has to come.
const WITHIN: Duration = Duration::from_mins(1);

/// One server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its `id`, if it has one.
    pub id: Option<String>,
    /// Its name.
    pub event: String,
    /// Its data.
    pub data: String,
}

impl Said {
    /// The data as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("JSON as data")
    }
}

/// A stream that is read.
pub struct Stream {
    answer: reqwest::Response,
    part: Vec<u8>,
    whole: VecDeque<Vec<u8>>,
    /// What ends an item.
    end: &'static [u8],
    /// The last id that came, as a client keeps it.
    pub last_id: Option<String>,
}

impl Stream {
    /// Begins to read an answer.
    ///
    /// # Panics
    /// When it is no stream.
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let media_type = answer.headers()["content-type"].to_str().expect("text");
        let end: &[u8] = match media_type {
            "text/event-stream" => b"\n\n",
            "application/x-ndjson" => b"\n",
            other => panic!("{other} is no stream"),
        };
        Self {
            answer,
            part: Vec::new(),
            whole: VecDeque::new(),
            end,
            last_id: None,
        }
    }

    /// A header of the answer.
    ///
    /// # Panics
    /// When it is not there.
    pub fn header(&self, name: &str) -> String {
        self.answer.headers()[name]
            .to_str()
            .expect("text")
            .to_owned()
    }

    /// The next item, whole; none where the stream ended or broke off.
    ///
    /// # Panics
    /// When nothing comes for a long time.
    pub async fn item(&mut self) -> Option<String> {
        loop {
            if let Some(item) = self.whole.pop_front() {
                return Some(String::from_utf8(item).expect("UTF-8"));
            }
            let chunk = tokio::time::timeout(WITHIN, self.answer.chunk()).await;
            let Ok(Some(chunk)) = chunk.expect("something comes") else {
                return None;
            };
            self.part.extend_from_slice(&chunk);
            let mut begin = 0;
            while let Some(at) = self.part[begin..]
                .windows(self.end.len())
                .position(|bytes| bytes == self.end)
            {
                self.whole.push_back(self.part[begin..begin + at].to_vec());
                begin += at + self.end.len();
            }
            self.part.drain(..begin);
        }
    }

    /// The next event that says something, comments and the like left out; none at the end.
    ///
    /// # Panics
    /// When an event has a field that none has.
    pub async fn any(&mut self) -> Option<Said> {
        loop {
            let item = self.item().await?;
            let mut said = Said::default();
            for line in item.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => said.id = Some(id.to_owned()),
                    Some(("event", name)) => name.clone_into(&mut said.event),
                    Some(("data", data)) => data.clone_into(&mut said.data),
                    Some(("retry", _)) => {}
                    _ if line.starts_with(':') => {}
                    _ => panic!("no line of an event: {line}"),
                }
            }
            if let Some(id) = &said.id {
                self.last_id = Some(id.clone());
            }
            if !said.event.is_empty() {
                return Some(said);
            }
        }
    }

    /// The next event, heartbeats left out; none at the end.
    pub async fn next(&mut self) -> Option<Said> {
        loop {
            let said = self.any().await?;
            if said.event != "reached" {
                return Some(said);
            }
        }
    }

    /// So many events, heartbeats left out.
    ///
    /// # Panics
    /// When the stream ends before.
    pub async fn take(&mut self, count: usize) -> Vec<Said> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            taken.push(self.next().await.expect("the stream goes on"));
        }
        taken
    }

    /// The rest, heartbeats left out.
    pub async fn rest(&mut self) -> Vec<Said> {
        let mut rest = Vec::new();
        while let Some(said) = self.next().await {
            rest.push(said);
        }
        rest
    }
}

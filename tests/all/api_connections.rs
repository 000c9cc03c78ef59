//! Connections that go on after a refusal, and those that say that they end.

use serde_json::{Value, json};
use tests::api::Door;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

/// One connection, used as a plain client does: a request, its answer, the next request.
struct Line(BufStream<TcpStream>);

impl Line {
    async fn to(door: &Door) -> Self {
        let stream = TcpStream::connect(door.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufStream::new(stream))
    }

    /// Sends a piece on its own.
    async fn write(&mut self, piece: &str) {
        self.0.write_all(piece.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
        tokio::task::yield_now().await;
    }

    /// The status of the next answer, its code, and whether the connection ends with it.
    async fn answer(&mut self) -> (u16, Value, bool) {
        let (mut status, mut bytes, mut closes) = (0, 0, false);
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).await.unwrap(), 0, "it broke");
            let line = line.trim().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(length) = line.strip_prefix("content-length:") {
                bytes = length.trim().parse().unwrap();
            } else if line == "connection: close" {
                closes = true;
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; bytes];
        self.0.read_exact(&mut body).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        (status, body["code"].clone(), closes)
    }

    /// Nothing more comes.
    async fn ended(mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
    }
}

fn head(token: &str, more: &str) -> String {
    format!("POST /v1/messages HTTP/1.1\r\nhost: d\r\n{token}{more}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_before_the_body_was_read_leave_the_connection_usable() {
    let door = Door::open().await;
    let body = json!({"to": "ann", "text": "hi"}).to_string();
    let mut line = Line::to(&door).await;
    let host = format!("authorization: Bearer {}\r\n", door.service());
    for turn in 0..500 {
        let (token, refused) = match turn % 3 {
            0 => ("", (401, json!("unauthenticated"))),
            1 => ("authorization: Bearer x\r\n", (401, json!("token_invalid"))),
            _ => (host.as_str(), (403, json!("forbidden"))),
        };
        line.write(&head(token, &format!("content-length: {}", body.len())))
            .await;
        line.write(&body).await;
        let (status, code, closes) = line.answer().await;
        assert_eq!(((status, code), closes), (refused, false), "turn {turn}");
    }
    // One in chunks, whose end shows with its last piece.
    line.write(&head("", "transfer-encoding: chunked")).await;
    for piece in ["5\r\nhello\r\n", "0\r\n\r\n"] {
        line.write(piece).await;
    }
    assert_eq!(line.answer().await, (401, json!("unauthenticated"), false));
    line.write(&head("", "content-length: 0")).await;
    assert_eq!(line.answer().await, (401, json!("unauthenticated"), false));
}

#[tokio::test]
async fn a_connection_that_cannot_go_on_says_so() {
    let door = Door::open().await;
    for more in [
        // Too much to read for nothing, and a body that is sent only when it is asked for.
        "content-length: 1000000000",
        "content-length: 10\r\nexpect: 100-continue",
    ] {
        let mut line = Line::to(&door).await;
        line.write(&head("", more)).await;
        let told = line.answer().await;
        assert_eq!(told, (401, json!("unauthenticated"), true), "{more}");
        line.ended().await;
    }
}

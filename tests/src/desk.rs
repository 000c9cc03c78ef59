//! A case to work on at the desk, and its forms sent as they are shown.

use api::Role;
use serde_json::{Value, json};

use crate::api::{Door, Scene};
use crate::pages::{Shown, Sitting};

/// A door with a case about bob, whom ann reported.
pub struct Desk {
    /// The service.
    pub door: Door,
    /// The case.
    pub case: String,
}

impl Desk {
    /// Opens it.
    pub async fn open() -> Self {
        Self::about(&["hello"], "").await
    }

    /// The same, with these messages of bob's, all of which are reported with this comment.
    pub async fn about(texts: &[&str], comment: &str) -> Self {
        let Scene { door, cid } = Scene::open().await;
        door.sent("ann", "bob", "who are you?").await;
        let mut numbers = vec![1];
        for text in texts {
            let sent = door.send("bob", "ann", text).await.expect(201);
            numbers.push(sent.json()["number"].as_u64().unwrap());
        }
        let report = json!({"conversation_id": cid, "messages": numbers, "category": "scam", "comment": comment});
        let _ = door
            .post("/v1/reports", &door.member("ann"), report)
            .await
            .expect(201);
        door.views_at_the_end().await;
        let token = door.token("mia", &[Role::Moderator]);
        let queue = door.get("/v1/moderation/queue", &token).await.json();
        let case = queue["items"][0]["case_id"].as_str().unwrap().to_owned();
        Desk { door, case }
    }

    /// A moderator at the desk.
    pub async fn sits(&self, sub: &str) -> Sitting<'_> {
        Sitting::of(&self.door, &self.door.token(sub, &[Role::Moderator])).await
    }

    /// The path of the case's page.
    pub fn path(&self) -> String {
        format!("/desk/cases/{}", self.case)
    }

    /// The path of one of its forms.
    pub fn form(&self, act: &str) -> String {
        format!("/desk/cases/{}/{act}", self.case)
    }

    /// The case's page as it is now.
    pub async fn shown(&self, sitting: &Sitting<'_>) -> Shown {
        self.door.views_at_the_end().await;
        sitting.page(&self.path()).await.expect(200)
    }

    /// Sends a form of the case as it is now.
    pub async fn act(&self, sitting: &Sitting<'_>, act: &str, fields: &[(&str, &str)]) -> Shown {
        let shown = self.shown(sitting).await;
        sitting.fill(&shown, &self.form(act), fields).await
    }

    /// The events of the case's stream, by type and content.
    pub async fn events(&self, event_type: &str) -> Vec<Value> {
        self.door.views_at_the_end().await;
        let path = format!(
            "/v1/events?stream=case-{}&type={event_type}&limit=200",
            self.case
        );
        let token = self.door.token("ada", &[Role::Auditor]);
        let page = self.door.get(&path, &token).await.expect(200).json();
        page["items"].as_array().unwrap().clone()
    }
}

/// A decision, as its form is filled.
pub const RULING: [(&str, &str); 4] = [
    ("action", "suspend"),
    ("reason", "scam"),
    ("text", "You asked for money."),
    ("facts", "Three messages."),
];

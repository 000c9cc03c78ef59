//! A running service, asked over HTTP by the subcommands that take `--url` and `--token`.

use anyhow::Context as _;

use crate::cli::Remote;
use crate::failure::Failure;

/// A running service and a token for it.
pub(crate) struct Service {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Service {
    /// The service that the flags name, if they name one.
    pub(crate) fn of(remote: &Remote) -> Result<Option<Self>, Failure> {
        let Some(url) = &remote.url else {
            return Ok(None);
        };
        let Some(token) = &remote.token else {
            return Err(Failure::usage("--url needs --token"));
        };
        let client = reqwest::Client::builder()
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Some(Self {
            client,
            url: url.trim_end_matches('/').to_owned(),
            token: token.clone(),
        }))
    }

    /// Asks for a resource, and gives the answer when it is a success.
    pub(crate) async fn get(
        &self,
        path: &str,
        query: &[(&str, String)],
        accept: &str,
    ) -> Result<reqwest::Response, Failure> {
        let mut url =
            reqwest::Url::parse(&format!("{}{path}", self.url)).context("--url is not a URL")?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.answered(self.client.get(url).header("accept", accept))
            .await
    }

    /// Posts nothing to a resource, and gives the answer when it is a success.
    pub(crate) async fn post(&self, path: &str) -> Result<reqwest::Response, Failure> {
        self.answered(self.client.post(format!("{}{path}", self.url)))
            .await
    }

    /// Posts nothing to a resource with a query, and gives the answer when it is a success.
    pub(crate) async fn post_with(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<reqwest::Response, Failure> {
        let mut url =
            reqwest::Url::parse(&format!("{}{path}", self.url)).context("--url is not a URL")?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.answered(self.client.post(url)).await
    }

    /// Posts a body to a resource, and gives the answer when it is a success.
    pub(crate) async fn post_json(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<reqwest::Response, Failure> {
        let request = self.client.post(format!("{}{path}", self.url));
        self.answered(request.json(body)).await
    }

    /// Deletes a resource, and gives the answer when it is a success.
    pub(crate) async fn delete(&self, path: &str) -> Result<reqwest::Response, Failure> {
        self.answered(self.client.delete(format!("{}{path}", self.url)))
            .await
    }

    async fn answered(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Failure> {
        let answer = request
            .bearer_auth(&self.token)
            .send()
            .await
            .with_context(|| format!("{} does not answer", self.url))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let problem: serde_json::Value = answer.json().await.unwrap_or_default();
        let told = |name: &str| problem.get(name).and_then(serde_json::Value::as_str);
        let (url, code) = (&self.url, told("code").unwrap_or_default());
        let detail = told("detail").unwrap_or("It does not say why; is it a Doorstep?");
        let more = match code {
            "token_invalid" | "token_expired" => {
                " Make one with `doorstep token` and the --data or --auth-key of that service."
            }
            "invalid_query" => return Err(Failure::usage(detail)),
            _ => "",
        };
        Err(anyhow::anyhow!("{url} answers {status}, {code}: {detail}{more}").into())
    }
}

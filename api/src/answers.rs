//! What comes back: the shapes that all answers share, and the pages of lists.
//!
//! An answer is JSON with the position in the header `Doorstep-Position`: the one a command reached, or the one a view
//! has come to. Lists are pages of `items` with a `next_cursor`, bound to the view, the caller and the log.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use commands::Command;
use event_store::Position;
use projections::{Cursor, Page, PageRequest};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::caller::{Acting, Caller, DOORSTEP_POSITION, ShownPosition};
use crate::problem::{ApiError, Code};
use crate::query::Paging;

/// An answer with its position in the header.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    status: StatusCode,
    position: ShownPosition,
    body: T,
}

impl<T> Answered<T> {
    /// 200.
    pub(crate) fn ok(position: ShownPosition, body: T) -> Self {
        Answered {
            status: StatusCode::OK,
            position,
            body,
        }
    }

    /// What is answered.
    pub(crate) fn body(&self) -> &T {
        &self.body
    }

    /// The same, for a page that shows it.
    pub(crate) fn into_body(self) -> T {
        self.body
    }

    /// 201.
    pub(crate) fn created(position: ShownPosition, body: T) -> Self {
        Answered {
            status: StatusCode::CREATED,
            position,
            body,
        }
    }

    /// 202.
    pub(crate) fn accepted(position: ShownPosition, body: T) -> Self {
        Answered {
            status: StatusCode::ACCEPTED,
            position,
            body,
        }
    }
}

impl<T: Serialize> IntoResponse for Answered<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.body) {
            Ok(bytes) => {
                let mut response = (self.status, Bytes::from(bytes)).into_response();
                let headers = response.headers_mut();
                headers.insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                );
                headers.insert(DOORSTEP_POSITION, self.position.to_header());
                response
            }
            Err(error) => ApiError::with_detail(Code::Internal, error.to_string()).into_response(),
        }
    }
}

/// What a command answers that has nothing to tell but its position.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reached {
    /// The position it reached; where it was so already, that of the event that made it so, 0 if none did.
    pub position: ShownPosition,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where to go on; null at the end.
    pub next_cursor: Option<String>,
}

impl Shared {
    /// Carries out a command that has nothing to tell but its position.
    pub(crate) async fn reach<A>(
        &self,
        acting: Acting<A>,
        command: Command,
    ) -> Result<Answered<Reached>, ApiError> {
        let (_, position) = self.carry_out(&acting, command).await?;
        Ok(Answered::ok(position.clone(), Reached { position }))
    }

    /// The page that a query asks for.
    pub(crate) fn page<A>(
        &self,
        caller: &Caller<A>,
        view: &str,
        asked: &Paging,
    ) -> Result<PageRequest, ApiError> {
        let after = match &asked.cursor {
            Some(text) => Some(Cursor::from_bytes(&self.cursor_given(
                view,
                caller.sub().as_str(),
                text,
            )?)?),
            None => None,
        };
        Ok(PageRequest::new(
            asked.limit.unwrap_or(projections::LIMIT_DEFAULT),
            after,
        )?)
    }

    /// The answer of a page.
    pub(crate) fn listed<A, T, U>(
        &self,
        caller: &Caller<A>,
        view: &str,
        page: Page<T>,
        item: impl FnMut(T) -> U,
    ) -> Answered<Listed<U>> {
        let next_cursor = page
            .next
            .map(|next| self.cursor_shown(view, caller.sub().as_str(), &next.to_bytes()));
        let items = page.items.into_iter().map(item).collect();
        self.standing_at(caller, page.position, Listed { items, next_cursor })
    }

    /// The answer of a query, with how far its view has come.
    pub(crate) fn standing_at<A, T>(
        &self,
        caller: &Caller<A>,
        position: Position,
        body: T,
    ) -> Answered<T> {
        Answered::ok(caller.shows(self, position), body)
    }
}

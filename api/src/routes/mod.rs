//! The routes, a file per resource: its shapes, its errors, its thin functions.
//!
//! Adding a resource is adding its file and its line here; the document, the roles' test and the meters follow from it.

use utoipa_axum::router::OpenApiRouter;

use crate::app::State;

pub(crate) mod acts;
pub(crate) mod appeals;
pub(crate) mod audit;
pub(crate) mod blocks;
mod case_appeals;
pub(crate) mod claims;
mod conversations;
pub(crate) mod decisions;
pub(crate) mod dm_setting;
mod events;
mod feed;
mod health;
pub(crate) mod inbox;
mod letters;
mod members;
pub(crate) mod messages;
pub(crate) mod moderation;
mod own_views;
mod policy;
mod queue_counts;
mod relationships;
mod reopenings;
mod report_limits;
mod reports;
pub(crate) mod requests;
mod statements;
mod store;
mod suspensions;
mod transparency;
pub(crate) mod unread;
mod views;

/// All routes with their documents.
pub(crate) fn all() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(crate::openapi::base())
        .merge(members::router())
        .merge(relationships::router())
        .merge(policy::router())
        .merge(dm_setting::router())
        .merge(blocks::router())
        .merge(messages::router())
        .merge(conversations::router())
        .merge(requests::router())
        .merge(reports::router())
        .merge(inbox::router())
        .merge(unread::router())
        .merge(feed::router())
        .merge(moderation::router())
        .merge(claims::router())
        .merge(decisions::router())
        .merge(reopenings::router())
        .merge(acts::router())
        .merge(queue_counts::router())
        .merge(appeals::router())
        .merge(statements::router())
        .merge(suspensions::router())
        .merge(transparency::router())
        .merge(report_limits::router())
        .merge(audit::router())
        .merge(events::router())
        .merge(views::router())
        .merge(letters::router())
        .merge(own_views::router())
        .merge(store::router())
        .merge(health::router())
}

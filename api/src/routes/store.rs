//! The operator's care of the log: checking every record, and a backup while it runs.
//!
//! The backup is a tar archive of the files. The engine first lays it out in the data folder, where it is checked, and takes
//! it away once it is sent or nobody listens any more; without room for it beside the disk's reserve there is none. One
//! of each at a time, since both read the whole log.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use event_store::BackupError;
use tokio::sync::mpsc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::Answered;
use crate::app::{BackupPart, LogElsewhere, State};
use crate::caller::{AsOperator, Caller};
use crate::damage::Place;
use crate::problem::{ApiError, Code};
use crate::tar;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(verify))
        .routes(routes!(backup))
}

/// Checks every record of the log.
#[utoipa::path(post, path = "/v1/store/verify", tag = "operator", responses((status = 200,
    description = "`ok` says whether every record checks; the rest names what was checked and what does not. Damage makes the service unready until it is started again.", body = serde_json::Value)))]
async fn verify(
    Extract(shared): Extract<State>,
    caller: Caller<AsOperator>,
) -> Result<Answered<serde_json::Value>, ApiError> {
    let Ok(_permit) = shared.verifying.try_acquire() else {
        return Err(
            ApiError::with_detail(Code::Busy, "The log is being verified already.")
                .retry_after_s(10),
        );
    };
    let position = shared.store.durable_position();
    match shared.care.verify().await {
        Ok(report) => {
            if let Some(place) = Place::of_report(&report) {
                shared.damage.note(&place);
            }
            Ok(shared.standing_at(&caller, position, report))
        }
        Err(error) => Err(ApiError::with_detail(Code::Internal, format!("{error:#}"))),
    }
}

/// A backup of the log as it is now, as a tar archive.
#[utoipa::path(get, path = "/v1/store/backup", tag = "operator", responses((status = 200,
    description = "A tar archive that `doorstep restore` takes when unpacked.", body = Vec<u8>, content_type = "application/x-tar")))]
async fn backup(
    Extract(shared): Extract<State>,
    caller: Caller<AsOperator>,
) -> Result<Response, ApiError> {
    let Ok(permit) = Arc::clone(&shared.backing_up).try_acquire_owned() else {
        return Err(
            ApiError::with_detail(Code::Busy, "A backup is being made already.").retry_after_s(10),
        );
    };
    tracing::info!(target: "doorstep::access", reader = caller.sub().as_str(), "a backup is made");
    let (send_part, parts) = mpsc::channel::<BackupPart>(4);
    let care = Arc::clone(&shared.care);
    let made = tokio::spawn(async move { care.backup(send_part).await });
    let mut archive = tar::Archive::new(parts);
    // What fails at once is told as a failure; later the answer can only break off.
    let first = archive.next().await.map_err(|error| failed(&error))?;
    let mut made = Some(made);
    if first.is_none()
        && let Some(made) = made.take()
    {
        made.await
            .map_err(|error| failed(&error))?
            .map_err(|error| match Place::of_backup(&error) {
                Some(place) => {
                    shared.damage.note(&place);
                    ApiError::with_detail(Code::Damaged, format!("{error:#}"))
                }
                None if is_no_room(&error) => {
                    ApiError::with_detail(Code::StorageFull, format!("{error:#}"))
                }
                None if error.is::<LogElsewhere>() => {
                    ApiError::with_detail(Code::LogElsewhere, error.to_string())
                }
                None => failed(error.as_ref()),
            })?;
    }
    let state = (archive, first, made, permit);
    let chunks =
        futures::stream::try_unfold(state, |(mut archive, first, mut made, permit)| async move {
            let chunk = match first {
                Some(chunk) => Some(chunk),
                None => archive.next().await?,
            };
            if let Some(chunk) = chunk {
                return Ok::<_, io::Error>(Some((chunk, (archive, None, made, permit))));
            }
            // The end of the archive is sent only if the backup says that it is whole.
            let Some(made) = made.take() else {
                return Ok(None);
            };
            made.await
                .map_err(io::Error::other)?
                .map_err(io::Error::other)?;
            Ok(Some((
                Bytes::from_static(&tar::END),
                (archive, None, None, permit),
            )))
        });
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-tar"),
    );
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"doorstep-backup.tar\""),
    );
    Ok(response)
}

/// Whether a backup failed because the disk is full, or would have been.
fn is_no_room(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(BackupError::NoRoom { .. }))
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::StorageFull)
    })
}

fn failed(error: &dyn std::error::Error) -> ApiError {
    ApiError::with_detail(Code::Internal, error.to_string())
}

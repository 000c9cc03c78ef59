//! The table of error codes: the only place where a code meets its status, its title and what it means.
//!
//! The meaning is written for whoever got the error: what was wrong, and what to do. It is the `detail` of an error that
//! has nothing more exact to say. The OpenAPI document and `docs/errors.md` are made from this table.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// Declares [`Code`] with its table: variant, wire name, status, title, meaning.
macro_rules! codes {
    ($($variant:ident, $name:tt, $status:ident, $title:literal, $meaning:literal;)+) => {
        /// A stable code of an error; what clients branch on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
        pub enum Code {
            $(
                #[doc = $meaning]
                #[serde(rename = $name)]
                $variant,
            )+
        }

        impl Code {
            /// Every code there is, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $name),+ }
            }

            /// The HTTP status it is sent with.
            pub const fn status(self) -> StatusCode {
                match self { $(Code::$variant => StatusCode::$status),+ }
            }

            /// The short human title, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title),+ }
            }

            /// What was wrong and what to do about it.
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning),+ }
            }

            /// The problem type, an identifier and not an address.
            pub const fn type_uri(self) -> &'static str {
                match self { $(Code::$variant => concat!("urn:doorstep:problem:", $name)),+ }
            }
        }
    };
}

codes! {
    InvalidBody, "invalid_body", BAD_REQUEST, "The body is not what this route takes",
        "Broken JSON, a wrong type, a missing or an unknown field, a value outside its range; `errors` names the field. Nothing was changed.";
    InvalidQuery, "invalid_query", BAD_REQUEST, "The query is not what this route takes",
        "A limit, cursor, position, time or filter that is none, or a parameter that the route does not know; `errors` names it and says what is accepted.";
    InvalidHeader, "invalid_header", BAD_REQUEST, "A header is not what this route takes",
        "An `Idempotency-Key` that is not 1-128 bytes of text without control characters, a `Doorstep-At` that is no time, or one of them given twice.";
    InvalidTime, "invalid_time", BAD_REQUEST, "The command's time cannot be taken",
        "The command's time (`Doorstep-At`, or `at` of a line) is more than 5 seconds ahead of the service's clock, or before the last event of what it concerns. `errors` says which of the two. Give the time at which it happened, in the order in which things happened, or none.";
    AsOfBeyondEnd, "as_of_beyond_end", BAD_REQUEST, "The moment has not come",
        "The position is beyond the end of the log, or the time is later than now; `errors` names the parameter. What is to come is not known.";
    Unauthenticated, "unauthenticated", UNAUTHORIZED, "A bearer token is needed",
        "The request has no `Authorization: Bearer` header. Send a token with it; `doorstep token` makes one.";
    TokenInvalid, "token_invalid", UNAUTHORIZED, "The token does not verify",
        "Forged, not signed, signed by an unknown key or with another algorithm than its key's, or not a token at all. Get a new token from whoever signs them.";
    TokenExpired, "token_expired", UNAUTHORIZED, "The token has expired",
        "Get a new token and repeat, with the same `Idempotency-Key` for a command.";
    Forbidden, "forbidden", FORBIDDEN, "The token does not open this route",
        "The token lacks the role, its `sub` is no registered member where a member is needed, or `Doorstep-At` was given by another role than `service`.";
    NotAllowed, "not_allowed", FORBIDDEN, "This message cannot be sent to this member",
        "The recipient does not take messages from the sender, and sending again does not change that. Why is not told: a block, the audience, an age and an unknown recipient answer alike.";
    AccountRestricted, "account_restricted", FORBIDDEN, "This account may not do this now",
        "The caller is not registered, suspended, limited by a decision, or too young. While suspended `until`, `reason` and `text` tell what the moderators said; `until` is absent where it is for good.";
    NotAuthor, "not_author", FORBIDDEN, "The message was written by the other member",
        "Only its author can unsend a message. Delete the request, or report the message.";
    NotFound, "not_found", NOT_FOUND, "There is nothing here for the caller",
        "It does not exist, or the caller may not know of it; the two are not told apart. Check the path and the id in it.";
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "The route does not take this method",
        "Use one of the methods that the `Allow` header lists.";
    NotAcceptable, "not_acceptable", NOT_ACCEPTABLE, "The route has no answer of the media type that `Accept` names",
        "The OpenAPI document lists the media types of each route; without an `Accept` header the first of them is sent.";
    RequestTimeout, "request_timeout", REQUEST_TIMEOUT, "The body did not arrive in time",
        "Nothing was changed. Send it again, with the same `Idempotency-Key` for a command.";
    CommandIdReused, "command_id_reused", CONFLICT, "The Idempotency-Key was used for another command",
        "The caller gave the same key with other content before. Nothing was changed; give each command a key of its own.";
    RequestNotPending, "request_not_pending", CONFLICT, "The request is not pending",
        "It was withdrawn, or deleted; after a delete it can be restored until `restorable_until`.";
    RequestFrozen, "request_frozen", CONFLICT, "The request is frozen",
        "While the sender could not send it now, it can be neither accepted nor restored; deleting and reporting work.";
    AlreadyAccepted, "already_accepted", CONFLICT, "The request was accepted",
        "An accepted request is a conversation, and is not deleted as a request: block its sender, or move it back to the requests first.";
    NotRestorable, "not_restorable", CONFLICT, "The request can no longer be restored",
        "It was not deleted, or longer ago than it can be restored. What its sender writes next may open it again.";
    NotAccepted, "not_accepted", CONFLICT, "The conversation is not in the inbox",
        "What was deleted or withdrawn cannot be moved to the requests.";
    RegisteredAtFixed, "registered_at_fixed", CONFLICT, "The time of registration cannot change",
        "The member is registered already, with another `registered_at`. Give the same, or leave it out.";
    AlreadyClaimed, "already_claimed", CONFLICT, "Another moderator holds the case",
        "One moderator at a time works on a case; `claimed_by` of the queue says who. A claim lapses 30 minutes after its holder's last act.";
    NotClaimed, "not_claimed", CONFLICT, "The caller does not hold the case",
        "The case was not claimed, the claim has lapsed or another moderator holds it. Claim the case first.";
    SameModerator, "same_moderator", CONFLICT, "Another moderator has to do this",
        "The caller escalated the case, so that another moderator takes it; or made the decision whose appeal is to be decided.";
    AlreadyDecided, "already_decided", CONFLICT, "The case was decided",
        "Nothing was reported since: there is nothing to claim and nothing to decide. A newly reported message opens the case again, as `POST …/reopen` does; a suspension by hand is appealed or reversed, and never open.";
    OwnCase, "own_case", CONFLICT, "It concerns the caller",
        "Nobody judges or reads a case that they reported, or lifts what holds for themself. Leave it to another moderator.";
    AlreadyAppealed, "already_appealed", CONFLICT, "The decision was appealed before",
        "A decision is appealed once; `GET /v1/me/decisions` tells what came of it.";
    AppealWindowOver, "appeal_window_over", CONFLICT, "The decision can be appealed no more",
        "A decision can be appealed until `appealable_until`, which has passed.";
    AlreadyReversed, "already_reversed", CONFLICT, "The decision was reversed",
        "What it changed was taken back: there is nothing left to appeal.";
    NotAppealed, "not_appealed", CONFLICT, "No appeal waits",
        "The member has not appealed, or the appeal was decided. The case's `decisions` tell which.";
    ViewBusy, "view_busy", CONFLICT, "A view is being verified or made anew",
        "One view at a time; `GET /v1/views` tells which, and how far it is. Nothing was begun. Ask again when it has ended.";
    NoPreviousView, "no_previous_view", CONFLICT, "The view keeps no earlier file",
        "There is no earlier file to go back to, or to drop: the view was not made anew, or that file was given up.";
    AuditIncomplete, "audit_incomplete", CONFLICT, "The answer depends on an event that cannot be applied",
        "An event of what was asked for cannot be read, or a view cannot apply it, so that what was known then cannot be told whole; `detail` names it. Whoever runs the service repairs what reads it, or has the view do without the event.";
    EventWaits, "event_waits", CONFLICT, "The event waits behind another one",
        "The view has not tried it: it belongs to an earlier event that cannot be applied, and is applied once that one is, or is done without. Name that one.";
    LogElsewhere, "log_elsewhere", CONFLICT, "The log is kept elsewhere",
        "It is on a KurrentDB cluster, and is backed up with the cluster's own means; `doorstep copy` reads it into a data folder.";
    OtherLog, "other_log", GONE, "The cursor or position belongs to another log",
        "The service was restored or moved since it was given out; begin again without it.";
    BodyTooLarge, "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large",
        "Over 64 KiB; on bulk routes over 16 MiB or 1,000 items. Send less at once.";
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body has another media type than this route takes",
        "Send `application/json`; bulk routes take `application/x-ndjson`.";
    InvalidMessage, "invalid_message", UNPROCESSABLE_ENTITY, "The message cannot be sent as it is",
        "Empty, too long, with a U+0000, or addressed to oneself; `errors` names the field and the limit.";
    InvalidReport, "invalid_report", UNPROCESSABLE_ENTITY, "The report cannot be made as it is",
        "It names no or too many messages, messages that are not the other member's or were never visible to the caller, or its comment is too long; `errors` names the field.";
    InvalidReadMark, "invalid_read_mark", UNPROCESSABLE_ENTITY, "The read mark is above the last message",
        "`up_to` is above the last message that the caller can see. Give the number of a message that was shown.";
    InvalidMember, "invalid_member", UNPROCESSABLE_ENTITY, "The member cannot be the one meant",
        "The same member is named twice, or registered before it happened. With status 400: what the path names cannot be a member's id, which is 1-128 characters of `A-Z a-z 0-9 . _ : -`.";
    InvalidReportLimit, "invalid_report_limit", UNPROCESSABLE_ENTITY, "The limit cannot be set as it is",
        "Its end is not after now, or `per_day` is above 1,000; `errors` names the field.";
    InvalidSuspension, "invalid_suspension", UNPROCESSABLE_ENTITY, "The suspension cannot be as it is",
        "It is over before it begins, or its text or its facts say nothing, are too long or hold what no text may; `errors` names the field.";
    InvalidNote, "invalid_note", UNPROCESSABLE_ENTITY, "The note cannot be as it is",
        "It says nothing or is too long; `errors` names the limit.";
    InvalidDecision, "invalid_decision", UNPROCESSABLE_ENTITY, "The decision cannot be as it is",
        "It needs a text for the member and the facts relied on where it does something, an end where its action has one, and no end where it has none; `errors` names the field.";
    InvalidAppeal, "invalid_appeal", UNPROCESSABLE_ENTITY, "The appeal cannot be as it is",
        "It says nothing or is too long; `errors` names the limit.";
    InvalidPolicy, "invalid_policy", UNPROCESSABLE_ENTITY, "The policy has a value that none may have",
        "`errors` names the field, and the least and the most that it may be. Nothing was changed.";
    AuditTooLarge, "audit_too_large", UNPROCESSABLE_ENTITY, "The answer depends on too much",
        "A question about the past reads the streams that concern it, at most 200,000 events, 64 MiB of them and 20,000 streams; what changed tells at most 1,000 rows. Ask for one conversation, an earlier moment or a shorter span.";
    LimitReached, "limit_reached", TOO_MANY_REQUESTS, "A limit of messages was reached",
        "`limit` says which: `request_messages`, as many as may wait for this member's answer, or `requests_per_day`, as many new requests as may be opened within 24 hours, whoever is addressed; then `Retry-After` says when the first of them ends.";
    RateLimited, "rate_limited", TOO_MANY_REQUESTS, "Too many requests",
        "Wait as long as `Retry-After` says. Accepting, deleting, blocking and reporting are never limited.";
    Internal, "internal", INTERNAL_SERVER_ERROR, "The service failed",
        "A defect, or an event in the log that this program does not know; the service's log says what, under the request id. A command may be repeated with the same key.";
    Damaged, "damaged", INTERNAL_SERVER_ERROR, "The log is damaged",
        "Events that cannot be read because the log does not check there; to who reads events or runs the service `detail` says where. Nothing of them is told. The service is not ready until it is started again.";
    OutcomeUnknown, "outcome_unknown", SERVICE_UNAVAILABLE, "Whether it was carried out is not known",
        "The log could not be made durable, or a store elsewhere did not answer. Repeat with the same `Idempotency-Key`: it takes effect once.";
    Busy, "busy", SERVICE_UNAVAILABLE, "The service is busy",
        "A bounded queue is full, or the service is stopping. Nothing was changed; repeat with the same `Idempotency-Key` after the seconds of `Retry-After`.";
    ViewBehind, "view_behind", SERVICE_UNAVAILABLE, "The view has not come that far",
        "The view did not reach `min_position` in time. Ask again, or without `min_position` for what it has.";
    NotReady, "not_ready", SERVICE_UNAVAILABLE, "The service is not ready",
        "It starts, stops, or a part of it is not well; `/readyz` says which. Ask again after the seconds of `Retry-After`.";
    StoreUnavailable, "store_unavailable", SERVICE_UNAVAILABLE, "The store cannot be reached",
        "The log is kept elsewhere, on a KurrentDB cluster, which does not answer. Nothing was changed; repeat with the same `Idempotency-Key` after the seconds of `Retry-After`.";
    StorageFull, "storage_full", INSUFFICIENT_STORAGE, "The disk is full",
        "Commands are refused until there is room again, and backups that have no room to be laid out; queries go on.";
}

/// Declares [`FieldCode`] with its table: variant, wire name, meaning.
macro_rules! field_codes {
    ($($variant:ident, $name:tt, $meaning:literal;)+) => {
        /// What is wrong with a field.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
        pub enum FieldCode {
            $(
                #[doc = $meaning]
                #[serde(rename = $name)]
                $variant,
            )+
        }

        impl FieldCode {
            /// Every code there is, in the order of the table.
            pub const ALL: &'static [FieldCode] = &[$(FieldCode::$variant),+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(FieldCode::$variant => $name),+ }
            }

            /// What it means.
            pub const fn meaning(self) -> &'static str {
                match self { $(FieldCode::$variant => $meaning),+ }
            }
        }
    };
}

field_codes! {
    Missing, "missing", "It has to be there and is not.";
    Unknown, "unknown", "The route knows no field or parameter of this name.";
    Repeated, "repeated", "It is given more than once.";
    WrongType, "wrong_type", "It is another kind of value, such as a string for a number.";
    NotOneOf, "not_one_of", "It is none of the words that are accepted.";
    Malformed, "malformed", "It is no id, time, cursor, position or JSON of the form that is needed.";
    OutOfRange, "out_of_range", "It is less or more than it may be, or a list of too few or too many.";
    Empty, "empty", "Nothing is in it but white space.";
    TooLong, "too_long", "It is a text of more graphemes or bytes than it may have.";
    ForbiddenCharacter, "forbidden_character", "It is a text with a U+0000.";
    Unfit, "unfit", "It is well formed, but cannot be what is meant here: oneself, a message that cannot be reported, a time that cannot be.";
}

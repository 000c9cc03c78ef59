//! What each operation is for, with an example, and the errors of its own: what the OpenAPI document says beyond types.
//!
//! The errors that operations of one kind share (tokens, keys, bodies, views) are added in `openapi`; here stand those of
//! the operation itself. A test holds that every operation is here, and every example to the schema it is an example of.

use crate::problem::Code;

/// What the document says of one operation.
pub(crate) struct Operation {
    /// Its name in the document.
    pub(crate) id: &'static str,
    /// What it does and what to know of it.
    pub(crate) description: &'static str,
    /// A body that is sent to it; empty where it takes none.
    pub(crate) request: &'static str,
    /// Its answer when it succeeds; empty where that is no JSON object.
    pub(crate) answer: &'static str,
    /// The errors of its own.
    pub(crate) codes: &'static [Code],
}

/// What a command answers that tells its position alone, to a member.
const REACHED: &str = r#"{"position": "0GDGm9D8wbhy_5XgBsgImg"}"#;
/// The same to the host.
const REACHED_NUMBER: &str = r#"{"position": 8}"#;
/// What one answers that is carried out on other streams.
const CARRIED: &str = r#"{"position": "0GDGm9D8wbhy_5XgBsgImg", "carried_out": true}"#;

/// Declares the operations: name, description, request, answer, codes.
macro_rules! operations {
    ($($id:literal, $description:literal, $request:expr, $answer:expr, [$($code:ident),*];)+) => {
        /// Every operation of the document, by routes.
        pub(crate) const ALL: &[Operation] = &[$(Operation {
            id: $id,
            description: $description,
            request: $request,
            answer: $answer,
            codes: &[$(Code::$code),*],
        }),+];
    };
}

operations! {
    "put_members_id",
        "The host makes a member known. `registered_at` says since when they are one, if that was earlier; it cannot change afterwards and cannot lie ahead. Told again, another `age_band` takes the place of the first; the same changes nothing.",
        r#"{"age_band": "adult", "registered_at": "2024-03-01T09:00:00Z"}"#,
        r#"{"member": "ann", "age_band": "adult", "position": 2}"#,
        [InvalidMember, RegisteredAtFixed];
    "put_members_id_follows_other",
        "The host tells that the member `id` follows `other`. A recipient's own follow is what lets a sender in; a sender's opens nothing.",
        "", REACHED_NUMBER, [InvalidMember];
    "delete_members_id_follows_other",
        "The host tells that the member `id` does not follow `other` any more. Requests that were accepted stay so.",
        "", REACHED_NUMBER, [InvalidMember];
    "put_members_id_suggestions_other",
        "The host tells that `other` is suggested to the member `id`: a synced contact, an imported friend.",
        "", REACHED_NUMBER, [InvalidMember];
    "delete_members_id_suggestions_other",
        "The host tells that `other` is not suggested to the member `id` any more.",
        "", REACHED_NUMBER, [InvalidMember];
    "post_relationships",
        "A line of JSON for each fact, at most 1,000; the answer has a line for each, in order, with the `status` that a single call would have had, and its `position`, or `code`, `detail` and `errors`. A line that cannot be carried out is none of the others' concern. Line i has the command id `key/i`, from 0.",
        r#"{"member": "ann", "kind": "follow", "other": "bob", "at": "2026-01-31T12:00:00Z"}"#,
        r#"{"status": 200, "position": 8}"#,
        [];
    "get_policy",
        "The limits, the cooldowns and the audience table that decisions use now, with the version that they record.",
        "",
        r#"{"version": 0, "position": 1, "rules": {"text_graphemes_max": 1000, "text_bytes_max": 8192, "requests_per_day": 20, "requests_per_day_new": 5, "new_member_days": 7, "request_messages_max": 3, "cooldown_days": [7, 30], "restore_days": 30, "reports_per_day": 50, "report_messages_max": 20, "comment_graphemes_max": 2000, "comment_bytes_max": 8192, "default_audience_adult": "friends_and_suggested", "default_audience_16_17": "no_one", "audience_table": {"everyone": {"recipient_follows": "inbox", "suggested": "request", "friend": "inbox", "anyone": "request"}, "following": {"recipient_follows": "inbox", "suggested": "refused", "friend": "inbox", "anyone": "refused"}, "friends_and_suggested": {"recipient_follows": "refused", "suggested": "inbox", "friend": "inbox", "anyone": "refused"}, "friends": {"recipient_follows": "refused", "suggested": "refused", "friend": "inbox", "anyone": "refused"}, "no_one": {"recipient_follows": "refused", "suggested": "refused", "friend": "refused", "anyone": "refused"}}}}"#,
        [];
    "put_policy",
        "Puts all rules in force at once, so that nobody changes one by leaving it out: get them, change them, put them. What was decided before stays as it was.",
        r#"{"text_graphemes_max": 1000, "text_bytes_max": 8192, "requests_per_day": 20, "requests_per_day_new": 5, "new_member_days": 7, "request_messages_max": 3, "cooldown_days": [7, 30], "restore_days": 60, "reports_per_day": 50, "report_messages_max": 20, "comment_graphemes_max": 2000, "comment_bytes_max": 8192, "default_audience_adult": "friends_and_suggested", "default_audience_16_17": "no_one", "audience_table": {"everyone": {"recipient_follows": "inbox", "suggested": "request", "friend": "inbox", "anyone": "request"}, "following": {"recipient_follows": "inbox", "suggested": "refused", "friend": "inbox", "anyone": "refused"}, "friends_and_suggested": {"recipient_follows": "refused", "suggested": "inbox", "friend": "inbox", "anyone": "refused"}, "friends": {"recipient_follows": "refused", "suggested": "refused", "friend": "inbox", "anyone": "refused"}, "no_one": {"recipient_follows": "refused", "suggested": "refused", "friend": "refused", "anyone": "refused"}}}"#,
        r#"{"version": 1, "position": 9}"#,
        [InvalidPolicy];
    "get_me_dm_setting",
        "Whom the caller lets write to them: what they chose, or the default of their age band.",
        "",
        r#"{"audience": "everyone", "version": 2, "position": "BbSlumZxtimH8Zugt7_uUg"}"#,
        [];
    "put_me_dm_setting",
        "Requests whose senders the new audience refuses are frozen: they leave the folder, and come back when it is opened again. Nothing else moves.",
        r#"{"audience": "everyone"}"#,
        r#"{"audience": "everyone", "version": 2, "position": "BbSlumZxtimH8Zugt7_uUg"}"#,
        [AccountRestricted];
    "get_me_blocks",
        "Whom the caller has blocked, the latest first.",
        "",
        r#"{"items": [{"member": "bob", "conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "since": "2026-11-23T07:25:21.838Z"}], "next_cursor": null}"#,
        [];
    "put_me_blocks_other",
        "What `other` writes from now on is shown to nobody but themself, and they are not told. Anyone can be blocked, known or not. Never limited.",
        "", REACHED, [InvalidMember];
    "delete_me_blocks_other",
        "Ends the block. The conversation is back where it was; what was withheld meanwhile stays so.",
        "", REACHED, [InvalidMember];
    "post_messages",
        "The answer is `sent` whether the message goes to the inbox, waits as a request or is withheld. A refusal does not say why: a block, the audience, an age and a member that does not exist answer alike. 100 `not_allowed` within a day are 429 `rate_limited`.",
        r#"{"to": "ann", "text": "Hi Ann, do you play chess?"}"#,
        r#"{"conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "number": 1, "outcome": "sent", "sent_at": "2026-11-23T07:25:21.638Z", "position": "JnnODktdTIlrw4rFa-E8sw"}"#,
        [NotAllowed, AccountRestricted, InvalidMessage, LimitReached];
    "get_conversations_cid_messages",
        "The messages that the caller sees, newest first: of a request while it is pending, frozen or restorable, of a conversation always. The numbers may have gaps.",
        "",
        r#"{"items": [{"number": 1, "from": "bob", "text": "Hi Ann, do you play chess?", "sent_at": "2026-11-23T07:25:21.638Z", "unsent_at": null, "removed_at": null}], "next_cursor": null}"#,
        [NotFound, Damaged];
    "delete_conversations_cid_messages_n",
        "Its author takes a message back. From a request it is gone, and the last one withdraws the request; in a conversation its `text` is null from then on.",
        "", REACHED, [NotAuthor, NotFound];
    "put_conversations_cid_read",
        "Marks the messages up to a number as read. A mark below the one there is changes nothing.",
        r#"{"up_to": 3}"#, REACHED, [InvalidReadMark, NotFound];
    "put_conversations_cid_mute",
        "Mutes a conversation for the caller alone.",
        "", REACHED, [NotFound];
    "delete_conversations_cid_mute",
        "Unmutes a conversation.",
        "", REACHED, [NotFound];
    "post_conversations_cid_move_to_requests",
        "Moves an accepted conversation back to the requests. The other member is not told; accepting or writing brings it back.",
        "", REACHED, [NotAccepted, NotFound];
    "get_requests",
        "What waits on the caller's doorstep, newest first, with what is known between the two. Frozen requests are not in it.",
        "",
        r#"{"items": [{"conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "with": "bob", "last_message": {"number": 3, "from": "bob", "text": "I have a board.", "sent_at": "2026-11-23T07:25:21.677Z"}, "muted": false, "opened_at": "2026-11-23T07:25:21.638Z", "messages": 2, "relationship": {"you_follow": false, "follows_you": false, "suggested": false}}], "next_cursor": null}"#,
        [Damaged];
    "post_requests_cid_accept",
        "The request becomes a conversation in both inboxes. Accepted twice, nothing changes. Never limited.",
        "", REACHED, [AccountRestricted, RequestNotPending, RequestFrozen, NotFound];
    "post_requests_cid_restore",
        "Takes a deletion back, of either mode, as long as the policy's `restore_days`; it ends the cooldown. What was withheld stays so.",
        "", REACHED, [AccountRestricted, NotRestorable, RequestFrozen, NotFound];
    "delete_requests_cid",
        "`quiet` keeps what the sender writes next away for a cooldown (7 days, the second time 30, then until the recipient acts); `final` until the recipient writes. `final` after `quiet` is a decision of its own, `quiet` after `final` changes nothing. The sender is not told. Never limited.",
        "", REACHED, [AlreadyAccepted, RequestNotPending, NotFound];
    "post_requests_accept",
        "Accepts 1 to 200 requests. Each item answers for itself, in order: the `status` of a single call, with `position` where it succeeded and `code` where not. Item i has the command id `key/i`, from 0. Never limited.",
        r#"{"conversation_ids": ["a071f665-05ff-593e-83dd-604f7673af7a", "6d8f3c1e-0000-4000-8000-000000000000"]}"#,
        r#"{"items": [{"conversation_id": "a071f665-05ff-593e-83dd-604f7673af7a", "status": 200, "position": "AknQPw16QSn_pGpwAxge2Q"}, {"conversation_id": "6d8f3c1e-0000-4000-8000-000000000000", "status": 404, "code": "not_found"}], "position": "AknQPw16QSn_pGpwAxge2Q"}"#,
        [];
    "post_requests_delete",
        "Deletes 1 to 200 requests, all in the same mode, and answers as accepting many does. Never limited.",
        r#"{"conversation_ids": ["a7754160-a53e-5ea2-8024-2f856d7e4d2e"]}"#,
        r#"{"items": [{"conversation_id": "a7754160-a53e-5ea2-8024-2f856d7e4d2e", "status": 200, "position": "r0NOjakqejEu5mrYfoDyvA"}], "position": "r0NOjakqejEu5mrYfoDyvA"}"#,
        [];
    "post_reports",
        "Reports 1 to 20 messages of the other member that reached the caller, unsent and deleted ones too; they are kept as they were sent. 201 for a new report; where nothing is new 200 with the earliest report of these messages. `also` is done in the same append, and its outcome is told: `applied`, `skipped` or `unchanged`. Never limited.",
        r#"{"conversation_id": "a071f665-05ff-593e-83dd-604f7673af7a", "messages": [1], "category": "spam", "comment": "The same to everyone.", "also": "block"}"#,
        r#"{"report_id": "4470df62-95a5-5744-b17c-4beeefcd0011", "position": "RMKHVssTh-2-yv1w_AcUgg", "also": {"asked": "block", "outcome": "applied"}}"#,
        [InvalidReport, NotFound];
    "get_me_reports",
        "What the caller has reported, the latest first, and what came of it as far as it concerns them.",
        "",
        r#"{"items": [{"report_id": "4470df62-95a5-5744-b17c-4beeefcd0011", "conversation_id": "a071f665-05ff-593e-83dd-604f7673af7a", "member": "cat", "messages": [1], "category": "spam", "comment": "", "reported_at": "2026-11-23T07:25:21.874Z", "state": "open", "outcome": null}], "next_cursor": null}"#,
        [Damaged];
    "get_reports_id",
        "One report of the caller's; of others' there is nothing here.",
        "",
        r#"{"report_id": "4470df62-95a5-5744-b17c-4beeefcd0011", "conversation_id": "a071f665-05ff-593e-83dd-604f7673af7a", "member": "cat", "messages": [1], "category": "spam", "comment": "", "reported_at": "2026-11-23T07:25:21.874Z", "state": "open", "outcome": null}"#,
        [NotFound, Damaged];
    "get_me_decisions",
        "What moderators decided about the caller, the latest first, suspensions by hand among them: what, until when, on which facts and by which rule, how to appeal, and what came of it. Nothing tells who reported, where, or which moderator; a case in which nothing was done is not told of. `statement_of_reasons` says the same in the fields of the EU's transparency database (Article 24(5) of the Digital Services Act). Suspended members read it as well.",
        "",
        r#"{"items": [{"decision_id": "7b0c63a4-7b0a-5d0f-8a3e-2b1f6f1d8a10", "action": "suspend", "decided_at": "2026-11-23T07:25:21.874Z", "until": "2999-01-01T00:00:00.000Z", "ended_at": null, "category": "spam", "reason": "spam", "text": "You sent the same offer to many.", "facts": "Seven members got it within an hour.", "messages": 0, "automated": false, "appeal_at": null, "appealable_until": "2027-05-22T07:25:21.874Z", "appeal": {"text": "It was a joke.", "appealed_at": "2026-11-23T07:26:21.874Z", "outcome": null, "answer": null, "answered_at": null}, "reversal": null, "statement_of_reasons": {"puid": "7b0c63a4-7b0a-5d0f-8a3e-2b1f6f1d8a10", "decision_visibility": null, "decision_provision": null, "end_date_service_restriction": null, "decision_account": "DECISION_ACCOUNT_SUSPENDED", "end_date_account_restriction": "2999-01-01", "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT", "incompatible_content_ground": "spam", "incompatible_content_explanation": "You sent the same offer to many.", "decision_facts": "Seven members got it within an hour.", "content_type": ["CONTENT_TYPE_TEXT"], "category": "STATEMENT_CATEGORY_OTHER_VIOLATION_TC", "source_type": "SOURCE_TYPE_OTHER_NOTIFICATION", "automated_detection": "No", "automated_decision": "AUTOMATED_DECISION_NOT_AUTOMATED", "application_date": "2026-11-23"}}], "next_cursor": null}"#,
        [Damaged];
    "post_decisions_id_appeal",
        "The member concerned appeals a decision: once, until `appealable_until`, suspended or not. Another moderator than the one who decided answers; `GET /v1/me/decisions` tells.",
        r#"{"text": "It was a joke among friends."}"#,
        REACHED, [AlreadyAppealed, AppealWindowOver, AlreadyReversed, InvalidAppeal, NotFound];
    "get_inbox",
        "The caller's conversations, by their last visible message, newest first. What one writes to someone is in it from the first message on.",
        "",
        r#"{"items": [{"conversation_id": "a071f665-05ff-593e-83dd-604f7673af7a", "with": "cat", "last_message": {"number": 1, "from": "cat", "text": "Hello?", "sent_at": "2026-11-23T07:25:21.739Z"}, "unread": 1, "muted": false}], "next_cursor": null}"#,
        [Damaged];
    "get_unread",
        "In how many conversations of the inbox, and in how many requests, something unread waits.",
        "", r#"{"inbox": 1, "requests": 0}"#, [];
    "get_me_feed",
        "Tells what changes of the caller's own views as it does: an event of the view's name (`inbox`, `requests`, `conversation`, `unread`, `blocked`, `dm_setting`, `reports`, `decisions`), with the conversation where there is one, and the `position` that a query gives as `min_position` to see it. Of a view without a conversation all may have changed. What one command changed is told together, the last of it with an `id`; `Last-Event-ID` goes on after it, also over restarts, `after` after the `Doorstep-Position` of a query, and without either what comes from now on is told. Who was away is told of each view and conversation once. A heartbeat is a comment; `end` and `error` (`{\"code\", \"detail\"}`) say why a feed is over. 8 feeds of one member at once (429), and only so many of all (503); a reader who takes nothing for 30 seconds is cut off.",
        "", "", [OtherLog, NotAcceptable, Busy];
    "get_moderation_queue",
        "The cases that wait, the most urgent first; without `state` those that are open or claimed, or have an appeal that waits; of one member all but closed ones. A cursor is for one filter and order.",
        "",
        r#"{"items": [{"case_id": "2cfecc26-5fef-50d2-8737-add1e1be0e86", "conversation_id": "a071f665-05ff-593e-83dd-604f7673af7a", "member": "cat", "state": "open", "priority": 4311744768, "priority_inputs": {"severity": 1, "reporters": 1, "upheld": 0, "over_limit": false}, "categories": ["spam"], "reports": 1, "reporters": 1, "opened_at": "2026-11-23T07:25:21.874Z", "claimed_by": null, "claimed_until": null, "escalated_by": null, "appealed_at": null, "revision": 1}], "next_cursor": null}"#,
        [];
    "get_moderation_queue_counts",
        "How many cases there are in each state, how many of each category wait (closed ones are left out, as the queue leaves them out), how many nobody holds, how many have an appeal that waits, and how many the caller holds. Counted as cases change, so that it costs the same however many there are.",
        "",
        r#"{"states": [{"state": "open", "cases": 2}, {"state": "claimed", "cases": 1}, {"state": "decided", "cases": 0}, {"state": "closed", "cases": 0}], "categories": [{"category": "spam", "cases": 3}, {"category": "scam", "cases": 0}], "unclaimed": 2, "escalated": 0, "appealed": 0, "mine": 1}"#,
        [];
    "get_moderation_cases_id",
        "A case with its reports, the reported messages as they were sent, five messages on either side, and the history of both members. Reading it is itself recorded before anything is shown: by whom, for what purpose, and which messages.",
        "",
        r#"{"case_id": "2cfecc26-5fef-50d2-8737-add1e1be0e86", "conversation_id": "a071f665-05ff-593e-83dd-604f7673af7a", "member": "cat", "reporter": "ann", "state": "open", "priority": 4311744768, "priority_inputs": {"severity": 1, "reporters": 1, "upheld": 0, "over_limit": false}, "categories": ["spam"], "opened_at": "2026-11-23T07:25:21.874Z", "claimed_by": null, "claimed_until": null, "escalated_by": null, "revision": 1, "notes": [], "decisions": [], "reports": [{"report_id": "5b11f1cb-5d71-5eee-8db4-54ab985f4af5", "reporter": "ann", "category": "spam", "comment": "", "reported_at": "2026-11-23T07:25:21.874Z", "over_limit": false, "evidence": [{"number": 1, "text": "Buy now", "sent_at": "2026-11-23T07:25:21.715Z"}]}], "messages": [{"number": 1, "from": "cat", "text": "Buy now", "sent_at": "2026-11-23T07:25:21.715Z", "unsent_at": null, "removed_at": null, "reported": true}], "history": [{"member": "cat", "registered_at": "2026-11-23T07:25:21.473Z", "reports_made": 0, "reports_decided": 0, "reports_upheld": 0, "report_limit": null, "members_reported": 0, "reports_received": 1, "reporters": 1, "cases": 1, "cases_upheld": 0, "suspensions": 0, "suspended": false}]}"#,
        [OwnCase, NotFound, Damaged];
    "post_moderation_cases_id_claim",
        "One moderator at a time works on a case. A claim lapses 30 minutes after its holder's last act (claiming again, a note), by an event, and then the case is open again. Claiming a case that one holds makes the claim last longer. Who escalated a case cannot claim it.",
        "", r#"{"claimed_until": "2026-11-23T07:55:21.874Z", "position": "JnnODktdTIlrw4rFa-E8sw"}"#,
        [AlreadyClaimed, AlreadyDecided, SameModerator, OwnCase, NotFound, NotReady];
    "post_moderation_cases_id_release",
        "The case is open again. Where nobody holds it nothing changes.",
        "", REACHED, [NotClaimed, OwnCase, NotFound, NotReady];
    "post_moderation_cases_id_notes",
        "Notes are shown with the case to moderators and auditors, never to a member. Any moderator may write one; by the case's holder it makes the claim last longer.",
        r#"{"text": "The same text went to six others."}"#, REACHED, [OwnCase, InvalidNote, NotFound, NotReady];
    "post_moderation_cases_id_escalate",
        "The case is open again, and only another moderator can claim it. What is said with it is shown among the notes. The body may be left out.",
        r#"{"text": "A threat; please look today."}"#, REACHED, [NotClaimed, OwnCase, InvalidNote, NotFound, NotReady];
    "post_moderation_cases_id_decision",
        "Decides a case that the caller holds, and carries it out: `no_action`, `warn`, `remove_messages` (reported ones of the case, named by `messages`: they keep their places, and what they said is shown to neither member), `limit` (no new requests, until a time) or `suspend` (until a time, or for good). It carries a reason code, a text for the member and the facts relied on; who decided and who reported is never told to members. What it limits in time ends by itself. The case is decided, and closed once the member cannot appeal any more, after 180 days; `no_action` closes it at once. A newly reported message opens it again. The position reaches up to what was done to the member: with it as `min_position` the requests that a suspension freezes are gone. Where that was not done within 5 s, or cannot be for now, `carried_out` is false and the position is the decision's own: it is made, and carried out later by itself; the same under its key waits for it again.",
        r#"{"action": "suspend", "until": "2026-12-23T00:00:00Z", "reason": "spam", "text": "You sent the same offer to many.", "facts": "Message 1 went to seven members within an hour."}"#,
        r#"{"decision_id": "7b0c63a4-7b0a-5d0f-8a3e-2b1f6f1d8a10", "position": "JnnODktdTIlrw4rFa-E8sw", "carried_out": true}"#,
        [NotClaimed, AlreadyDecided, OwnCase, InvalidDecision, NotFound, NotReady];
    "post_moderation_cases_id_appeal_decision",
        "Decides the appeal that waits on a case: `upheld`, the decision stays, or `reversed`, all that it changed is taken back as `POST /v1/moderation/decisions/{id}/reverse` does. Another moderator than the one who decided, and none of the two members. It takes no claim. Of several appeals that wait it is the oldest decision's, unless `decision_id` names one. The case is closed by it, unless something was newly reported since or another appeal waits. The position reaches up to what was taken back, unless `carried_out` is false, as with a decision.",
        r#"{"outcome": "reversed", "text": "We looked again: it was a joke among friends."}"#,
        CARRIED, [NotAppealed, SameModerator, OwnCase, InvalidDecision, NotFound, NotReady];
    "post_moderation_decisions_id_reverse",
        "Takes back all that a decision changed, and nothing else: what it restricts is lifted, the messages that it removed are shown again (but those unsent meanwhile, and those that another decision removed as well), requests that it froze are back, and it counts as upheld no more. What ended by time or by hand meanwhile, and other decisions, stay as they are. Any moderator but the two members may, at any time; an appeal that waits is answered by it, and so the one who decided may not while one waits (`same_moderator`). Where it is the case's last decision and nothing was reported since, the case is open again; the file on a suspension by hand is closed. Reversed twice, nothing changes. The position reaches up to what was taken back, unless `carried_out` is false, as with a decision.",
        r#"{"reason": "mistake", "text": "The message was not yours."}"#,
        CARRIED, [SameModerator, OwnCase, InvalidDecision, NotFound, NotReady];
    "post_moderation_cases_id_reopen",
        "Opens a decided or closed case again, because somebody asks, so that it is claimed and decided once more; what was decided before goes on as it is. Messages that were judged harmless do not come back by being reported again: the report is answered as before, with the earliest one's id, and the case stays closed until a message is newly reported or a moderator does this. A `text` is shown among the notes.",
        r#"{"reason": "asked", "text": "The member who reported it wrote to us."}"#, REACHED, [OwnCase, InvalidNote, NotFound, NotReady];
    "post_moderation_members_id_decisions",
        "Decides up to 200 cases of one member as one act, without claiming them. Each is named with the `revision` at which the caller saw it, and is passed over where it has moved on: newly reported, held by another, decided, left to another moderator since, or a case of the caller's own conversation. Each case has a decision of its own; what is done to the member (`limit`, `suspend`) is done once, where any case was decided. `remove_messages` is not among the actions: messages are named one by one. The position reaches up to all that it does, unless `carried_out` is false: then it takes longer than 5 s, or cannot be done for now, and goes on by itself. `GET /v1/moderation/acts/{id}` tells how far it has come, and what had moved on.",
        r#"{"cases": [{"case_id": "2cfecc26-5fef-50d2-8737-add1e1be0e86", "revision": 1}], "action": "suspend", "reason": "spam", "text": "You sent the same offer to many.", "facts": "Message 1 went to seven members within an hour."}"#,
        r#"{"act_id": "0a6d8f6e-6a3c-5d53-9a0b-5f2d6a1f8c07", "position": "JnnODktdTIlrw4rFa-E8sw", "carried_out": true}"#,
        [InvalidMember, InvalidDecision];
    "get_moderation_acts_id",
        "An act on many cases: what it does, how many cases it names, how many are decided so far, and, once all were gone through (`finished`), which had moved on and why.",
        "",
        r#"{"act_id": "0a6d8f6e-6a3c-5d53-9a0b-5f2d6a1f8c07", "member": "cat", "by": "mia", "action": "suspend", "until": null, "reason": "spam", "text": "You sent the same offer to many.", "facts": "Message 1 went to seven members within an hour.", "decided_at": "2026-11-23T07:25:21.874Z", "total": 2, "decided": 1, "moved_on": [{"case_id": "2cfecc26-5fef-50d2-8737-add1e1be0e86", "why": "claimed"}], "finished": true, "reversal": null}"#,
        [NotFound, Damaged];
    "post_moderation_acts_id_reverse",
        "Takes an act on many cases back, as one act: each of its decisions that stands is reversed, as it would be by itself, and what the act did to the member is lifted with the last. Decisions that were reversed before, those on cases of the caller's own conversation, and the caller's own whose appeal waits are told in `moved_on` of the reversal; the latter two stand, and are left to another moderator. The position reaches up to all of it, unless `carried_out` is false; `GET /v1/moderation/acts/{id}` tells how far it has come.",
        r#"{"reason": "mistaken", "text": "We were wrong about your messages."}"#,
        CARRIED, [InvalidDecision, NotFound];
    "put_moderation_members_id_suspension",
        "Until the time in `until`, for good without one, the member can read, delete, block, report, mark read and unsend, and nothing else; the requests they sent are frozen. It is a decision that no report asks for: it carries a reason code, a text for the member and the facts relied on, the member reads it among their decisions and can appeal it for 180 days, and it is reversed like any other; its file is in the queue while an appeal waits, without a report, a reporter or a conversation. Put again with another end, reason or words it is another decision beside the first, and the member is suspended until the last of them ends; put again just so, nothing changes. Nobody suspends themself.",
        r#"{"reason": "spam", "text": "You sent the same offer to many.", "facts": "Forty letters in an hour.", "until": "2999-01-01T00:00:00Z"}"#,
        r#"{"decision_id": "7b0c63a4-7b0a-5d0f-8a3e-2b1f6f1d8a10", "position": "JnnODktdTIlrw4rFa-E8sw", "carried_out": true}"#, [InvalidMember, InvalidSuspension, OwnCase, NotFound];
    "delete_moderation_members_id_suspension",
        "Ends every suspension of the member before its time, by hand and by decisions on cases. It reverses no decision and answers no appeal. Where there is none nothing changes. Nobody ends their own.",
        "", REACHED, [InvalidMember, OwnCase, NotFound];
    "get_moderation_transparency",
        "The figures of a report on moderation over days in UTC, both included, each by the day it happened on: notices (reports) by category, cases opened, decisions by action and ground (the reason's code), the median time from the first report that waited for it to a decision, appeals and what became of them, reversals, and what restricts members at the end of the last day. A suspension without a case is a decision on own initiative. No human is left out of a decision: what is automated is 0. The same log gives the same report. For the roles moderator and auditor; nobody is named. What `as_of` would tell is not there: a report over earlier days is as the log has them now.",
        "",
        r#"{"from": "2026-01-01", "to": "2026-06-30", "notices": {"submitted": 3, "processed_by_automated_means": 0, "by_category": [{"category": "spam", "submitted": 3}]}, "cases_opened": 2, "decisions": {"taken": 1, "taken_by_automated_means": 0, "median_time_ms": 3604480, "by_ground": [{"action": "limit", "ground": "unsolicited_advertising", "source": "notices", "taken": 1}], "left_out": {"grounds": 0, "taken": 0}}, "appeals": {"received": 1, "upheld": 1, "reversed": 0, "median_time_ms": 86245376}, "reversals": {"on_appeal": 0, "own_initiative": 0}, "restrictions_in_force": {"suspensions": 0, "limits": 1}}"#,
        [NotAcceptable];
    "put_moderation_members_id_report_limit",
        "Until the time in `until`, no more than `per_day` of the member's reports within 24 hours count (none without it): the others are kept and answered alike, stand in their cases with `over_limit`, count for nobody's `reporters`, and are sorted last. Nothing tells the member. It ends by itself, by an event; put again, the new one takes the place of the first.",
        r#"{"until": "2999-01-01T00:00:00Z", "reason": "flooding"}"#,
        REACHED, [InvalidMember, InvalidReportLimit, OwnCase, NotFound];
    "delete_moderation_members_id_report_limit",
        "Lets all of the member's reports count again that the policy lets count; those made meanwhile stay as they are. Where there is no limit nothing changes. Nobody lifts their own.",
        "", REACHED, [InvalidMember, OwnCase, NotFound];
    "get_audit_members_id_inbox",
        "The inbox that the member was shown at a moment. Shown as of `as_of`, in the shape of the live answer; the look is recorded before it is answered, once for all pages of a list.",
        "", r#"{"items": [{"conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "with": "bob", "last_message": {"number": 1, "from": "bob", "text": "Hi Ann, do you play chess?", "sent_at": "2026-11-23T07:25:21.638Z"}, "unread": 1, "muted": false}], "next_cursor": null}"#, [];
    "get_audit_members_id_requests",
        "The requests that the member was shown at a moment, without the frozen ones. Shown as of `as_of`, in the shape of the live answer; the look is recorded before it is answered, once for all pages of a list.",
        "", r#"{"items": [{"conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "with": "bob", "last_message": {"number": 1, "from": "bob", "text": "Hi Ann, do you play chess?", "sent_at": "2026-11-23T07:25:21.638Z"}, "muted": false, "opened_at": "2026-11-23T07:25:21.638Z", "messages": 1, "relationship": {"you_follow": false, "follows_you": false, "suggested": false}}], "next_cursor": null}"#, [];
    "get_audit_members_id_unread",
        "What the member's count of unread conversations was at a moment. The look is recorded.",
        "", r#"{"inbox": 0, "requests": 1}"#, [];
    "get_audit_members_id_blocks",
        "Whom the member had blocked at a moment. Shown as of `as_of`, in the shape of the live answer; the look is recorded before it is answered, once for all pages of a list.",
        "", r#"{"items": [{"member": "bob", "conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "since": "2026-11-23T07:25:21.838Z"}], "next_cursor": null}"#, [];
    "get_audit_members_id_dm_setting",
        "Whom the member let write to them at a moment: what they had chosen, or the default of their age band then. The look is recorded.",
        "", r#"{"audience": "everyone", "version": 2, "position": 10}"#, [];
    "get_audit_members_id_timeline",
        "The events of the member's own stream and of their conversations up to a moment, refusals too, newest first, as plain statements without any text that was written. The look is recorded, once for all pages.",
        "", r#"{"items": [{"position": 12, "type": "message-sent.v1", "at": "2026-11-23T07:25:21.638Z", "by": "bob", "whom": "ann", "conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "number": 1, "statement": "bob sent message 1 to ann, as a request"}], "next_cursor": null}"#, [];
    "get_audit_members_id_diff",
        "Every row of the member's inbox, requests, blocks, unread counts and standing that is other at `to` than it was at `from`, before and after, with the events it came by. At most 1,000 rows. The look is recorded.",
        "", r#"{"from": 11, "to": 13, "items": [{"view": "requests", "change": "added", "member": "ann", "conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "before": null, "after": {"conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "with": "bob", "last_message": {"number": 1, "from": "bob", "text": "Hi Ann, do you play chess?", "sent_at": "2026-11-23T07:25:21.638Z"}, "muted": false, "opened_at": "2026-11-23T07:25:21.638Z", "messages": 1, "relationship": {"you_follow": false, "follows_you": false, "suggested": false}}, "events": [{"position": 12, "type": "message-sent.v1", "at": "2026-11-23T07:25:21.638Z", "by": "bob", "whom": "ann", "conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "number": 1, "statement": "bob sent message 1 to ann, as a request"}], "more_events": 0}]}"#, [];
    "get_audit_members_id_disclosures",
        "Who was shown what is the member's, the latest look first: moderators who read a case of theirs, and auditors; when, what for as they said, and which messages of which conversation a case showed. Something between two members stands in the ledgers of both. It goes up to the moment of its first page; `as_of` is not there. Reading a ledger is a look itself, recorded once for all pages.",
        "",
        r#"{"items": [{"by": "mia", "role": "moderator", "at": "2026-11-23T07:25:22.011Z", "purpose": "review", "looked": "case", "case_id": "2cfecc26-5fef-50d2-8737-add1e1be0e86", "conversation_id": "a071f665-05ff-593e-83dd-604f7673af7a", "with": "ann", "messages": {"reported": [1], "around": [2, 3]}, "from": null, "as_of": null}], "next_cursor": null}"#,
        [];
    "get_audit_conversations_cid_messages",
        "The messages of the conversation at a moment, newest first: as `member` saw them, or all of them, whoever saw them, withheld ones too. `text` is null where it was unsent. The look is recorded, once for all pages.",
        "", r#"{"items": [{"number": 1, "from": "bob", "text": "Hi Ann, do you play chess?", "sent_at": "2026-11-23T07:25:21.638Z", "unsent_at": null, "removed_at": null}], "next_cursor": null}"#, [];
    "get_audit_conversations_cid_relationship",
        "What was known between the two at a moment, as decisions saw it: follows, suggestions, blocks, and what had become of each one's request. The look is recorded.",
        "", r#"{"conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "messages": 1, "friends": false, "sides": [{"member": "ann", "follows": false, "suggested": false, "blocks": false, "request": "pending"}, {"member": "bob", "follows": true, "suggested": false, "blocks": false, "request": "none"}]}"#, [];
    "get_audit_conversations_cid_explain",
        "Why the message of a number, or the command of an id, went to the inbox or the requests, was withheld or refused: the rule, the versions of policy and setting, the relationship, as recorded with the decision, and the same in words. Nothing is decided again. The look is recorded.",
        "", r#"{"conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "decisions": [{"command": "SendMessage", "command_id": "hello-1", "by": "bob", "towards": "ann", "outcome": "requests", "number": 1, "code": null, "rule": 12, "cause": null, "policy_version": 0, "setting_version": 2, "audience": "everyone", "relationship_class": "anyone", "sender_version": 2, "recipient_version": 1, "used": null, "limit": null, "accepted": null, "opened_request": true, "at": "2026-11-23T07:25:21.638Z", "position": 12, "version": 1, "words": "Rule 12: the audience of ann is `everyone`, and bob is anyone else to them. It opened a request on the doorstep of ann."}]}"#, [];
    "get_audit_conversations_cid_diff",
        "Every message that either of the two sees otherwise at `to` than at `from`, what is known between them, and their rows in inbox, requests and blocks, before and after, with the events it came by. At most 1,000 rows. The look is recorded.",
        "", r#"{"from": 11, "to": 12, "items": [{"view": "messages", "change": "added", "member": "ann", "conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "before": null, "after": {"number": 1, "from": "bob", "text": "Hi Ann, do you play chess?", "sent_at": "2026-11-23T07:25:21.638Z", "unsent_at": null, "removed_at": null}, "events": [{"position": 12, "type": "message-sent.v1", "at": "2026-11-23T07:25:21.638Z", "by": "bob", "whom": "ann", "conversation_id": "14d1d27c-98f6-50b4-a228-93c749ff66dc", "number": 1, "statement": "bob sent message 1 to ann, as a request"}], "more_events": 0}]}"#, [];
    "get_audit_cases_id",
        "A moderators' file as it stood at a moment, in the shape in which moderators read it. The look is recorded, with the messages it showed.",
        "", r#"{"case_id": "2cfecc26-5fef-50d2-8737-add1e1be0e86", "conversation_id": "a071f665-05ff-593e-83dd-604f7673af7a", "member": "cat", "reporter": "ann", "state": "open", "priority": 4311744768, "priority_inputs": {"severity": 1, "reporters": 1, "upheld": 0, "over_limit": false}, "categories": ["spam"], "opened_at": "2026-11-23T07:25:21.874Z", "claimed_by": null, "claimed_until": null, "escalated_by": null, "revision": 1, "notes": [], "decisions": [], "reports": [{"report_id": "5b11f1cb-5d71-5eee-8db4-54ab985f4af5", "reporter": "ann", "category": "spam", "comment": "", "reported_at": "2026-11-23T07:25:21.874Z", "over_limit": false, "evidence": [{"number": 1, "text": "Buy now", "sent_at": "2026-11-23T07:25:21.715Z"}]}], "messages": [{"number": 1, "from": "cat", "text": "Buy now", "sent_at": "2026-11-23T07:25:21.715Z", "unsent_at": null, "removed_at": null, "reported": true}], "history": [{"member": "cat", "registered_at": "2026-11-23T07:25:21.473Z", "reports_made": 0, "reports_decided": 0, "reports_upheld": 0, "report_limit": null, "members_reported": 0, "reports_received": 1, "reporters": 1, "cases": 1, "cases_upheld": 0, "suspensions": 0, "suspended": false}]}"#, [];
    "get_events",
        "The log itself: a page after a position (exclusive), filtered by stream, type and member; a page looks at a bounded number of events, so that one with few matches may have fewer items and a `next_cursor` all the same. With `Accept: application/x-ndjson` an event a line, to the end of the log as it was when asked. `Accept: text/event-stream`, or `follow=true` (with `Accept: application/x-ndjson` as lines), goes on with what comes, without a gap: each event has its position as `id`, its type as `event` and as `data` what a line has; after a break `Last-Event-ID` goes on. `reached` (as a line `{\"reached\": {\"position\"}}`) tells how far was looked, once at the end of the log and with every heartbeat; `end` and `error` (`{\"end\": {\"code\", \"detail\"}}`, `{\"error\": …}`) say why a stream is over. A reader who takes nothing for 30 seconds is cut off. Reading is noted in the access log.",
        "",
        r#"{"items": [{"log_id": "01a2074b-8b06-759c-ab6b-582c667dc5eb", "position": 10, "stream": "member-ann", "version": 1, "event_id": "797023bf-e61c-5f32-8e86-8f8e16084a5e", "type": "dm-setting-changed.v1", "at": "2026-11-23T07:25:21.548Z", "recorded_at": "2026-11-23T07:25:21.548Z", "command_id": "k1", "correlation_id": "f771ccf7-c721-565f-ba77-ea6ecd5c8b59", "causation_id": "3c7cd505-0e69-5776-a826-3372302e161e", "actor": "ann", "members": ["ann"], "data": {"member": "ann", "audience": "everyone", "version": 2}}], "next_cursor": null}"#,
        [OtherLog, NotAcceptable, Damaged, Busy];
    "get_views",
        "How far each read view has come, how far that is behind the log in events (`lag`) and in seconds, the version of its code, the size of its file, and how many events it has set aside (`failed` and `waiting`; `GET /v1/views/{name}/letters` lists them). `previous` is how far the file has come that was served before the last rebuild, which is kept until it is dropped; `work` is the verification or rebuild that is under way, `last` what the last one came to since the service was started.",
        "",
        r#"{"items": [{"name": "inbox", "version": 1, "state": "live", "position": "lUonbagLqmtu4ne1LbE9kA", "lag": 0, "lag_seconds": 0.0, "bytes": 143360, "failed": 0, "waiting": 0, "reason": null, "previous": null, "work": null, "last": {"number": 2, "kind": "verify", "position": "lUonbagLqmtu4ne1LbE9kA", "rows": 4, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "equal": true, "error": null}}], "next_cursor": null}"#,
        [];
    "get_views_name",
        "The rows of a view of one's own, which a program has beside the built-in ones, in the order of their keys. Parameters of the view's own narrow one of its lists from the first part of its keys on (`member=ann`), and the part after those that are given from one value to another, both inclusive (`week_from=2004-W05&week_to=2004-W10`); what the view does not know is refused, naming what it takes. A cursor is for one filter and order. The view says which roles may read it; members may read none.",
        "",
        r#"{"items": [{"member": "ann", "week": "2004-W05", "first_contacts": 12, "accepted": 5, "deleted": 3, "withdrawn": 0, "pending": 4, "reported": 1}], "next_cursor": null}"#,
        [NotFound];
    "post_views_name_verify",
        "Folds the log once more, up to where the view stands, and compares number and digest of the rows. Answered as soon as it has begun, with the view as it was then; it goes on by itself beside all else, one view at a time, and `last` of `GET /v1/views` tells what it came to. A difference is counted in `doorstep_view_differences_total` and logged as an error. A stop of the service ends it.",
        "",
        r#"{"name": "inbox", "version": 1, "state": "live", "position": "lUonbagLqmtu4ne1LbE9kA", "lag": 0, "lag_seconds": 0.0, "bytes": 143360, "failed": 0, "waiting": 0, "reason": null, "previous": null, "work": {"number": 3, "kind": "verify", "version": 1, "stage": "comparing", "events": 0, "position": "2lQ0aUFyJ8YzKlsU3nhs1A", "until": "lUonbagLqmtu4ne1LbE9kA", "percent": 0, "seconds_to_go": null}, "last": null}"#,
        [NotFound, ViewBusy, NotReady];
    "post_views_name_rebuild",
        "Makes the view anew beside the file that is served, folds the log a second time to compare, lets the new file catch up, and switches to it in one step. Queries never see an empty or half-built view; the earlier file goes on following the log until it is dropped. Answered as soon as it has begun, as a verification is; `equal` of its `last` says whether the rows that were served before were those that the log gives. A stop of the service, or a kill, ends it, and what was served is served.",
        "",
        r#"{"name": "inbox", "version": 1, "state": "live", "position": "lUonbagLqmtu4ne1LbE9kA", "lag": 0, "lag_seconds": 0.0, "bytes": 143360, "failed": 0, "waiting": 0, "reason": null, "previous": null, "work": {"number": 3, "kind": "rebuild", "version": 1, "stage": "comparing", "events": 0, "position": "2lQ0aUFyJ8YzKlsU3nhs1A", "until": "lUonbagLqmtu4ne1LbE9kA", "percent": 0, "seconds_to_go": null}, "last": {"number": 2, "kind": "verify", "position": "lUonbagLqmtu4ne1LbE9kA", "rows": 4, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "equal": true, "error": null}}"#,
        [NotFound, ViewBusy, NotReady];
    "post_views_name_rollback",
        "Serves the file again that was served before the last switch, once it stands where the other does, and keeps the other one in its place. Done again, it takes that back.",
        "",
        r#"{"name": "inbox", "version": 1, "state": "live", "position": "lUonbagLqmtu4ne1LbE9kA", "lag": 0, "lag_seconds": 0.0, "bytes": 143360, "failed": 0, "waiting": 0, "reason": null, "previous": "lUonbagLqmtu4ne1LbE9kA", "work": null, "last": {"number": 2, "kind": "verify", "position": "lUonbagLqmtu4ne1LbE9kA", "rows": 4, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "equal": true, "error": null}}"#,
        [NotFound, ViewBusy, NoPreviousView, NotReady];
    "delete_views_name_previous",
        "Gives up the file that was served before the last switch; from then on there is nothing to go back to.",
        "",
        r#"{"name": "inbox", "version": 1, "state": "live", "position": "lUonbagLqmtu4ne1LbE9kA", "lag": 0, "lag_seconds": 0.0, "bytes": 143360, "failed": 0, "waiting": 0, "reason": null, "previous": null, "work": null, "last": {"number": 2, "kind": "verify", "position": "lUonbagLqmtu4ne1LbE9kA", "rows": 4, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "equal": true, "error": null}}"#,
        [NotFound, ViewBusy, NoPreviousView, NotReady];
    "get_views_name_letters",
        "The events that the view could not apply, and those that wait behind them because they belong together, in the log's order: later ones of the same conversation, while all others flow on. Last the event before which the view stays, where it has stopped: one that it has no room for (10,000 events), or, of `times`, whose rows are an order over the whole log, the first. An event is named by `stream` and `version`.",
        "",
        r#"{"items": [{"state": "failed", "stream": "conversation-8c2b28e4-8ac0-5d9f-b3a6-0a8a8b0f8b0c", "version": 7, "type": "message-sent.v1", "position": "lUonbagLqmtu4ne1LbE9kA", "cause": "a row of `rows` cannot be read: Hit the end of buffer, expected more data"}], "next_cursor": null}"#,
        [NotFound, OtherLog];
    "post_views_name_letters_retry",
        "Tries again what the view has set aside, in the log's order: all of it, or the one event that the query names; what waited behind an event that is applied now is applied after it. It is also tried at every start of the service, which may be another version of it. Nothing is written to the log, and what fails again stays as it was.",
        "",
        r#"{"applied": 3, "failed": 0, "left_failed": 0, "left_waiting": 0, "position": "lUonbagLqmtu4ne1LbE9kA"}"#,
        [NotFound, EventWaits, NotReady];
    "post_views_name_letters_skip",
        "Has the view do without an event that it cannot apply, from now on and in every rebuild; what waited behind it is applied. That is an event of its own (`act-event-skipped`), with who decided it and why; it does not end, also where a later version of the program could apply the event.",
        r#"{"stream": "conversation-8c2b28e4-8ac0-5d9f-b3a6-0a8a8b0f8b0c", "version": 7, "reason": "unreadable", "text": "Written by a faulty import; see the incident of 3 May."}"#,
        r#"{"left_failed": 0, "left_waiting": 0, "position": "lUonbagLqmtu4ne1LbE9kA"}"#,
        [NotFound, EventWaits, NotReady];
    "post_store_verify",
        "Reads every record of the log and checks it; `ok` says whether nothing is wrong. One at a time.",
        "",
        r#"{"ok": true, "log_id": "01a2074b-8b06-759c-ab6b-582c667dc5eb", "events": 49, "position": 49, "segments": 1, "bytes": 19704, "torn": null, "kept_aside": []}"#,
        [Busy];
    "get_store_backup",
        "A consistent copy of the log as a tar archive, made as it is sent; `doorstep restore` takes it once it is unpacked. It holds no keys. One at a time. Where there is no room to lay it out beside what the disk keeps free, none is made; nor where the log is kept elsewhere, on a KurrentDB cluster.",
        "", "", [LogElsewhere, Busy, Damaged, StorageFull];
    "get_healthz",
        "Answers as long as the process does. Whether it does its work is told by `/readyz`.",
        "", "", [];
    "get_readyz",
        "503 while the service does not do all of its work, with `reasons`: the store takes no commands, the write side or a view has stopped, is far behind or has set events aside, a reactor has parked what it cannot handle, the clock is more than 5 s behind the log, damage of the log was met. No figures: those are in `/metrics` and, for operators, in `GET /v1/views`.",
        "",
        r#"{"ready": true, "store": "writable", "write_side": "running", "clock": "right", "damage_found": false, "views": [{"name": "inbox", "state": "live", "ready": true}], "reactors": [{"name": "cases", "ready": true}], "reasons": []}"#,
        [];
    "get_metrics",
        "Every metric is named in the project's page `docs/metrics.md`. No label holds a member, a stream or a key.",
        "", "", [];
}

/// The operations that protect a member, and are never limited.
const NEVER_LIMITED: [&str; 7] = [
    "put_me_blocks_other",
    "delete_me_blocks_other",
    "post_requests_cid_accept",
    "delete_requests_cid",
    "post_requests_accept",
    "post_requests_delete",
    "post_reports",
];

/// Whether calling it too often is refused.
pub(crate) fn is_limited(id: &str) -> bool {
    !NEVER_LIMITED.contains(&id)
}

/// What the document says of the operation of this name.
pub(crate) fn of(id: &str) -> Option<&'static Operation> {
    ALL.iter().find(|operation| operation.id == id)
}

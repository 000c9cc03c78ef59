//! The moderators' queue of the college workload: one case per reported conversation, in the order of the domain's page, which
//! is worked out here a second time, from the two data files alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event_store::{EmbeddedStore, EventStore};
use projections::{Options, PageRequest, QueueFilter, ReadSide, ViewName};
use tests::commands::store_options;
use tests::views::id;

use crate::program_import::{Reported, copy_folder, counted, whole};

const DAY_S: i64 = 24 * 60 * 60;

/// Whom each case is about, and who reported, in the order in which moderators should meet them.
///
/// Every report is of one category, so that severity sets none before another; nothing was upheld yet, and nobody reports more
/// than 50 times a day. What is left: how many members complained of this one within the 90 days before the last that did,
/// most first; then which case was opened first.
fn queue_of(reports: &[Reported]) -> Vec<(u32, u32)> {
    let mut of_member: BTreeMap<u32, Vec<Reported>> = BTreeMap::new();
    let mut by_member: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for report in reports {
        of_member.entry(report.member).or_default().push(*report);
        by_member
            .entry(report.by)
            .or_default()
            .push(report.at_seconds);
    }
    for times in by_member.values() {
        let crowded = times.windows(51).any(|some| some[50] - some[0] < DAY_S);
        assert!(!crowded, "a member reports too often to be heard");
    }
    let complaints = |member: u32| {
        let reports = &of_member[&member];
        let last = reports
            .iter()
            .map(|report| report.at_seconds)
            .max()
            .unwrap();
        let late = reports
            .iter()
            .filter(|report| last - report.at_seconds < 90 * DAY_S);
        let reporters: BTreeSet<u32> = late.map(|report| report.by).collect();
        reporters.len()
    };
    let mut queue: Vec<&Reported> = reports.iter().collect();
    queue.sort_by_key(|report| (Reverse(complaints(report.member)), report.message));
    queue
        .into_iter()
        .map(|report| (report.member, report.by))
        .collect()
}

#[tokio::test]
async fn has_one_case_per_reported_conversation_in_an_order_worked_out_from_the_files() {
    let (_, reports) = counted();
    let expected = queue_of(&reports);
    let conversations: BTreeSet<[u32; 2]> = expected
        .iter()
        .map(|(member, by)| [*member.min(by), *member.max(by)])
        .collect();
    assert_eq!(conversations.len(), expected.len());
    assert!(expected.len() > 500, "{} cases", expected.len());
    // The order is another than that of the reports.
    let by_age: Vec<(u32, u32)> = reports.iter().map(|it| (it.member, it.by)).collect();
    assert_ne!(expected, by_age);

    let copy = tempfile::tempdir().unwrap();
    let data = copy.path().join("data");
    copy_folder(&whole().data.path().join("data"), &data);
    let log = EmbeddedStore::open(&data, store_options()).unwrap();
    let store: Arc<dyn EventStore> = Arc::new(log.clone());
    let mut options = Options::in_memory();
    options.own = Vec::new();
    let end = store.durable_position();
    let needed = [ViewName::ModerationQueue, ViewName::Conversation].map(ViewName::as_str);
    let mut views = projections::views();
    views.retain(|view| needed.contains(&view.name()));
    let reads = ReadSide::open_with(options, store, views).await.unwrap();
    let long = std::time::Duration::from_mins(5);
    reads
        .wait(ViewName::ModerationQueue, end, long)
        .await
        .unwrap();

    let (mut cursor, mut found) = (None, Vec::new());
    loop {
        let page = PageRequest::new(200, cursor).unwrap();
        let page = reads.moderation_queue(&QueueFilter::default(), &page).await;
        let page = page.unwrap();
        found.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(member, by)| {
            let (member, by) = (id(&member.to_string()), id(&by.to_string()));
            (Some(domain::ConversationId::of(&member, &by)), member)
        })
        .collect();
    let found: Vec<_> = found
        .into_iter()
        .map(|item| (item.conversation_id, item.member))
        .collect();
    assert_eq!(found, expected);
    reads.stop().await.unwrap();
    log.close();
}

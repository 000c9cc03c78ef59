//! What a decision has to read first: facts of other streams, messages that are named, and its own stream where others write
//! too. It is read beside the worker and comes back to it as a message; until then the aggregate is busy.

use std::sync::Arc;

use domain::ids::{ConversationId, MemberId};
use event_store::{Position, StreamName};

use crate::facts::MemberFact;
use crate::job::{Job, Named};
use crate::steps::give_slot_back;
use crate::task::FactsInHand;
use crate::worker::{Desk, Entry, Message};
use crate::{CommandError, messages, repeat, snapshots};

impl Desk<'_> {
    pub(crate) fn facts(
        &self,
        needed: &[Option<MemberId>; 2],
        policy: bool,
    ) -> Option<FactsInHand> {
        let [by, other] = needed;
        let member = |member: &Option<MemberId>| -> Option<Option<Arc<MemberFact>>> {
            match member {
                None => Some(None),
                Some(member) => self.shared.facts.member(member).map(Some),
            }
        };
        Some(FactsInHand {
            by: member(by)?,
            other: member(other)?,
            policy: policy.then(|| self.shared.facts.policy()),
        })
    }

    pub(crate) fn fetch_facts(&self, mut job: Box<Job>, needed: [Option<MemberId>; 2]) {
        let (shared, messages) = (Arc::clone(self.shared), self.messages.clone());
        self.shared.loading.aside(async move {
            let mut result = Ok(());
            let refresh = shared.others_write();
            for member in needed.iter().flatten() {
                if result.is_ok() && (refresh || shared.facts.member(member).is_none()) {
                    result = snapshots::load_member(&shared, member).await.map(drop);
                }
            }
            if result.is_ok() && refresh && job.task.needs_policy() {
                result = shared.facts.load_policy().await;
            }
            job.facts_read = true;
            let _ = messages.send(Message::Ready(
                job,
                None,
                result.map_err(CommandError::from),
            ));
        });
    }

    pub(crate) fn look_up_messages(
        &self,
        mut job: Box<Job>,
        head: Option<u64>,
        position: Position,
        of_case: Option<ConversationId>,
    ) {
        let (shared, messages) = (Arc::clone(self.shared), self.messages.clone());
        tokio::spawn(async move {
            if let Err(error) = shared.store.wait_durable(position).await {
                let _ = messages.send(Message::Ready(job, None, Err(error.into())));
                return;
            }
            let by = Arc::clone(&shared);
            by.loading.aside(async move {
                let result = messages::put_into(&shared, &mut job, head, of_case).await;
                job.named = Named::Put;
                let _ = messages.send(Message::Ready(job, None, result));
            });
        });
    }

    /// Whether this job's own stream is to be read before it is answered by what is held of it, where others write too.
    pub(crate) fn is_to_read_own(&self, job: &mut Job) -> bool {
        self.shared.others_write() && !std::mem::replace(&mut job.own_read, true)
    }

    /// Reads its own stream again. The messages it names were looked up as of what was held.
    pub(crate) fn read_own(&self, entry: &Entry, mut job: Box<Job>) {
        job.named = Named::Wanted;
        let (stream, position) = (job.stream.clone(), entry.aggregate.position);
        self.read_again(entry, job, stream, None, position, false);
    }

    /// Reads again what an append found to be elsewhere, once that is durable. Where something of the command is there,
    /// and cannot be read, the outcome is unknown.
    pub(crate) fn read_again(
        &self,
        entry: &Entry,
        job: Box<Job>,
        stream: StreamName,
        actual: Option<u64>,
        position: Position,
        is_there: bool,
    ) {
        let (shared, messages) = (Arc::clone(self.shared), self.messages.clone());
        let own = (stream == job.stream).then(|| entry.aggregate.clone());
        tokio::spawn(async move {
            if let Err(error) = shared.store.wait_durable(position).await {
                let _ = messages.send(Message::Ready(job, None, Err(error.into())));
                return;
            }
            let by = Arc::clone(&shared);
            by.loading.aside(async move {
                let message = match own {
                    None => {
                        let result = shared.facts.refresh(&stream, actual).await;
                        Message::Ready(job, None, result.map_err(CommandError::from))
                    }
                    Some(mut aggregate) => {
                        let note = |record: &_| shared.note(&stream, record);
                        let result = aggregate
                            .catch_up(&*shared.store, &stream, None, note)
                            .await
                            .map_err(|error| {
                                let error = CommandError::from(error);
                                let away = matches!(error, CommandError::StoreUnavailable(_));
                                if away && is_there {
                                    CommandError::OutcomeUnknown
                                } else {
                                    error
                                }
                            });
                        Message::Ready(job, result.is_ok().then(|| Box::new(aggregate)), result)
                    }
                };
                let _ = messages.send(message);
            });
        });
    }

    pub(crate) fn answer_repeated(&self, job: Box<Job>, stream: StreamName, version: u64) {
        let (shared, messages) = (Arc::clone(self.shared), self.messages.clone());
        self.shared.loading.aside(async move {
            let (correlation, causation) = job.origin.ids();
            let first =
                repeat::outcome(&*shared.store, &stream, version, correlation, causation).await;
            // Another node decided it, while a slot was taken for it here.
            if first.as_ref().is_some_and(|first| first.opened_nothing) {
                give_slot_back(&shared, &job, &[]);
            }
            let result = first.map_or(Err(CommandError::OutcomeUnknown), |first| first.result);
            let _ = messages.send(Message::Concluded(job, result, Position::START));
        });
    }
}

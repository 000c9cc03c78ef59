//! The read side as a whole: opened on a store, asked by the interface.
//!
//! Every answer tells the position of the very snapshot it was read from. Queries that time takes part in (how long a
//! deleted request stays readable) are given the time as `now`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::{ActId, CaseId, ConversationId, MemberId, ReportId};
use domain::time::Timestamp;
use event_store::{EventStore, LogId, Position};
use serde_json::value::RawValue;
use tables::{Order, Reader, Runner, RunnerHandle, RunnerOptions, Status, View, ViewState};

use crate::care::Lasts;
use crate::codec::DomainCodec;
use crate::views::Views;
use crate::{
    Act, Answer, BlockItem, Bounds, Case, Changes, Day, DisclosureItem, InboxItem, LogItem,
    LogLine, Member, MessageItem, Narrowed, OwnDecision, OwnView, Page, PageRequest, Past,
    PastError, QueryError, QueueCounts, QueueFilter, QueueItem, ReportItem, RequestItem,
    Transparency, Unread, ViewName, WaitError, blocked, case, conversation, decisions, disclosures,
    feed, inbox, members, moderation_log, moderation_queue, own, own_rows, own_view, registry,
    reports, requests, transparency, unread,
};

/// Where the views lie, and their bounds.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the views' files; none keeps all rows in memory.
    pub dir: Option<PathBuf>,
    /// Cache of all views together.
    pub cache_bytes: usize,
    /// The views of one's own, beside the built-in ones.
    pub own: Vec<Arc<dyn OwnView>>,
}

impl Options {
    /// Files in `dir`.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: Some(dir.into()),
            ..Self::in_memory()
        }
    }

    /// No files: rows live as long as the read side.
    pub fn in_memory() -> Self {
        Self {
            dir: None,
            cache_bytes: 128 << 20,
            own: own::own_views(),
        }
    }
}

/// All views, following the log; cheap to clone.
#[derive(Clone)]
pub struct ReadSide {
    pub(crate) store: Arc<dyn EventStore>,
    runner: RunnerHandle,
    own: Arc<[Arc<dyn OwnView>]>,
    pub(crate) lasts: Lasts,
}

#[expect(
    clippy::unused_async,
    reason = "queries are asked alike, whether or not they read the log"
)]
impl ReadSide {
    /// Opens the views and begins to follow the log. Returns at once; [`Self::states`] tells how far they are.
    pub async fn open(options: Options, store: Arc<dyn EventStore>) -> anyhow::Result<Self> {
        Self::open_with(options, store, registry::views()).await
    }

    /// The same with other code of the views than the registry's, as another release of this program has it.
    pub async fn open_with(
        options: Options,
        store: Arc<dyn EventStore>,
        views: Vec<Arc<dyn View<DomainCodec>>>,
    ) -> anyhow::Result<Self> {
        let bounds = match &options.dir {
            Some(dir) => RunnerOptions::in_dir(dir),
            None => RunnerOptions::in_memory(),
        };
        let bounds = RunnerOptions {
            cache_bytes: options.cache_bytes,
            ..bounds
        };
        let mut views = views;
        for view in &options.own {
            own_view::check(&**view)
                .map_err(|why| anyhow::anyhow!("a view cannot be served: {why}"))?;
            views.push(Arc::clone(view) as Arc<dyn View<DomainCodec>>);
        }
        let runner = Runner::start(Arc::clone(&store), DomainCodec, views, bounds).await?;
        Ok(Self {
            store,
            runner,
            own: options.own.into(),
            lasts: Lasts::default(),
        })
    }

    /// Makes every view's checkpoint durable and closes the files.
    pub async fn stop(&self) -> anyhow::Result<()> {
        Ok(self.runner.stop().await?)
    }

    /// How each view is, for readiness and metrics.
    pub fn states(&self) -> Vec<Status> {
        self.runner.states()
    }

    /// Whether every view follows the log, behind it by no more than its bound.
    pub fn ready(&self) -> bool {
        self.runner
            .states()
            .iter()
            .all(|status| matches!(status.state, ViewState::Live))
    }

    /// The runner below, for what concerns files and figures rather than answers.
    pub fn runner(&self) -> &RunnerHandle {
        &self.runner
    }

    /// The log that the views follow.
    pub fn log_id(&self) -> LogId {
        self.store.log_id()
    }

    /// How far a view has come.
    pub fn applied(&self, view: ViewName) -> Position {
        self.runner
            .applied(view.as_str())
            .unwrap_or(Position::START)
    }

    /// The views that run: the built-in ones, then those of one's own.
    pub fn names(&self) -> Vec<ViewName> {
        let own = self.own.iter().map(|view| ViewName::Own(view.name()));
        ViewName::ALL.iter().copied().chain(own).collect()
    }

    /// The view of that name, if one runs.
    pub fn named(&self, name: &str) -> Option<ViewName> {
        self.names().into_iter().find(|view| view.as_str() == name)
    }

    /// The views of one's own that run.
    pub fn own(&self) -> &[Arc<dyn OwnView>] {
        &self.own
    }

    /// The version of a view of one's own whose rows are served now, for [`Narrowed::by`] and [`Self::own_rows`]; of one
    /// that is first built the newest.
    pub fn own_served(&self, view: &Arc<dyn OwnView>) -> Arc<dyn OwnView> {
        let handle = self.runner.view(view.name());
        let served = handle.and_then(|handle| own_view::of_version(view, handle.version()));
        served.unwrap_or_else(|| Arc::clone(view))
    }

    /// Waits until the answers that name the view stand at `position` or past it.
    pub async fn wait(
        &self,
        view: ViewName,
        position: Position,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        self.runner.wait(view.as_str(), position, timeout).await?;
        if view == ViewName::ModerationQueue {
            // A case shows messages around the reported ones, which `conversation` finds.
            self.runner
                .wait(ViewName::Conversation.as_str(), position, timeout)
                .await?;
        }
        Ok(())
    }

    /// The past of the log up to its durable end now, once the indexes have come there.
    pub async fn past(&self, timeout: Duration) -> Result<Past, PastError> {
        self.past_within(timeout, Bounds::default()).await
    }

    /// The same, with other bounds of a question.
    pub async fn past_within(&self, timeout: Duration, bounds: Bounds) -> Result<Past, PastError> {
        let end = self.store.durable_position();
        for view in [ViewName::Pairs, ViewName::Times] {
            self.wait(view, end, timeout).await?;
        }
        let pairs = self.reader(ViewName::Pairs)?;
        let times = self.reader(ViewName::Times)?;
        Ok(Past::of(Arc::clone(&self.store), end, pairs, times, bounds))
    }

    /// Waits until the views are near enough to the log for writers to go on.
    pub async fn room(&self) {
        self.runner.room().await;
    }

    /// A member's inbox, newest first.
    pub async fn inbox(
        &self,
        member: &MemberId,
        page: &PageRequest,
    ) -> Result<Page<InboxItem>, QueryError> {
        inbox::query(self, member, page).await
    }

    /// A member's requests, newest first, without the frozen ones.
    pub async fn requests(
        &self,
        member: &MemberId,
        page: &PageRequest,
    ) -> Result<Page<RequestItem>, QueryError> {
        requests::query(self, member, page).await
    }

    /// The messages of a conversation that `member` sees at the time `now`, newest first.
    /// [`QueryError::NotFound`] if there are none.
    pub async fn messages(
        &self,
        member: &MemberId,
        conversation: ConversationId,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<MessageItem>, QueryError> {
        conversation::query(self, member, conversation, page, now).await
    }

    /// How many of a member's conversations hold something unread.
    pub async fn unread(&self, member: &MemberId) -> Result<Answer<Unread>, QueryError> {
        unread::query(&self.reader(ViewName::Unread)?, member)
    }

    /// Whom a member has blocked, the latest first. `now` decides whether a deleted conversation is still there.
    pub async fn blocks(
        &self,
        member: &MemberId,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<BlockItem>, QueryError> {
        blocked::query(&self.reader(ViewName::Blocked)?, member, page, now)
    }

    /// What a member has reported, the latest first.
    pub async fn my_reports(
        &self,
        member: &MemberId,
        page: &PageRequest,
    ) -> Result<Page<ReportItem>, QueryError> {
        reports::query(self, member, page).await
    }

    /// A report, for its reporter.
    pub async fn my_report(
        &self,
        member: &MemberId,
        report: ReportId,
    ) -> Result<Answer<ReportItem>, QueryError> {
        reports::query_one(self, member, report).await
    }

    /// What was decided about a member, the latest first.
    pub async fn my_decisions(
        &self,
        member: &MemberId,
        page: &PageRequest,
    ) -> Result<Page<OwnDecision>, QueryError> {
        decisions::query(self, member, page).await
    }

    /// The cases of the moderation queue.
    pub async fn moderation_queue(
        &self,
        filter: &QueueFilter,
        page: &PageRequest,
    ) -> Result<Page<QueueItem>, QueryError> {
        moderation_queue::query(&self.reader(ViewName::ModerationQueue)?, filter, page)
    }

    /// How many cases the moderation queue holds for this moderator, who is told of none of their own.
    pub async fn queue_counts(
        &self,
        moderator: &MemberId,
    ) -> Result<Answer<QueueCounts>, QueryError> {
        moderation_queue::counts(&self.reader(ViewName::ModerationQueue)?, moderator)
    }

    /// An act on many cases, as far as it was carried out. Wait on [`ViewName::ModerationQueue`] for it.
    pub async fn act(&self, act: ActId) -> Result<Answer<Act>, QueryError> {
        moderation_queue::act(self, act).await
    }

    /// The member whom a case is about; none where there is no such case.
    pub fn reported_in(&self, case: CaseId) -> Result<Option<MemberId>, QueryError> {
        let reader = self.reader(ViewName::ModerationQueue)?;
        Ok(moderation_queue::reported_in(&reader, case)?)
    }

    /// A case with its evidence. Wait on [`ViewName::ModerationQueue`] for it.
    pub async fn case(&self, case: CaseId) -> Result<Answer<Case>, QueryError> {
        case::query(self, case).await
    }

    /// What a moderator did, the latest first.
    pub async fn log_of_moderator(
        &self,
        moderator: &MemberId,
        page: &PageRequest,
    ) -> Result<Page<LogLine>, QueryError> {
        moderation_log::of_moderator(self, moderator, page)
    }

    /// What was done on a case, the latest first.
    pub async fn log_on_case(
        &self,
        case: CaseId,
        page: &PageRequest,
    ) -> Result<Page<LogItem>, QueryError> {
        moderation_log::on_case(self, case, page)
    }

    /// What was reported, decided and reversed on the days from `first` to `last`, both included. [`QueryError::TooWide`]
    /// where that is over more than one report adds up.
    pub async fn transparency(
        &self,
        first: Day,
        last: Day,
    ) -> Result<Answer<Transparency>, QueryError> {
        transparency::query(&self.reader(ViewName::Transparency)?, first, last)
    }

    /// Who was shown what is a member's, up to a position, the latest look first. [`PastError::Incomplete`] where a look is
    /// set aside.
    pub async fn disclosures(
        &self,
        member: &MemberId,
        until: Position,
        page: &PageRequest,
    ) -> Result<Page<DisclosureItem>, PastError> {
        disclosures::query(self, member, until, page).await
    }

    /// What is known of a member; [`QueryError::NotFound`] for one who never registered.
    pub async fn member(&self, member: &MemberId) -> Result<Answer<Member>, QueryError> {
        members::query(&self.reader(ViewName::Members)?, member)
    }

    /// Rows of a view of one's own, in the order of their keys or the other way round. `view` is what
    /// [`Self::own_served`] gave; where another version's rows are served meanwhile, there is no answer until it is asked
    /// for again ([`QueryError::Unavailable`]).
    pub async fn own_rows(
        &self,
        view: &dyn OwnView,
        narrowed: &Narrowed,
        order: Order,
        page: &PageRequest,
    ) -> Result<Page<Box<RawValue>>, QueryError> {
        let reader = self.reader(ViewName::Own(view.name()))?;
        own_rows::query(&reader, view, narrowed, order, page)
    }

    /// What changed of a member's own views after a position, each change as it is last, oldest first.
    pub async fn changes(&self, member: &MemberId, after: Position) -> Result<Changes, QueryError> {
        feed::query(self, member, after).await
    }
}

impl Views for ReadSide {
    fn reader(&self, view: ViewName) -> Result<Reader, QueryError> {
        let unavailable = |cause: String| QueryError::Unavailable { view, cause };
        let handle = self
            .runner
            .views()
            .iter()
            .find(|handle| handle.name() == view.as_str());
        handle
            .ok_or_else(|| unavailable("no such view".to_owned()))?
            .reader()
            .map_err(|cause| unavailable(cause.to_string()))
    }

    fn log(&self) -> &dyn EventStore {
        &*self.store
    }
}

//! Tables that follow the log: redb with a checkpoint, and the runner.

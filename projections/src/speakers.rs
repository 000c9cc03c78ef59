//! Who wrote which number: what exact unread counts need, at two bits a message.
//!
//! A read mark names a number; how many messages of the other lie between two marks follows from who wrote each. The
//! last block of 64 numbers stands in the conversation's row, full ones in a table of their own, so that a message
//! costs no row more and a mark costs one row per 64 messages it passes.

use domain::ids::ConversationId;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Tx};

use crate::rows::{load, store};
use crate::thread::Side;

const BLOCK: u64 = 64;

/// Authors of up to 64 consecutive numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    /// A bit per number that the higher side wrote.
    higher: u64,
    /// A bit per number that its recipient does not see: withheld, or unsent in a request.
    hidden: u64,
}

impl Block {
    fn seen_from(self, author: Side) -> u64 {
        !self.hidden
            & match author {
                Side::Lower => !self.higher,
                Side::Higher => self.higher,
            }
    }
}

/// The authors of a conversation's numbers, in a table.
pub(crate) struct Speakers {
    pub(crate) table: &'static str,
    pub(crate) conversation: ConversationId,
    /// The last number of the conversation before the event at hand.
    pub(crate) last_number: u64,
}

impl Speakers {
    /// Notes the author of the next number.
    pub(crate) fn wrote(
        &self,
        tx: &mut Tx<'_>,
        last: &mut Block,
        number: u64,
        author: Side,
        hidden: bool,
    ) -> Result<(), ApplyError> {
        if number / BLOCK != self.last_number / BLOCK {
            store(tx, self.table, &self.key(self.last_number / BLOCK), last)?;
            *last = Block::default();
        }
        let bit = 1 << (number % BLOCK);
        if author == Side::Higher {
            last.higher |= bit;
        }
        if hidden {
            last.hidden |= bit;
        }
        Ok(())
    }

    /// Notes that its recipient sees a number no more.
    pub(crate) fn hide(
        &self,
        tx: &mut Tx<'_>,
        last: &mut Block,
        number: u64,
    ) -> Result<(), ApplyError> {
        let (index, bit) = (number / BLOCK, 1 << (number % BLOCK));
        if index == self.last_number / BLOCK {
            last.hidden |= bit;
            return Ok(());
        }
        let mut block: Block = load(tx, self.table, &self.key(index))?.unwrap_or_default();
        block.hidden |= bit;
        store(tx, self.table, &self.key(index), &block)
    }

    /// How many messages of `author` their recipient sees above `after` and up to `through`.
    pub(crate) fn count(
        &self,
        tx: &Tx<'_>,
        last: Block,
        author: Side,
        after: u64,
        through: u64,
    ) -> Result<u64, ApplyError> {
        let through = through.min(self.last_number);
        if after >= through {
            return Ok(0);
        }
        let (first_index, last_index) = ((after + 1) / BLOCK, through / BLOCK);
        let mut count = 0;
        for index in first_index..=last_index {
            let block = if index == self.last_number / BLOCK {
                last
            } else {
                load(tx, self.table, &self.key(index))?.unwrap_or_default()
            };
            let mut bits = block.seen_from(author);
            if index == first_index {
                bits &= u64::MAX << ((after + 1) % BLOCK);
            }
            if index == last_index {
                bits &= u64::MAX >> (BLOCK - 1 - through % BLOCK);
            }
            count += u64::from(bits.count_ones());
        }
        Ok(count)
    }

    fn key(&self, index: u64) -> Key {
        Key::with_capacity(24)
            .fixed(self.conversation.0.as_bytes())
            .u64(index)
    }
}

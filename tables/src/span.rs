//! Which rows a scan covers, and in which order: a range of keys, mostly a prefix and a place in it.

use std::ops::Bound;

/// The order of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By rising keys.
    Ascending,
    /// By falling keys.
    Descending,
}

/// A lower and an upper bound of keys.
pub(crate) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// A range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub(crate) lower: Bound<Vec<u8>>,
    pub(crate) upper: Bound<Vec<u8>>,
}

impl Span {
    /// Every row.
    pub fn all() -> Self {
        Self {
            lower: Bound::Unbounded,
            upper: Bound::Unbounded,
        }
    }

    /// Every row whose key begins with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        let upper = successor(prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self {
            lower: Bound::Included(prefix.to_vec()),
            upper,
        }
    }

    /// Every row between two bounds.
    pub fn between(lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> Self {
        Self {
            lower: lower.map(<[u8]>::to_vec),
            upper: upper.map(<[u8]>::to_vec),
        }
    }

    /// Of these, the rows at or after `key`.
    #[must_use]
    pub fn from(self, key: &[u8]) -> Self {
        self.raise(Bound::Included(key))
    }

    /// Of these, the rows after `key`, without it: where a page in ascending order goes on.
    #[must_use]
    pub fn after(self, key: &[u8]) -> Self {
        self.raise(Bound::Excluded(key))
    }

    /// Of these, the rows up to `key` and with it.
    #[must_use]
    pub fn through(self, key: &[u8]) -> Self {
        self.sink(Bound::Included(key))
    }

    /// Of these, the rows up to the last one whose key begins with `prefix`, and with it.
    #[must_use]
    pub fn through_prefix(self, prefix: &[u8]) -> Self {
        match successor(prefix) {
            Some(next) => self.before(&next),
            None => self,
        }
    }

    /// Of these, the rows before `key`, without it: where a page in descending order goes on.
    #[must_use]
    pub fn before(self, key: &[u8]) -> Self {
        self.sink(Bound::Excluded(key))
    }

    fn raise(mut self, lower: Bound<&[u8]>) -> Self {
        let tighter = match (&self.lower, lower) {
            (Bound::Unbounded, _) => true,
            (_, Bound::Unbounded) => false,
            (Bound::Included(old), Bound::Excluded(new)) => new >= old.as_slice(),
            (
                Bound::Included(old) | Bound::Excluded(old),
                Bound::Included(new) | Bound::Excluded(new),
            ) => new > old.as_slice(),
        };
        if tighter {
            self.lower = lower.map(<[u8]>::to_vec);
        }
        self
    }

    fn sink(mut self, upper: Bound<&[u8]>) -> Self {
        let tighter = match (&self.upper, upper) {
            (Bound::Unbounded, _) => true,
            (_, Bound::Unbounded) => false,
            (Bound::Included(old), Bound::Excluded(new)) => new <= old.as_slice(),
            (
                Bound::Included(old) | Bound::Excluded(old),
                Bound::Included(new) | Bound::Excluded(new),
            ) => new < old.as_slice(),
        };
        if tighter {
            self.upper = upper.map(<[u8]>::to_vec);
        }
        self
    }

    /// The bounds by reference; `None` when no key can lie between them.
    pub(crate) fn bounds(&self) -> Option<Bounds<'_>> {
        let lower = self.lower.as_ref().map(Vec::as_slice);
        let upper = self.upper.as_ref().map(Vec::as_slice);
        let empty = match (lower, upper) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(low), Bound::Included(high)) => low > high,
            (
                Bound::Included(low) | Bound::Excluded(low),
                Bound::Included(high) | Bound::Excluded(high),
            ) => low >= high,
        };
        (!empty).then_some((lower, upper))
    }
}

/// The smallest key above every key that begins with `prefix`; none if there is no such key.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if last < u8::MAX {
            next.push(last + 1);
            return Some(next);
        }
    }
    None
}

#[cfg(test)]
mod spec {
    use super::*;

    fn holds(span: &Span, key: &[u8]) -> bool {
        span.bounds()
            .is_some_and(|bounds| std::ops::RangeBounds::<[u8]>::contains(&bounds, key))
    }

    #[test]
    fn a_prefix_holds_what_begins_with_it() {
        let span = Span::prefix(&[1, 255]);
        assert!(holds(&span, &[1, 255]) && holds(&span, &[1, 255, 255, 0]));
        assert!(!holds(&span, &[1, 254, 255]) && !holds(&span, &[2]));
        assert!(
            holds(&Span::prefix(&[255, 255]), &[255, 255, 9])
                && !holds(&Span::prefix(&[255]), &[254])
        );
        assert!(holds(&Span::prefix(&[]), &[]) && holds(&Span::all(), &[0]));
    }

    #[test]
    fn a_page_goes_on_after_a_key_without_leaving_the_prefix() {
        let span = Span::prefix(b"a").after(b"ab");
        assert!(!holds(&span, b"ab") && holds(&span, b"ab\0") && !holds(&span, b"b"));
        let span = Span::prefix(b"b").after(b"a");
        assert!(holds(&span, b"b") && !holds(&span, b"a"));
        let span = Span::prefix(b"a").before(b"ab");
        assert!(holds(&span, b"aa") && !holds(&span, b"ab"));
        let span = Span::prefix(b"a").before(b"c");
        assert!(holds(&span, b"az") && !holds(&span, b"b"));
    }

    #[test]
    fn through_a_prefix_holds_what_begins_with_it_and_nothing_after() {
        let span = Span::prefix(b"a").through_prefix(b"ab");
        assert!(holds(&span, b"ab") && holds(&span, b"ab\xff\xff") && !holds(&span, b"ac"));
        let span = Span::prefix(b"a").through_prefix(b"b");
        assert!(holds(&span, b"a\xff") && !holds(&span, b"b"));
        let span = Span::all().through_prefix(&[255]);
        assert!(holds(&span, &[255, 255]));
    }

    #[test]
    fn bounds_that_cross_hold_nothing() {
        assert!(Span::all().after(b"b").before(b"b").bounds().is_none());
        assert!(Span::all().from(b"b").before(b"b").bounds().is_none());
        assert!(Span::all().from(b"b").through(b"b").bounds().is_some());
        assert!(Span::all().from(b"c").through(b"b").bounds().is_none());
    }
}

//! The names that somebody may have meant who gave one that is none.
//!
//! Only for words to people, in errors of the interface and of the program: nothing is decided by it.

/// How alike two names are at least for one to be taken for a slip of the other.
const SLIP: f64 = 0.84;

/// Of the known names those most like this one, the most alike first, at most `most`.
pub fn nearest<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Vec<&'a str> {
    by_likeness(name, known)
        .into_iter()
        .take(most)
        .map(|(_, known)| known)
        .collect()
}

/// The known name of which this one may be a slip.
pub fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    by_likeness(name, known)
        .into_iter()
        .next()
        .filter(|(alike, _)| *alike >= SLIP)
        .map(|(_, known)| known)
}

fn by_likeness<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<(f64, &'a str)> {
    let mut all: Vec<(f64, &str)> = known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .collect();
    all.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    all
}

#[cfg(test)]
mod spec {
    use super::{meant, nearest};

    const KNOWN: [&str; 4] = ["listen", "data", "log_format", "log"];

    #[test]
    fn a_slip_is_taken_for_what_was_meant_and_another_word_for_nothing() {
        assert_eq!(meant("listne", KNOWN), Some("listen"));
        assert_eq!(meant("bogus", KNOWN), None);
    }

    #[test]
    fn the_most_alike_come_first_and_no_more_than_asked_for() {
        assert_eq!(nearest("log_from", KNOWN, 2), ["log_format", "log"]);
    }
}

//! The views of one's own: a line each, and nothing else anywhere.
//!
//! A line names the file in `own/` and the view in it: `first_contact: FirstContact,` is the view of
//! `own/first_contact.rs`. It is then followed live beside the built-in ones, served at `/v1/views/NAME`, rebuilt, verified,
//! and listed wherever views are. What such a file has to say is told at [`OwnView`], and `docs/views.md` has one whole.

use std::sync::Arc;

use crate::{OwnView, ViewName};

/// Makes the lines the modules and the list of them.
macro_rules! own {
    ($($(#[$attribute:meta])* $file:ident: $view:ident,)*) => {
        $($(#[$attribute])* mod $file;)*

        /// One of each.
        pub(crate) fn listed() -> Vec<Arc<dyn OwnView>> {
            vec![$(Arc::new($file::$view)),*]
        }
    };
}

own! {
    // A line a view: its file in `own/`, and the view in it.
}

/// The views of one's own, to be run beside the built-in ones.
pub fn own_views() -> Vec<Arc<dyn OwnView>> {
    listed()
}

/// The names of all views that the program runs, the built-in ones first.
pub fn names() -> Vec<&'static str> {
    let own = own_views();
    let built_in = ViewName::ALL.iter().map(|view| view.as_str());
    built_in.chain(own.iter().map(|view| view.name())).collect()
}

#[cfg(test)]
pub(crate) use own;

//! That a file and a line are a view: the worked example, registered by its line as it would be in `own`.

use std::sync::Arc;

use crate::OwnView;
use crate::own::own;

own! {
    // It lies with the examples; in `own/` it needs no path.
    #[path = "../examples/first_contact.rs"]
    #[expect(dead_code, reason = "its `main` is for who runs the example")]
    first_contact: FirstContact,
}

#[test]
fn a_file_and_a_line_are_a_view() {
    let views = listed();
    let [view] = &views[..] else {
        panic!("one view")
    };
    assert_eq!(view.name(), "first_contact");
    crate::own_view::check(&**view).unwrap();
}

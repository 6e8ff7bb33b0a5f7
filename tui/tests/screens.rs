//! Every screen at three sizes, as text: empty, full, hostile.

mod common;

use common::{Daemon, Desk};

#[test]
fn the_title_says_whose_profile_this_is() {
    let desk = Desk::attached(80, 24, Daemon::default());
    assert!(desk.screen().starts_with("hedgerow · ada"), "{}", desk.screen());
}

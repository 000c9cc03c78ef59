//! The `doorstep` binary.

fn main() {
    doorstep::run();
}

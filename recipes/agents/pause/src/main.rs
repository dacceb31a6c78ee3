//! Holds a pod's namespaces open: what is left to it is reaped, and it ends
//! when the runtime ends it.

fn main() {
    osbuild_sys::signals::ignore_children();
    loop {
        std::thread::park();
    }
}

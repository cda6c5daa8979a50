//! A file of samples whose digests fit whatever is in it: footer, pages, levels, every encoding. Whatever the Parquet library
//! makes of it, the process goes on, and memory stays in proportion.
#![no_main]
use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use promproof::dataset::decode_unverified;

static QUIET: Once = Once::new();

fuzz_target!(|data: &[u8]| {
    // A panic inside the library is caught and becomes a loss; libfuzzer's hook would end the process before that.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let _ = decode_unverified(data);
});

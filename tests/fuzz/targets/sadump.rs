#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vmleak_fuzz::dump::sadump(data));

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| helostat_tests::fuzz::postfix_requests(data));

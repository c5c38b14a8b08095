//! The target `cron` for libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| grepx_fuzz_targets::CRON.judge(input));

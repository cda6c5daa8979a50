//! Selectors: what is printed reads back as the same selector.
#![no_main]
use libfuzzer_sys::fuzz_target;
use promproof::selector::Selector;

fuzz_target!(|text: &str| {
    if let Ok(selector) = Selector::parse(text) {
        let printed = selector.to_string();
        let again = Selector::parse(&printed);
        assert_eq!(again.as_ref().map(Selector::to_string).ok(), Some(printed));
    }
});

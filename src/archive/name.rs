//! Names of members: taken apart into plain components, or refused with the reason.

use std::ffi::OsString;
use std::path::PathBuf;

use unicode_normalization::UnicodeNormalization;

/// Folders that a member may lie in.
const MAX_DEPTH: usize = 64;
/// Bytes of a component that file systems take.
const MAX_COMPONENT_BYTES: usize = 255;
/// Bytes of a whole name; the system's limit of paths is 4096, and the private folder needs its share.
const MAX_NAME_BYTES: usize = 2048;

/// A name without `.`, `..`, separators inside components, or anything else that could lead elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PlainName {
    /// The components joined with `/`; empty for the archive's top.
    bytes: Vec<u8>,
}

impl PlainName {
    /// The name that `raw` spells, or why it is refused.
    pub(super) fn parse(raw: &[u8]) -> Result<PlainName, String> {
        if raw.len() > MAX_NAME_BYTES {
            return Err(format!("a name of {} bytes; at most {MAX_NAME_BYTES} are read", raw.len()));
        }
        if raw.first() == Some(&b'/') {
            return Err("an absolute name".to_owned());
        }
        let mut bytes = Vec::with_capacity(raw.len());
        let mut depth = 0;
        for component in raw.split(|b| *b == b'/') {
            match component {
                // `./a`, `a//b` and `a/` mean the same everywhere.
                b"" | b"." => continue,
                b".." => return Err("a name with `..`".to_owned()),
                _ => {}
            }
            check_component(component)?;
            depth += 1;
            if !bytes.is_empty() {
                bytes.push(b'/');
            }
            bytes.extend_from_slice(component);
        }
        if depth > MAX_DEPTH {
            return Err(format!("a name {depth} folders deep; at most {MAX_DEPTH} are made"));
        }
        Ok(PlainName { bytes })
    }

    /// Whether it is the archive's top.
    pub(super) fn is_top(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of the name.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The folder that holds it; `None` for the top.
    pub(super) fn parent(&self) -> Option<PlainName> {
        let at = self.bytes.iter().rposition(|b| *b == b'/');
        (!self.is_top()).then(|| PlainName { bytes: self.bytes.get(..at.unwrap_or(0)).unwrap_or_default().to_vec() })
    }

    /// For people, with `/` between the components.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Relative to the private folder.
    pub(super) fn path(&self) -> PathBuf {
        self.bytes.split(|b| *b == b'/').map(os_string).collect()
    }

    /// Equal for names that a file system without case, or with normalised Unicode, cannot tell apart.
    pub(super) fn folded(&self) -> String {
        self.text().nfc().flat_map(char::to_lowercase).collect()
    }
}

fn check_component(component: &[u8]) -> Result<(), String> {
    if component.contains(&0) {
        return Err("a name with a NUL byte".to_owned());
    }
    if component.contains(&b'\\') {
        return Err("a name with a backslash, which separates folders on some systems; pack it with `/`".to_owned());
    }
    if component.len() > MAX_COMPONENT_BYTES {
        return Err(format!("a name with a part of {} bytes; at most {MAX_COMPONENT_BYTES} are read", component.len()));
    }
    if cfg!(windows) && !is_plain_on_windows(component) {
        return Err("a name that means something else on this system".to_owned());
    }
    Ok(())
}

/// Drive letters, streams, devices, and endings that are cut off.
fn is_plain_on_windows(component: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(component) else {
        return false;
    };
    let stem = text.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let is_device = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str())
        || ["COM", "LPT"].iter().any(|d| stem.strip_prefix(d).is_some_and(|rest| rest.chars().count() == 1));
    !is_device
        && !text.ends_with(['.', ' '])
        && !text.contains(|c: char| c.is_control() || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*'))
}

#[cfg(unix)]
fn os_string(component: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec(component.to_vec())
}

/// Only names in UTF-8 come this far on other systems.
#[cfg(not(unix))]
fn os_string(component: &[u8]) -> OsString {
    String::from_utf8_lossy(component).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_only() {
        let ok = |raw: &str| PlainName::parse(raw.as_bytes()).map(|n| n.text());
        assert_eq!(ok("./a//b/./c/").as_deref(), Ok("a/b/c"));
        assert_eq!(ok("./").as_deref(), Ok(""));
        assert_eq!(ok("...").as_deref(), Ok("..."));
        for bad in ["/a", "../a", "a/../b", "a/..", "a\\b", "..\\a", "a\0b", "/"] {
            assert!(ok(bad).is_err(), "{bad:?}");
        }
        assert!(ok(&"a".repeat(256)).is_err());
        assert!(ok(&"a".repeat(255)).is_ok());
        assert!(ok(&"a/".repeat(65)).is_err());
        assert!(ok(&"a/".repeat(64)).is_ok());
        assert!(ok(&"abc/".repeat(600)).is_err());
    }

    #[test]
    fn parents_and_folding() {
        let name = |raw: &str| PlainName::parse(raw.as_bytes());
        let parent = |raw: &str| name(raw).ok().and_then(|n| n.parent()).map(|p| p.text());
        assert_eq!(parent("a/b").as_deref(), Some("a"));
        assert_eq!(parent("a").as_deref(), Some(""));
        assert_eq!(parent(""), None);
        let folded = |raw: &str| name(raw).map(|n| n.folded());
        assert_eq!(folded("A/B"), folded("a/b"));
        assert_eq!(folded("e\u{301}"), folded("\u{e9}"));
        assert_ne!(folded("a"), folded("b"));
    }

    #[test]
    fn windows_has_more_to_refuse() {
        for bad in ["C:", "a:b", "nul", "NUL.txt", "com1", "a.", "a ", "a?b", "a\u{1}"] {
            assert!(!is_plain_on_windows(bad.as_bytes()), "{bad:?}");
        }
        for good in ["01M89YB0MVJPAEHFDVE9PG5M78", "000001", "meta.json", "common", "company"] {
            assert!(is_plain_on_windows(good.as_bytes()), "{good:?}");
        }
    }
}

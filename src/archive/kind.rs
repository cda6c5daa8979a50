//! What a file is, by its first bytes. Names are not asked: a `.zip` may hold a tar, and a download may have no ending.

/// Bytes that [`Kind::of`] looks at: one block of a tar.
pub(super) const HEAD_BYTES: usize = 512;

/// The archives that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A tar.
    Tar,
    /// A tar in gzip, of one member or several.
    TarGz,
    /// A tar in zstd, of one frame or several.
    TarZst,
    /// A zip.
    Zip,
}

impl Kind {
    /// The kind of archive that starts with `head`.
    pub fn of(head: &[u8]) -> Option<Kind> {
        let starts = |magic: &[u8]| head.starts_with(magic);
        // PK\7\8 marks an archive that was to be split and fitted on one disk.
        if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") || starts(b"PK\x07\x08PK\x03\x04") {
            Some(Kind::Zip)
        } else if starts(&[0x1f, 0x8b]) {
            Some(Kind::TarGz)
        } else if starts(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skippable_frame(head) {
            Some(Kind::TarZst)
        } else if is_tar_header(head) {
            Some(Kind::Tar)
        } else {
            None
        }
    }
}

/// Writers that compress in parallel put a frame of their own in front.
fn is_skippable_frame(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Whether this is the header of a tar's member; the oldest tars have no magic, so the checksum decides as well.
pub(super) fn is_tar_header(head: &[u8]) -> bool {
    if head.get(257..262) == Some(b"ustar") {
        return true;
    }
    let Some(block) = head.first_chunk::<512>() else {
        return false;
    };
    let sum: u32 =
        block.iter().enumerate().map(|(i, b)| u32::from(if (148..156).contains(&i) { b' ' } else { *b })).sum();
    let mut header = tar::Header::new_old();
    header.as_mut_bytes().copy_from_slice(block);
    header.cksum().is_ok_and(|stored| stored == sum) && block.first() != Some(&0)
}

/// What a file that is no archive looks like, for a person.
pub(super) fn description(head: &[u8]) -> &'static str {
    let known: [(&[u8], &str); 6] = [
        (&[0xfd, b'7', b'z', b'X', b'Z', 0], "compressed with xz"),
        (b"BZh", "compressed with bzip2"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!", "a rar archive"),
        (&[0x04, 0x22, 0x4d, 0x18], "compressed with lz4"),
        (b"{", "a text file, perhaps a block's meta.json"),
    ];
    if head.is_empty() {
        return "an empty file";
    }
    known.iter().find(|(magic, _)| head.starts_with(magic)).map_or("a file of another kind", |(_, what)| what)
}

/// Whether a member's name says that it is an archive.
pub(super) fn is_archive_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".zip", ".tar.xz", ".tar.bz2", ".7z"]
        .iter()
        .any(|e| name.ends_with(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        assert_eq!(Kind::of(b"PK\x03\x04rest"), Some(Kind::Zip));
        assert_eq!(Kind::of(&[0x1f, 0x8b, 8]), Some(Kind::TarGz));
        assert_eq!(Kind::of(&[0x5d, 0x2a, 0x4d, 0x18, 0]), Some(Kind::TarZst));
        assert_eq!(Kind::of(&[0; 512]), None, "zeros are no header although their checksum field is empty");
        let mut old = tar::Header::new_old();
        assert!(old.set_path("a").is_ok());
        old.set_size(0);
        old.set_mode(0o644);
        old.set_cksum();
        assert_eq!(Kind::of(old.as_bytes()), Some(Kind::Tar), "without a magic the checksum tells");
        assert_eq!(Kind::of(b""), None);
    }
}

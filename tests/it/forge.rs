//! Datasets that were altered by somebody who knows the format: every checksum and digest is made to fit again. Also part
//! of the fuzz target for datasets.

use std::path::Path;

use promproof::dataset::{MANIFEST, Manifest};
use promproof::raw::{crc32c, hex};
use sha2::{Digest, Sha256};

/// Where a file's footer has the checksum of its row group.
const KEY: &[u8] = b"promproof.row_groups.crc32c";

/// Makes the checksums and digests of all Parquet files below `dir` fit their bytes, and the manifest's the files; its
/// entries are `manifest`'s. Files have one row group, which begins behind the magic bytes.
pub fn reseal(dir: &Path, manifest: &Manifest) {
    let mut manifest = manifest.clone();
    for entry in &mut manifest.files {
        let path = dir.join(&entry.path);
        let mut bytes = std::fs::read(&path).unwrap_or_default();
        let from = entry.footer.as_ref().map_or(0, |f| f.from as usize).min(bytes.len());
        let (groups, footer) = bytes.split_at_mut(from);
        let crc = format!("{:08x}", crc32c(groups.get(4..).unwrap_or_default()));
        let key = footer.windows(KEY.len()).position(|w| w == KEY);
        // Behind the key are the header of the value's field and its length.
        if let Some(place) = key.and_then(|at| footer.get_mut(at + KEY.len() + 2..)?.first_chunk_mut::<8>()) {
            place.copy_from_slice(crc.as_bytes());
        }
        if let Some(digest) = &mut entry.footer {
            digest.from = from as u64;
            digest.sha256 = hex(&Sha256::digest(&*footer));
        }
        entry.bytes = bytes.len() as u64;
        entry.sha256 = hex(&Sha256::digest(&bytes));
        std::fs::write(&path, &bytes).unwrap();
    }
    std::fs::write(dir.join(MANIFEST), manifest.to_text().unwrap()).unwrap();
}

//! `promproof package`.

use std::io::Write;

use crate::cli::args::PackageArgs;
use crate::cli::output::{OutputFile, OutputFolder};
use crate::cli::{plan, signals};
use crate::error::Result;
use crate::package::{DEFAULT, archive, checklist_text, own_files, package};

pub fn run(args: PackageArgs) -> Result<u8> {
    if args.print_policy {
        // A reader that went away has read enough.
        let _ = std::io::stdout().write_all(DEFAULT.as_bytes());
        return Ok(0);
    }
    let plan = plan::package(&args)?;
    signals::remove_private_folders();
    let folder = OutputFolder::create(&plan.options.place, args.force, own_files)?;
    let packed = plan.archive.as_ref().map(|(kind, path)| {
        OutputFile::create(path, args.force, "archive of a package", |path| archive::is_package(*kind, path))
    });
    let packed = packed.transpose()?;
    let packaged = package(&plan.options, folder.path())?;
    if let (Some(file), Some((kind, path))) = (&packed, &plan.archive) {
        archive::write(*kind, folder.path(), &plan.name, &packaged.paths, file.file(), path)?;
    }
    folder.finish(args.quiet)?;
    let mut told = checklist_text::report(&packaged.checklist, plan.style);
    if let (Some(file), Some((_, path))) = (packed, &plan.archive) {
        let digest = file.finish()?;
        told.push_str(&format!("\nArchive:\n  {digest}  {}\n", crate::labels::printable(&path.to_string_lossy())));
    }
    // A reader that went away does not change what was packaged.
    let _ = std::io::stdout().write_all(told.as_bytes());
    Ok(packaged.checklist.exit_status())
}

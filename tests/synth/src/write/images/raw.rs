//! Memory as it is: what does not exist is a hole of the file.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::Image;
use super::PAGE_SIZE;

/// Writes the image into an empty file.
///
/// # Errors
/// As the file.
pub fn raw(image: &Image<'_>, file: &File) -> std::io::Result<()> {
    file.set_len(image.end() * PAGE_SIZE)?;
    for run in &image.runs {
        file.write_all_at(&image.run(run), run.start * PAGE_SIZE)?;
    }
    Ok(())
}

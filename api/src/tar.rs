//! A tar archive (POSIX ustar) made as it is sent, from the parts of a backup.
//!
//! Only what a backup needs: regular files with short paths whose sizes are known before their bytes. A part that does
//! not keep to the size it told ends the archive with an error, so that it is never taken for a whole one.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::app::BackupPart;

const BLOCK: usize = 512;
/// Two empty blocks, which end every archive.
pub(crate) static END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// An archive on its way.
pub(crate) struct Archive {
    parts: mpsc::Receiver<BackupPart>,
    /// Bytes that the file under way still has to have.
    left: u64,
    /// Zeroes after the file under way, up to a whole block.
    padding: usize,
}

impl Archive {
    pub(crate) fn new(parts: mpsc::Receiver<BackupPart>) -> Self {
        Archive {
            parts,
            left: 0,
            padding: 0,
        }
    }

    /// The next bytes of the archive; none after the last file, whose end is not yet that of the archive.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.left == 0 && self.padding > 0 {
            let padding = END.get(..self.padding).unwrap_or_default();
            self.padding = 0;
            return Ok(Some(Bytes::from_static(padding)));
        }
        match self.parts.recv().await {
            Some(BackupPart::File { path, bytes }) if self.left == 0 => {
                self.left = bytes;
                let over = usize::try_from(bytes % BLOCK as u64).unwrap_or(0);
                self.padding = if over == 0 { 0 } else { BLOCK - over };
                let path = path
                    .to_str()
                    .ok_or_else(|| io::Error::other("a path of the backup is not text"))?;
                header(path, bytes).map(Some)
            }
            Some(BackupPart::Bytes(bytes)) if bytes.len() as u64 <= self.left => {
                self.left -= bytes.len() as u64;
                Ok(Some(bytes))
            }
            Some(_) => Err(io::Error::other(
                "a file of the backup has another size than it told",
            )),
            None if self.left == 0 => Ok(None),
            None => Err(io::Error::other("the backup broke off")),
        }
    }
}

fn header(path: &str, bytes: u64) -> io::Result<Bytes> {
    if path.len() > 100 || bytes >= 1 << 33 {
        return Err(io::Error::other(
            "a file of the backup does not fit into a tar header",
        ));
    }
    let mut block = [0_u8; BLOCK];
    let mut field = |at: usize, text: &[u8]| {
        for (to, from) in block.iter_mut().skip(at).zip(text) {
            *to = *from;
        }
    };
    field(0, path.as_bytes());
    field(100, b"0000600\0");
    field(108, b"0000000\0");
    field(116, b"0000000\0");
    field(124, format!("{bytes:011o}\0").as_bytes());
    field(136, b"00000000000\0");
    field(148, b"        ");
    field(156, b"0");
    field(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    for (to, from) in block.iter_mut().skip(148).zip(sum.as_bytes()) {
        *to = *from;
    }
    Ok(Bytes::copy_from_slice(&block))
}

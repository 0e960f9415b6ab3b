//! Records in guest memory that the provider takes too lightly: vectors of buffers, directory entries.

use crate::errno::Errno;
use crate::guest;

/// Most buffers of one vectored read or write, as on the host; more are left for the next call.
const IOVECS_MAX: u32 = 1024;
/// Bytes of an `iovec` record.
const IOVEC_BYTES: u32 = 8;
/// Bytes of a `dirent` record.
const DIRENT_BYTES: usize = 24;
/// Where a `dirent` has three bytes between its last field and its end.
const DIRENT_PADDING: usize = 21;

/// The first buffers that a vectored read or write may pass on: empty ones in front of a longer list are
/// skipped, so that a call with something to do does it.
pub(crate) fn clamp_iovecs(memory: &mut [u8], start: u32, count: u32) -> Result<(u32, u32), Errno> {
    let records = guest::slice(memory, start, u64::from(count) * u64::from(IOVEC_BYTES))?;
    if count <= IOVECS_MAX {
        return Ok((start, count));
    }
    let lengths = records
        .chunks_exact(IOVEC_BYTES as usize)
        .map(|record| guest::u32_at(record, 4));
    let skipped = lengths.zip(0_u32..).find(|&(length, _)| length != 0);
    let skipped = skipped.map_or(0, |(_, index)| index);
    Ok((
        start + skipped * IOVEC_BYTES,
        (count - skipped).min(IOVECS_MAX),
    ))
}

/// The provider copies whole records of its own, with whatever lies between their fields.
pub(crate) fn zero_dirent_padding(mut entries: &mut [u8]) {
    while entries.len() > DIRENT_PADDING {
        let name_bytes = guest::u32_at(entries, 16);
        let end = entries.len().min(DIRENT_BYTES);
        entries[DIRENT_PADDING..end].fill(0);
        let next = usize::try_from(name_bytes)
            .unwrap_or(usize::MAX)
            .saturating_add(DIRENT_BYTES);
        entries = entries.get_mut(next..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::{DIRENT_BYTES, zero_dirent_padding};

    #[test]
    fn only_padding_is_zeroed() {
        // Two entries with names of 5 and 0 bytes, then one that is cut off after each of its bytes.
        for rest in 0..=DIRENT_BYTES {
            let mut entries = vec![0xff; 5 + 2 * DIRENT_BYTES + rest];
            entries[16..20].copy_from_slice(&5_u32.to_le_bytes());
            entries[29 + 16..29 + 20].copy_from_slice(&0_u32.to_le_bytes());
            let mut expected = entries.clone();
            for index in [21, 22, 23, 50, 51, 52, 74, 75, 76] {
                if let Some(byte) = expected.get_mut(index) {
                    *byte = 0;
                }
            }
            zero_dirent_padding(&mut entries);
            assert_eq!(entries, expected, "{rest} bytes of the last entry");
        }
    }
}

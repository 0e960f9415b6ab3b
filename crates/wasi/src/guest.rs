//! Bounds-checked access to guest memory, little endian, for what the adapter reads and writes itself.

use crate::errno::Errno;

/// The bytes at `pointer`, or [`Errno::FAULT`].
pub(crate) fn slice(memory: &mut [u8], pointer: u32, bytes: u64) -> Result<&mut [u8], Errno> {
    let start = u64::from(pointer);
    let end = start.checked_add(bytes).ok_or(Errno::FAULT)?;
    let start = usize::try_from(start).map_err(|_| Errno::FAULT)?;
    let end = usize::try_from(end).map_err(|_| Errno::FAULT)?;
    memory.get_mut(start..end).ok_or(Errno::FAULT)
}

/// The four bytes at `offset` of a record, as a number.
///
/// # Panics
/// If the record is shorter: the caller has cut it from the memory by its size.
pub(crate) fn u32_at(record: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array(record, offset))
}

/// As [`u32_at`], for eight bytes.
pub(crate) fn u64_at(record: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array(record, offset))
}

/// As [`u32_at`], for two bytes.
pub(crate) fn u16_at(record: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(array(record, offset))
}

fn array<const N: usize>(record: &[u8], offset: usize) -> [u8; N] {
    *record[offset..]
        .first_chunk()
        .expect("the record was cut from the memory by its size")
}

/// Reads a `u32` at a guest pointer.
pub(crate) fn read_u32(memory: &mut [u8], pointer: u32) -> Result<u32, Errno> {
    Ok(u32_at(slice(memory, pointer, 4)?, 0))
}

/// Writes bytes at a guest pointer.
pub(crate) fn write(memory: &mut [u8], pointer: u32, bytes: &[u8]) -> Result<(), Errno> {
    slice(memory, pointer, bytes.len() as u64)?.copy_from_slice(bytes);
    Ok(())
}

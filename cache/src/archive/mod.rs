//! Archives that ADD unpacks: what compression they have and what is in them.
//!
//! Decompressors are this program's own; nothing is started. Unpacking to files is
//! [`Draft::unpack`](crate::Draft::unpack)'s business.

mod entries;
mod packing;
#[cfg(test)]
mod tests;

pub use entries::{ArchiveError, Entries, entries};
pub use packing::{Encoder, Packing, SNIFF, decoder, encoder, sniff};

pub(crate) use packing::unpacked;

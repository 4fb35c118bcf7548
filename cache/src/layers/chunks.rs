//! A stream between two threads: written on one, read on the other, in large pieces, never more than a few at a time.
//!
//! Used to hash beside reading and to give a tar that is produced by walking a tree the shape of a [`Read`].

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Bytes in a piece: large enough that handing it over costs nothing beside hashing it.
const CHUNK: usize = 256 * 1024;

/// Pieces on the way at a time.
const DEPTH: usize = 4;

/// The end that is written to. Dropped without [`ChunkWriter::finish`], the reader sees an error, not an end.
#[derive(Debug)]
pub(crate) struct ChunkWriter {
    current: Vec<u8>,
    full: SyncSender<io::Result<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
}

/// The end that is read from. Dropped early, the writer gets a broken pipe.
#[derive(Debug)]
pub(crate) struct ChunkReader {
    current: Vec<u8>,
    position: usize,
    full: Receiver<io::Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    ended: bool,
}

/// A new stream.
pub(crate) fn chunks() -> (ChunkWriter, ChunkReader) {
    let (full_in, full_out) = sync_channel(DEPTH);
    let (empty_in, empty_out) = channel();
    let writer = ChunkWriter { current: Vec::with_capacity(CHUNK), full: full_in, empty: empty_out };
    (writer, ChunkReader { current: Vec::new(), position: 0, full: full_out, empty: empty_in, ended: false })
}

impl ChunkWriter {
    /// Says that the stream is complete.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.current.is_empty() {
            self.send()?;
        }
        // An empty piece is the end; the end of the channel alone is a writer that gave up.
        self.full.send(Ok(Vec::new())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Ends the stream with an error for the reader.
    pub fn fail(self, error: io::Error) {
        // A reader that is gone does not want to know.
        let _ = self.full.send(Err(error));
    }

    fn send(&mut self) -> io::Result<()> {
        let mut next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK));
        next.clear();
        let full = std::mem::replace(&mut self.current, next);
        self.full.send(Ok(full)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CHUNK - self.current.len());
        self.current.extend_from_slice(&bytes[..count]);
        if self.current.len() == CHUNK {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ChunkReader {
    /// The next piece, whole; empty at the end.
    pub fn piece(&mut self) -> io::Result<&[u8]> {
        if self.position == self.current.len() {
            self.next()?;
        }
        let start = std::mem::replace(&mut self.position, self.current.len());
        Ok(&self.current[start..])
    }

    fn next(&mut self) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        let gone = || io::Error::new(io::ErrorKind::UnexpectedEof, "the stream was given up by its writer");
        let next = self.full.recv().map_err(|_| gone())??;
        self.ended = next.is_empty();
        self.position = 0;
        // A writer that has finished needs no more buffers.
        let _ = self.empty.send(std::mem::replace(&mut self.current, next));
        Ok(())
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.current.len() {
            self.next()?;
        }
        let count = buffer.len().min(self.current.len() - self.position);
        buffer[..count].copy_from_slice(&self.current[self.position..self.position + count]);
        self.position += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let bytes: Vec<u8> = (0..CHUNK * 3 + 77).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let (mut writer, mut reader) = chunks();
        let expected = bytes.clone();
        let thread = std::thread::spawn(move || {
            for part in bytes.chunks(100_000) {
                writer.write_all(part).unwrap();
            }
            writer.finish().unwrap();
        });
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        thread.join().unwrap();
        assert!(read == expected);
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
    }

    #[test]
    fn a_writer_that_gives_up_is_no_end_of_file() {
        let (mut writer, mut reader) = chunks();
        writer.write_all(b"half").unwrap();
        drop(writer);
        assert!(reader.read_to_end(&mut Vec::new()).is_err());
        let (writer, mut reader) = chunks();
        writer.fail(io::Error::other("disk"));
        assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap_err().to_string(), "disk");
    }

    #[test]
    fn a_reader_that_leaves_stops_the_writer() {
        let (mut writer, reader) = chunks();
        drop(reader);
        let error = writer.write_all(&vec![0; CHUNK * 2]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

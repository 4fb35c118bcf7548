//! Layers as blobs: compressed in blocks of a fixed size on all cores, so that the bytes do not depend on how many
//! cores there are, and remembered, so that nothing is compressed twice.
//!
//! gzip: every block is raw deflate that ends in a sync flush, so the blocks together are one deflate stream in one
//! gzip member, whose checksum is combined from those of the blocks; what gets no smaller is stored in it as it is. zstd: every
//! block is a frame.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use flate2::{Compress, Crc, FlushCompress};
use oci_spec::image::{Descriptor, MediaType};

use crate::blobs::BlobWriter;
use crate::digest::{DiffId, Digest};
use crate::layers::dense::Scale;
use crate::layers::info::{BlobForm, LayerFile};
use crate::layers::recipe::Recipe;
use crate::layers::{Compression, LayerError, Layers};
use crate::tarfile::read::read_full;

/// Bytes compressed together. Part of the format: changing it changes the digest of every compressed layer.
/// Larger blocks compress a little better and use more memory: some five of them are on the way for each core.
const BLOCK: usize = 1024 * 1024;

/// Magic, deflate, no flags, no time, no hint, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The empty last block that ends a deflate stream.
const DEFLATE_END: [u8; 2] = [3, 0];

/// Blocks more than this many threads work on at a time only cost memory.
const MOST_THREADS: usize = 16;

/// A block on its way to a thread, and what comes back.
type Job = (usize, Vec<u8>);
type Done = (usize, io::Result<Packed>);

/// A block, compressed.
struct Packed {
    bytes: Vec<u8>,
    crc: Crc,
}

impl Layers {
    /// The layer as a blob of this kind, made now if there is none yet. A blob that came from elsewhere is used as it
    /// is; its media type is given as OCI's, whatever it was registered as.
    pub fn compressed(&self, diff_id: &DiffId, compression: Compression) -> Result<Descriptor, LayerError> {
        self.compressed_at(diff_id, compression, None)
    }

    /// The same at a level of the compressor's: 0 to 9 for gzip, 0 to 22 for zstd.
    pub fn compressed_at(
        &self,
        diff_id: &DiffId,
        compression: Compression,
        level: Option<i32>,
    ) -> Result<Descriptor, LayerError> {
        let recipe = Recipe::new(compression, level);
        if let Some(found) = self.found_blob(diff_id, recipe)? {
            return Ok(found);
        }
        let _lock = self.work_lock("layer blob", diff_id)?;
        // Another one may have made it while this one waited.
        if let Some(found) = self.found_blob(diff_id, recipe)? {
            return Ok(found);
        }
        let (digest, size) = match self.packed(diff_id, recipe) {
            // From what is left, if that is enough.
            Err(LayerError::Compress { .. }) if self.drop_damaged(diff_id)? => {
                let unless_lost = |error| match error {
                    LayerError::Unknown { diff_id } => LayerError::Lost { diff_id },
                    error => error,
                };
                self.packed(diff_id, recipe).map_err(unless_lost)?
            }
            result => result?,
        };
        let descriptor = Descriptor::new(media_type(compression), size, digest);
        let form = BlobForm { descriptor: descriptor.clone(), maker: recipe.maker() };
        self.update(diff_id, |file| file.add_blob(form))?;
        Ok(descriptor)
    }

    /// Whether the layer was compressed to that blob here. One from elsewhere keeps its form where nobody asks for another.
    pub fn is_made_here(&self, diff_id: &DiffId, blob: &Digest) -> Result<bool, LayerError> {
        let Some(file) = self.file(diff_id)? else { return Ok(false) };
        Ok(file.blobs.iter().any(|form| form.maker.is_some() && form.descriptor.digest() == blob))
    }

    fn packed(&self, diff_id: &DiffId, recipe: Recipe) -> Result<(Digest, u64), LayerError> {
        let failed = |source| LayerError::Compress { diff_id: diff_id.clone(), source };
        // What is damaged at its very beginning cannot even be opened.
        let tar = match self.open_tar(diff_id) {
            Err(LayerError::Archive(error)) => return Err(failed(io::Error::other(error))),
            tar => tar?,
        };
        let mut blob = self.store.blobs().writer()?;
        pack(tar, &mut blob, recipe).map_err(failed)?;
        Ok(blob.finish(None)?)
    }

    fn found_blob(&self, diff_id: &DiffId, recipe: Recipe) -> Result<Option<Descriptor>, LayerError> {
        let wanted = recipe.compression;
        let Some(LayerFile { blobs, .. }) = self.file(diff_id)? else {
            return Err(LayerError::Unknown { diff_id: diff_id.clone() });
        };
        for BlobForm { descriptor, maker } in blobs {
            if compression_of(descriptor.media_type()) == Some(wanted)
                && recipe.accepts(maker.as_deref())
                && self.store.blobs().contains(descriptor.digest())?
            {
                let (size, digest) = (descriptor.size(), descriptor.digest().clone());
                return Ok(Some(Descriptor::new(media_type(wanted), size, digest)));
            }
        }
        Ok(None)
    }
}

fn media_type(compression: Compression) -> MediaType {
    match compression {
        Compression::None => MediaType::ImageLayer,
        Compression::Gzip => MediaType::ImageLayerGzip,
        Compression::Zstd => MediaType::ImageLayerZstd,
    }
}

/// What a media type says about compression, in OCI's and Docker's words.
fn compression_of(media_type: &MediaType) -> Option<Compression> {
    match media_type.as_ref() {
        "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => {
            Some(Compression::None)
        }
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Some(Compression::Gzip),
        "application/vnd.oci.image.layer.v1.tar+zstd" => Some(Compression::Zstd),
        _ => None,
    }
}

fn pack(mut tar: impl Read, blob: &mut BlobWriter, recipe: Recipe) -> io::Result<()> {
    if recipe.compression == Compression::None {
        return copy(&mut tar, blob);
    }
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    pack_on(threads, tar, blob, recipe)
}

fn copy(tar: &mut impl Read, out: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; BLOCK];
    loop {
        match read_full(tar, &mut buffer)? {
            0 => return Ok(()),
            count => out.write_all(&buffer[..count])?,
        }
    }
}

/// Reads on this thread, compresses on others, writes on one more, in order.
fn pack_on(
    threads: usize,
    mut tar: impl Read,
    out: &mut (impl Write + Send),
    recipe: Recipe,
) -> io::Result<()> {
    let (jobs_in, jobs_out) = sync_channel::<Job>(threads);
    let (done_in, done_out) = sync_channel::<Done>(threads);
    // Owned by the threads alone: when the last one ends, whoever feeds them notices.
    let jobs_out = Arc::new(Mutex::new(jobs_out));
    thread::scope(|scope| {
        for _ in 0..threads {
            let (jobs, done) = (Arc::clone(&jobs_out), done_in.clone());
            scope.spawn(move || work(&jobs, &done, recipe));
        }
        drop((jobs_out, done_in));
        let writer = scope.spawn(move || write_in_order(done_out, out, recipe));
        let read = feed(&mut tar, &jobs_in);
        let complete = matches!(read, Ok(true));
        drop(jobs_in);
        let written = writer.join().map_err(|_| io::Error::other("the writing thread failed"))?;
        read?;
        // A reader that was stopped was stopped by an error of the writer.
        written.and_then(|()| if complete { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) })
    })
}

/// Cuts the tar into blocks. False if the receivers have gone.
fn feed(tar: &mut impl Read, jobs: &SyncSender<Job>) -> io::Result<bool> {
    for index in 0.. {
        let mut block = vec![0; BLOCK];
        let count = read_full(tar, &mut block)?;
        block.truncate(count);
        if count > 0 && jobs.send((index, block)).is_err() {
            return Ok(false);
        }
        if count < BLOCK {
            break;
        }
    }
    Ok(true)
}

fn work(jobs: &Mutex<Receiver<Job>>, done: &SyncSender<Done>, recipe: Recipe) {
    let mut packer = match Packer::new(recipe) {
        Ok(packer) => packer,
        Err(error) => return drop(done.send((usize::MAX, Err(error)))),
    };
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((index, block)) = job else { return };
        if done.send((index, packer.pack(&block))).is_err() {
            return;
        }
    }
}

fn write_in_order(done: Receiver<Done>, out: &mut impl Write, recipe: Recipe) -> io::Result<()> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    let mut crc = Crc::new();
    let gzip = recipe.compression == Compression::Gzip;
    if gzip {
        out.write_all(&GZIP_HEADER)?;
    }
    for (index, packed) in done {
        early.insert(index, packed?);
        while let Some(packed) = early.remove(&next) {
            out.write_all(&packed.bytes)?;
            crc.combine(&packed.crc);
            next += 1;
        }
    }
    if gzip {
        out.write_all(&DEFLATE_END)?;
        out.write_all(&crc.sum().to_le_bytes())?;
        out.write_all(&crc.amount().to_le_bytes())?;
    }
    Ok(())
}

/// A compressor of one thread.
enum Packer {
    Gzip {
        compressor: Compress,
        /// For dense blocks, where they are told from others.
        dense: Option<Box<(Scale, Compress)>>,
    },
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Packer {
    fn new(recipe: Recipe) -> io::Result<Packer> {
        Ok(match recipe.compression {
            Compression::Zstd => {
                let mut compressor = zstd::bulk::Compressor::new(recipe.level)?;
                compressor.include_checksum(true)?;
                Packer::Zstd(compressor)
            }
            Compression::None | Compression::Gzip => {
                let at = |level| Compress::new(flate2::Compression::new(level), false);
                let tells = recipe.stores_dense_blocks();
                Packer::Gzip {
                    compressor: at(recipe.level.unsigned_abs()),
                    dense: tells.then(|| Box::new((Scale::new(), at(0)))),
                }
            }
        })
    }

    fn pack(&mut self, block: &[u8]) -> io::Result<Packed> {
        match self {
            Packer::Zstd(compressor) => Ok(Packed { bytes: compressor.compress(block)?, crc: Crc::new() }),
            Packer::Gzip { compressor, dense } => {
                let mut crc = Crc::new();
                crc.update(block);
                if let Some((scale, stored)) = dense.as_deref_mut()
                    && scale.is_dense(block)?
                {
                    let room = block.len() + block.len() / 1024 + 64;
                    return Ok(Packed { bytes: deflate(stored, block, room)?, crc });
                }
                let bytes = deflate(compressor, block, block.len() / 2)?;
                Ok(Packed { bytes, crc })
            }
        }
    }
}

/// One block as raw deflate, ended so that another one may follow. It is thought to take `room` bytes.
fn deflate(compressor: &mut Compress, block: &[u8], room: usize) -> io::Result<Vec<u8>> {
    compressor.reset();
    let mut out = Vec::with_capacity(room);
    loop {
        let read = usize::try_from(compressor.total_in()).unwrap_or(block.len());
        compressor.compress_vec(&block[read..], &mut out, FlushCompress::Sync)?;
        // Room left in the output means that everything is out, the flush included.
        if out.len() < out.capacity() {
            return Ok(out);
        }
        out.reserve(block.len() / 4 + 64);
    }
}

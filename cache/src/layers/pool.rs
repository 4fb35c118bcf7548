//! Files are created beside whatever reads and hashes: a few threads take jobs from a short queue.
//!
//! Bounded in jobs, and by that in memory. The first failure stops the pool; whoever submits or waits next gets it.
//! The order of jobs is not kept: see [`Pool::wait`].

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::error::FileError;
use crate::layers::files::FileJob;

/// Threads that create files. Creating is the file system's work, serialised by it for a good part: more threads than
/// this wait for one another.
const THREADS: usize = 2;

/// Jobs that wait at most. With [`crate::layers::files::BUFFER`] this bounds the memory of a pool to some 10 MiB.
const QUEUE: usize = 64;

/// Jobs done by the submitting thread before threads are started: most layers are smaller than that.
const ALONE: usize = 8;

/// Creates files on a few threads.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    alone: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Signalled when there is work for an idle thread, or no more to come.
    work: Condvar,
    /// Signalled when the submitter may go on.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<FileJob>,
    running: usize,
    idle: usize,
    submitter_waits: bool,
    closed: bool,
    failure: Option<FileError>,
    /// Buffers for reuse.
    buffers: Vec<Vec<u8>>,
}

impl Pool {
    /// A buffer, perhaps used before, empty.
    pub fn buffer(&self) -> Vec<u8> {
        let mut buffer = self.shared.lock().buffers.pop().unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// Hands in a job; waits while the queue is full. Fails with what an earlier job failed with.
    pub fn submit(&mut self, job: FileJob) -> Result<(), FileError> {
        if self.threads.is_empty() {
            // A stream is fed by this very thread: it needs another one to drain it.
            if self.alone < ALONE && !job.is_stream() {
                self.alone += 1;
                let buffer = job.run()?;
                self.shared.lock().give_back(buffer);
                return Ok(());
            }
            self.start();
        }
        let mut state = self.shared.lock();
        while state.jobs.len() >= QUEUE && state.failure.is_none() {
            state = self.shared.wait_for_room(state);
        }
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        state.jobs.push_back(job);
        let wake = state.idle > 0;
        drop(state);
        if wake {
            self.shared.work.notify_one();
        }
        Ok(())
    }

    /// Waits until every job is done. Needed before anything that relies on a file being there.
    pub fn wait(&mut self) -> Result<(), FileError> {
        let mut state = self.shared.lock();
        while (state.running > 0 || !state.jobs.is_empty()) && state.failure.is_none() {
            state = self.shared.wait_for_room(state);
        }
        state.failure.take().map_or(Ok(()), Err)
    }

    fn start(&mut self) {
        for _ in 0..THREADS {
            let shared = Arc::clone(&self.shared);
            self.threads.push(std::thread::spawn(move || shared.work_off()));
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        // Whoever drops the pool with jobs in it has given up on them.
        state.jobs.clear();
        drop(state);
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has been reported by the panic.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_room<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.submitter_waits = true;
        state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.submitter_waits = false;
        state
    }

    fn work_off(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.running += 1;
                drop(state);
                let result = job.run();
                state = self.lock();
                state.running -= 1;
                match result {
                    Ok(buffer) => state.give_back(buffer),
                    Err(failure) => state.fail(failure),
                }
                // Half empty, not one free place: waking the submitter for each job would cost more than the job.
                let done = state.running == 0 && state.jobs.is_empty();
                if state.submitter_waits && (done || state.jobs.len() <= QUEUE / 2 || state.failure.is_some())
                {
                    self.room.notify_one();
                }
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

impl State {
    fn give_back(&mut self, buffer: Vec<u8>) {
        if self.buffers.len() < QUEUE && buffer.capacity() > 0 {
            self.buffers.push(buffer);
        }
    }

    fn fail(&mut self, failure: FileError) {
        self.jobs.clear();
        self.failure.get_or_insert(failure);
    }
}

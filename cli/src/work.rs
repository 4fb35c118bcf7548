//! Asynchronous work: a runtime, progress shown while it goes on, and signals that end it.
//!
//! Called by the commands that fetch, build, send or run. The others need no runtime and get none.

use std::future::Future;
use std::time::Duration;

use kiln_builder::{CancellationToken, Progress};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CliError;
use crate::output::progress::tracker::Tracker;
use crate::output::progress::{self, View};
use crate::session::cores;

/// How long an interrupted build may take to put things away.
const GRACE: Duration = Duration::from_secs(10);

/// Does asynchronous work while its progress is shown. A signal that ends kiln drops the work; work that listens
/// to a token has it cancelled, and is given the time to put things away.
pub fn with_progress<T, F, E>(
    view: View,
    cancel: Option<&CancellationToken>,
    work: impl FnOnce(Progress) -> F,
) -> Result<(T, Tracker), CliError>
where
    F: Future<Output = Result<T, E>>,
    CliError: From<E>,
{
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        let display = progress::show(view, events);
        let result = until_signal(work(Progress::new(sender)), cancel).await;
        let tracker = display.finish().await;
        result.map(|value| (value, tracker))
    });
    // Work on blocking threads that was abandoned ends with the process; nobody waits for it.
    runtime.shutdown_background();
    result
}

/// Does work that may block for as long as a person thinks; a signal that ends kiln leaves it behind.
pub fn until_answered<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    let runtime = runtime()?;
    let result = runtime.block_on(until_signal(
        async {
            let done = tokio::task::spawn_blocking(work).await;
            done.map_err(std::io::Error::from).map_err(CliError::system("wait for an answer"))?
        },
        None,
    ));
    runtime.shutdown_background();
    result
}

/// Does asynchronous work that ends by itself once `stop` is cancelled, which the first signal does; a second one ends
/// it at once.
pub fn until_stopped<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let mut endings = Endings::watch()?;
        let mut work = std::pin::pin!(work);
        tokio::select! {
            result = &mut work => return Ok(result),
            _ = endings.next() => stop.cancel(),
        }
        tokio::select! {
            result = work => Ok(result),
            signal = endings.next() => Err(CliError::Interrupted { signal }),
        }
    });
    runtime.shutdown_background();
    result
}

/// A runtime with a thread for each core, and at least two, so that work goes on while one thread writes.
pub fn runtime() -> Result<Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores().max(2))
        .enable_all()
        .build()
        .map_err(CliError::system("start the runtime"))
}

async fn until_signal<T, E>(
    work: impl Future<Output = Result<T, E>>,
    cancel: Option<&CancellationToken>,
) -> Result<T, CliError>
where
    CliError: From<E>,
{
    let mut endings = Endings::watch()?;
    let mut work = std::pin::pin!(work);
    let signal = tokio::select! {
        result = &mut work => return Ok(result?),
        signal = endings.next() => signal,
    };
    if let Some(cancel) = cancel {
        cancel.cancel();
        tokio::select! {
            result = work => drop(result),
            _ = endings.next() => {}
            () = tokio::time::sleep(GRACE) => {}
        }
    }
    Err(CliError::Interrupted { signal })
}

/// The signals that end a command early.
struct Endings {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Endings {
    fn watch() -> Result<Self, CliError> {
        let watch = |kind| signal(kind).map_err(CliError::system("watch for signals"));
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            hangup: watch(SignalKind::hangup())?,
        })
    }

    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        }
        .as_raw_value()
    }
}

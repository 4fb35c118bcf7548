//! A real S3 server on a free loopback port, with one bucket in it: s3s, which keeps objects as files.

use std::path::PathBuf;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

use super::scratch_dir;

/// The public half of the keys.
pub const KEY: &str = "AKIDEXAMPLE";
/// The secret half.
pub const SECRET: &str = "secret/of+a=key";
/// The bucket.
const NAME: &str = "cache";

/// A running server. It ends with the process of the tests.
pub struct Bucket {
    /// `127.0.0.1:PORT`.
    pub host: String,
    dir: tempfile::TempDir,
}

impl Bucket {
    /// Starts one with an empty bucket.
    pub fn start() -> Bucket {
        let dir = scratch_dir("bucket-");
        std::fs::create_dir(dir.path().join(NAME)).expect("the scratch directory is writable");
        let files = FileSystem::new(dir.path()).expect("the directory is there");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();
        let (sender, host) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime starts").block_on(serve(service, &sender));
        });
        Bucket { host: host.recv().expect("the server starts"), dir }
    }

    /// The file in which an object is kept.
    pub fn object(&self, key: &str) -> PathBuf {
        self.dir.path().join(NAME).join(key)
    }
}

/// The value of a flag that names a cache in the bucket of the server at `host`.
pub fn spec(host: &str, more: &str) -> String {
    format!("type=s3,bucket={NAME},region=eu-north-1,endpoint_url=http://{host},use_path_style=true,{more}")
}

async fn serve(service: S3Service, ready: &std::sync::mpsc::Sender<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    ready.send(address.to_string()).expect("the test waits for it");
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            // A client that goes away is none of the server's business.
            drop(server.serve_connection(TokioIo::new(socket), service).await);
        });
    }
}

//! Generates messages, clients and servers from `proto/`, without a protobuf compiler on the machine.

/// The entry points; what they import comes with them.
const PROTOS: [&str; 10] = [
    "control.proto",
    "gateway.proto",
    "policysession.proto",
    "filesync.proto",
    "secrets.proto",
    "ssh.proto",
    "upload.proto",
    "content.proto",
    "health.proto",
    "errdefs.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".moby.buildkit.v1.BytesMessage")
        .bytes(".moby.filesync.v1.BytesMessage")
        .bytes(".fsutil.types.Packet")
        .compile_fds(descriptors)?;
    Ok(())
}

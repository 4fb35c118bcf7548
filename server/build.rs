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

/// How a descriptor says `bytes`.
const TYPE_BYTES: i32 = 12;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut descriptors = protox::compile(PROTOS, ["proto"])?;
    // Names of files are bytes, and clients send them as they are, whatever the protocol says of text.
    let stats = descriptors.file.iter_mut().filter(|file| file.package() == "fsutil.types");
    let stats = stats.flat_map(|file| &mut file.message_type).filter(|message| message.name() == "Stat");
    for field in stats.flat_map(|stat| &mut stat.field) {
        if matches!(field.name(), "path" | "linkname") {
            field.r#type = Some(TYPE_BYTES);
        }
    }
    tonic_prost_build::configure()
        .bytes(".moby.buildkit.v1.BytesMessage")
        .bytes(".moby.filesync.v1.BytesMessage")
        .bytes(".fsutil.types.Packet")
        .compile_fds(descriptors)?;
    Ok(())
}

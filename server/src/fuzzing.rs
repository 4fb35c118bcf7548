//! Doors for the fuzz targets: what comes from clients, from its bytes on. Not a part of the daemon.

use std::path::Path;

use prost::Message;
use tokio::sync::mpsc;

use crate::api::files::Packet;
use crate::api::files::packet::PacketType;
use crate::api::{control, gateway, pb};
use crate::llb::{self, Definition};
use crate::session::receive::{self, Held};

/// Most packets of one input: each may make a file.
const MAX_PACKETS: usize = 256;

/// Bytes as each message that clients send, and as a graph: none of it may panic.
pub fn messages(bytes: &[u8]) {
    drop(control::SolveRequest::decode(bytes));
    drop(control::StatusRequest::decode(bytes));
    drop(control::PruneRequest::decode(bytes));
    drop(control::DiskUsageRequest::decode(bytes));
    drop(control::BuildHistoryRequest::decode(bytes));
    drop(control::BytesMessage::decode(bytes));
    drop(gateway::ReturnRequest::decode(bytes));
    drop(gateway::WarnRequest::decode(bytes));
    drop(gateway::ReadDirRequest::decode(bytes));
    drop(gateway::ResolveSourceMetaRequest::decode(bytes));
    if let Ok(request) = gateway::SolveRequest::decode(bytes) {
        request.definition.iter().chain(request.frontend_inputs.values()).for_each(lowered);
    }
    if let Ok(definition) = pb::Definition::decode(bytes) {
        lowered(&definition);
        lowered(&linked(&definition));
    }
}

fn lowered(message: &pb::Definition) {
    if let Ok(definition) = Definition::read(message) {
        // Whatever a build within it is given for a definition: here the graph itself.
        drop(llb::lower_nested(definition.clone()));
        drop(llb::lower(definition, "linux/amd64", llb::Layouts::new()));
    }
}

/// The same operations with inputs that are there: bytes at random hardly ever name a digest.
fn linked(message: &pb::Definition) -> pb::Definition {
    let mut digests: Vec<String> = Vec::new();
    let mut linked = pb::Definition { metadata: message.metadata.clone(), ..pb::Definition::default() };
    let decoded = message.def.iter().filter_map(|bytes| pb::Op::decode(bytes.as_slice()).ok());
    for mut op in decoded {
        for (number, input) in op.inputs.iter_mut().enumerate() {
            if let Some(digest) = digests.get((input.digest.len() + number) % digests.len().max(1)) {
                input.digest.clone_from(digest);
            }
        }
        let bytes = op.encode_to_vec();
        digests.push(llb::digest(&bytes));
        linked.def.push(bytes);
    }
    let last = digests.pop().map(|digest| pb::Input { digest, index: 0 });
    linked.def.push(pb::Op { inputs: last.into_iter().collect(), ..pb::Op::default() }.encode_to_vec());
    linked
}

/// Bytes as the packets of a directory that a client sends, each with its length before it, into `directory`. A packet of the
/// kind that says goodbye is between two transfers into the same one.
pub fn directory(mut bytes: &[u8], directory: &Path) {
    let decoded = (0..MAX_PACKETS).map_while(|_| Packet::decode_length_delimited(&mut bytes).ok());
    let decoded: Vec<Packet> = decoded.collect();
    for transfer in decoded.split(|packet| packet.r#type() == PacketType::PacketFin) {
        let (sender, packets) = mpsc::channel(MAX_PACKETS);
        let (requests, _asked) = mpsc::unbounded_channel();
        let mut held = Held::default();
        let kept = transfer
            .iter()
            .take_while(|packet| receive::take(&mut held, packet, "fuzzed", &requests).is_ok());
        let paths = kept.filter_map(|packet| {
            packet.stat.as_ref().map(|stat| String::from_utf8_lossy(&stat.path).into_owned())
        });
        for path in paths.collect::<Vec<_>>() {
            let _ = held.read(&path);
        }
        for packet in transfer {
            // There is room for all of them.
            drop(sender.try_send(packet.clone()));
        }
        drop(sender);
        // What is refused is refused; what matters is where nothing was written.
        drop(receive::keep(directory, "fuzzed", packets, &requests));
    }
}

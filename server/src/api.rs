//! Messages, clients and servers of the protocol, generated from `proto/`.

#![allow(missing_docs, rust_2018_idioms, clippy::all, clippy::pedantic, reason = "generated")]

pub mod pb {
    tonic::include_proto!("pb");
}

pub mod moby {
    pub mod buildkit {
        pub mod v1 {
            tonic::include_proto!("moby.buildkit.v1");
            pub mod frontend {
                tonic::include_proto!("moby.buildkit.v1.frontend");
            }
            pub mod apicaps {
                tonic::include_proto!("moby.buildkit.v1.apicaps");
            }
            pub mod sourcepolicy {
                tonic::include_proto!("moby.buildkit.v1.sourcepolicy");
                pub mod policysession {
                    tonic::include_proto!("moby.buildkit.v1.sourcepolicy.policysession");
                }
            }
            pub mod types {
                tonic::include_proto!("moby.buildkit.v1.types");
            }
        }
        pub mod secrets {
            pub mod v1 {
                tonic::include_proto!("moby.buildkit.secrets.v1");
            }
        }
    }
    pub mod filesync {
        pub mod v1 {
            tonic::include_proto!("moby.filesync.v1");
        }
    }
    pub mod sshforward {
        pub mod v1 {
            tonic::include_proto!("moby.sshforward.v1");
        }
    }
    pub mod upload {
        pub mod v1 {
            tonic::include_proto!("moby.upload.v1");
        }
    }
}

pub mod fsutil {
    pub mod types {
        tonic::include_proto!("fsutil.types");
    }
}

pub mod containerd {
    pub mod services {
        pub mod content {
            pub mod v1 {
                tonic::include_proto!("containerd.services.content.v1");
            }
        }
    }
}

pub mod google {
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

pub mod grpc {
    pub mod health {
        pub mod v1 {
            tonic::include_proto!("grpc.health.v1");
        }
    }
}

pub mod errdefs {
    tonic::include_proto!("errdefs");
}

pub use fsutil::types as files;
pub use moby::buildkit::v1 as control;
pub use moby::buildkit::v1::frontend as gateway;

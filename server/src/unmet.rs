//! What a request may ask for beyond what is built, and is not done here: refused by name, since a build without it would be
//! another build. Pure.

use tonic::Status;

use crate::api::control::SolveRequest;

/// Refuses what a build asks for and would not get.
pub(crate) fn check(request: &SolveRequest) -> Result<(), Status> {
    if request.proxy_network {
        return Err(Status::unimplemented(
            "ProxyNetwork: commands do not reach the network through a proxy of the daemon's; build without it",
        ));
    }
    if request.enable_session_exporter {
        return Err(Status::unimplemented(
            "EnableSessionExporter: clients are not asked where results go; name the outputs in the request",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_would_be_another_build_is_refused_by_name() {
        for (request, name) in [
            (SolveRequest { proxy_network: true, ..SolveRequest::default() }, "ProxyNetwork:"),
            (
                SolveRequest { enable_session_exporter: true, ..SolveRequest::default() },
                "EnableSessionExporter:",
            ),
        ] {
            assert!(check(&request).unwrap_err().message().starts_with(name), "{name}");
        }
        assert!(check(&SolveRequest::default()).is_ok());
    }
}

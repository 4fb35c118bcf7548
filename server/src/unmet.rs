//! What a request may ask for beyond what is built, and is not done here: refused by name, since a build without it would be
//! another build. Pure.

use tonic::Status;

use crate::api::control::SolveRequest;
use crate::api::control::sourcepolicy::Policy;

/// Refuses what a build asks for and would not get.
pub(crate) fn check(request: &SolveRequest) -> Result<(), Status> {
    policies(request.source_policy.as_slice())?;
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

/// Refuses rules about sources: to leave them out could let in what they keep out.
pub(crate) fn policies(policies: &[Policy]) -> Result<(), Status> {
    if policies.iter().all(|policy| policy.rules.is_empty()) {
        return Ok(());
    }
    Err(Status::unimplemented("SourcePolicy: rules about sources are not applied; build without a policy"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::control::sourcepolicy::Rule;

    #[test]
    fn what_would_be_another_build_is_refused_by_name() {
        let rules = Policy { version: 1, rules: vec![Rule::default()] };
        for (request, name) in [
            (SolveRequest { source_policy: Some(rules), ..SolveRequest::default() }, "SourcePolicy:"),
            (SolveRequest { proxy_network: true, ..SolveRequest::default() }, "ProxyNetwork:"),
            (
                SolveRequest { enable_session_exporter: true, ..SolveRequest::default() },
                "EnableSessionExporter:",
            ),
        ] {
            assert!(check(&request).unwrap_err().message().starts_with(name), "{name}");
        }
        let nothing = SolveRequest { source_policy: Some(Policy::default()), ..SolveRequest::default() };
        assert!(check(&nothing).is_ok());
    }
}

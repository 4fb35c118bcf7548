//! What a client may grant its builds: only what the daemon's owner allows. Pure.

use tonic::Status;

/// Everything that can be granted.
pub const ENTITLEMENTS: [&str; 3] = ["network.host", "security.insecure", "device"];

/// Refuses what the daemon does not allow, in the words, and under the code, that clients' scripts look for.
pub(crate) fn check(granted: &[String], allowed: &[String]) -> Result<(), Status> {
    for text in granted {
        let name = text.split_once('=').map_or(text.as_str(), |(name, _)| name);
        if !ENTITLEMENTS.contains(&name) || (name != "device" && name != text) {
            return Err(Status::invalid_argument(format!("unknown entitlement {text}")));
        }
        if !allowed.iter().any(|allowed| allowed == name) {
            let message = format!("granting entitlement {name} is not allowed by build daemon configuration");
            return Err(Status::unknown(message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(granted: &[&str], allowed: &[&str]) -> Result<(), String> {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        check(&owned(granted), &owned(allowed)).map_err(|status| status.message().to_owned())
    }

    #[test]
    fn only_what_is_allowed_is_granted() {
        assert_eq!(checked(&[], &[]), Ok(()));
        let two = ["network.host", "device"];
        assert_eq!(checked(&["network.host", "device=vendor.example/gpu=0"], &two), Ok(()));
        assert_eq!(
            checked(&["network.host", "security.insecure"], &two),
            Err("granting entitlement security.insecure is not allowed by build daemon configuration"
                .to_owned())
        );
        for unknown in ["network.none", "", "network.host=x"] {
            assert_eq!(checked(&[unknown], &two), Err(format!("unknown entitlement {unknown}")));
        }
    }
}

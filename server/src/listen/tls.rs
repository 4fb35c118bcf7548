//! TLS for TCP: who the daemon is, and whose clients may come in.

use std::path::{Path, PathBuf};

use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::config::TlsFiles;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Half of it is missing.
    #[error("TLS needs a certificate and its key: {missing} is not given")]
    Half {
        /// The other half.
        missing: &'static str,
    },
    /// Clients are to be checked, but there is nothing that they could be talked to with.
    #[error("an authority of clients is given, but no certificate and key of the daemon's own")]
    OnlyClients,
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds nothing of its kind.
    #[error("{} holds no {what} in PEM", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The files do not fit.
    #[error("the TLS certificate {} cannot be used", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
}

/// What the files say; nothing if there are none.
pub(super) fn read(files: &TlsFiles) -> Result<Option<ServerTlsConfig>, TlsError> {
    let (cert, key) = match (&files.cert, &files.key, &files.ca) {
        (None, None, None) => return Ok(None),
        (None, None, Some(_)) => return Err(TlsError::OnlyClients),
        (Some(_), None, _) => return Err(TlsError::Half { missing: "the key (--tlskey)" }),
        (None, Some(_), _) => return Err(TlsError::Half { missing: "the certificate (--tlscert)" }),
        (Some(cert), Some(key), _) => (cert, key),
    };
    let identity = Identity::from_pem(pem(cert, "certificate")?, pem(key, "private key")?);
    let mut config = ServerTlsConfig::new().identity(identity);
    if let Some(ca) = &files.ca {
        config = config.client_ca_root(Certificate::from_pem(pem(ca, "certificate")?));
    }
    // Found out now, not when the first client comes.
    let tried = tonic::transport::Server::builder().tls_config(config.clone());
    tried.map_err(|source| TlsError::Unusable { path: cert.clone(), source })?;
    Ok(Some(config))
}

fn pem(path: &Path, what: &'static str) -> Result<Vec<u8>, TlsError> {
    let bytes = std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    let marker = if what == "certificate" { "CERTIFICATE-----" } else { "PRIVATE KEY-----" };
    let text = String::from_utf8_lossy(&bytes);
    let begins = |line: &str| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(marker);
    if !text.lines().any(begins) {
        return Err(TlsError::Empty { path: path.to_owned(), what });
    }
    Ok(bytes)
}

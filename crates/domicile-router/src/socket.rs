//! The socket that clients come to, and the certificate they see.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

/// How TLS is spoken with clients.
pub type ServerTls = Arc<ServerConfig>;

/// Clients that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Listens. Each thread has a socket of its own at the same address, and the system shares clients
/// out among them.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Reads a certificate chain and its key, in PEM, and whose word about clients is believed: a client
/// may show a certificate then, and one that is not good ends the connection.
pub fn tls(certificate: &Path, key: &Path, clients: Option<&Path>) -> io::Result<ServerTls> {
    let wrong = |error: rustls::pki_types::pem::Error| io::Error::other(error.to_string());
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).map_err(wrong)?.collect();
    let key = PrivateKeyDer::from_pem_file(key).map_err(wrong)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = match clients {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            for authority in CertificateDer::pem_file_iter(clients).map_err(wrong)? {
                roots.add(authority.map_err(wrong)?).map_err(io::Error::other)?;
            }
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .allow_unauthenticated()
                .build()
                .map_err(io::Error::other)?
        }
    };
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            config
                .with_client_cert_verifier(verifier)
                .with_single_cert(chain.map_err(|_| rustls::Error::NoCertificatesPresented)?, key)
        });
    config.map(Arc::new).map_err(io::Error::other)
}

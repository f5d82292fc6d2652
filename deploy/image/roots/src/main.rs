//! Prints the certificate authorities that Mozilla trusts, as one PEM file. The versions in Cargo.lock say which.

use std::io::{self, Write};

use pem::Pem;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

fn main() -> io::Result<()> {
    let certificates: Vec<Pem> = TLS_SERVER_ROOT_CERTS
        .iter()
        .map(|certificate| Pem::new("CERTIFICATE", certificate.as_ref()))
        .collect();
    io::stdout().write_all(pem::encode_many(&certificates).as_bytes())
}

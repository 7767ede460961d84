//! Certificates of the API port: a CA of this home's own, the server's certificate, and the administrator's.
//!
//! Who a caller is follows from the exact certificate shown: only certificates that this home issued and still keeps
//! open the door, so there is no name in them to be trusted or parsed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::home::{private_dir, write_private};
use crate::apiserver::User;

/// How long certificates last. They are made anew well before that, at a start; the kubeconfig follows at every start.
const VALID_DAYS: u64 = 3650;
const RENEW_AFTER_DAYS: u64 = 3000;

/// The home's certificates, in PEM.
pub struct Certificates {
    pub ca: String,
    pub admin: String,
    pub admin_key: String,
    server: String,
    server_key: String,
}

impl Certificates {
    /// Reads them from `directory`, or makes them there.
    pub fn ensure(directory: &Path) -> Result<Certificates> {
        private_dir(directory)?;
        let files =
            ["authority.crt", "admin.crt", "admin.key", "server.crt", "server.key"].map(|name| directory.join(name));
        if !fresh(&files) {
            make(&files).with_context(|| format!("cannot make certificates in {}", directory.display()))?;
        }
        let read =
            |i: usize| fs::read_to_string(&files[i]).with_context(|| format!("cannot read {}", files[i].display()));
        Ok(Certificates { ca: read(0)?, admin: read(1)?, admin_key: read(2)?, server: read(3)?, server_key: read(4)? })
    }

    /// The listener's configuration: client certificates are asked for, and checked when shown.
    pub fn server_config(&self) -> Result<ServerConfig> {
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes())?)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(self.server.as_bytes())?],
                PrivateKeyDer::from_pem_slice(self.server_key.as_bytes())?,
            )?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Whose each certificate is.
    pub fn holders(&self) -> Result<Vec<([u8; 32], User)>> {
        let admin = CertificateDer::from_pem_slice(self.admin.as_bytes())?;
        Ok(vec![(fingerprint(&admin), User::admin())])
    }
}

pub fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate.as_ref()).into()
}

fn fresh(files: &[PathBuf]) -> bool {
    files.iter().all(|file| {
        fs::metadata(file)
            .and_then(|m| m.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() < RENEW_AFTER_DAYS * 86_400))
    })
}

fn make(files: &[PathBuf]) -> Result<()> {
    // Not the name of what it signs: OpenSSL takes a certificate whose issuer is called like itself for self-signed.
    let mut authority = params("regatta authority", &[])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // The authority's key is not kept: nothing but what is issued here and now may ever carry its name.
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let mut server = params("regatta", &["localhost", "127.0.0.1", "::1"])?;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server_key = KeyPair::generate()?;
    let server = server.signed_by(&server_key, &authority)?;

    let mut admin = params("admin", &[])?;
    admin.distinguished_name.push(DnType::OrganizationName, "system:masters");
    admin.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let admin_key = KeyPair::generate()?;
    let admin = admin.signed_by(&admin_key, &authority)?;

    let contents = [authority.pem(), admin.pem(), admin_key.serialize_pem(), server.pem(), server_key.serialize_pem()];
    for (file, content) in files.iter().zip(contents) {
        write_private(file, content.as_bytes())?;
    }
    Ok(())
}

fn params(name: &str, hosts: &[&str]) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, name);
    let now = std::time::SystemTime::now();
    // A day of grace for clocks that are behind.
    params.not_before = (now - std::time::Duration::from_secs(86_400)).into();
    params.not_after = (now + std::time::Duration::from_secs(VALID_DAYS * 86_400)).into();
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_certificate_but_the_authoritys_is_issued_by_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let certificates = Certificates::ensure(dir.path()).unwrap();
        let named = |pem: &str| {
            let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            der.windows(b"regatta authority".len()).filter(|w| w == b"regatta authority").count()
        };
        let (authority, server, admin) = (&certificates.ca, &certificates.server, &certificates.admin);
        assert_eq!([named(authority), named(server), named(admin)], [2, 1, 1], "as issuer, and only one as subject");
    }

    #[test]
    fn certificates_are_made_once_and_know_their_holder() {
        let dir = tempfile::tempdir().unwrap();
        let first = Certificates::ensure(dir.path()).unwrap();
        let second = Certificates::ensure(dir.path()).unwrap();
        assert_eq!(first.admin, second.admin);
        let holders = second.holders().unwrap();
        let user = |pem: &str| {
            let shown = fingerprint(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap());
            holders.iter().find(|(print, _)| *print == shown).map(|(_, user)| user.name.as_str())
        };
        assert_eq!(user(&first.admin), Some("admin"));
        assert_eq!(user(&first.server), None, "the server's own certificate must not open the door");
        second.server_config().unwrap();
    }
}

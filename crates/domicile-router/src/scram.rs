//! SCRAM-SHA-256 as a server speaks it (RFC 5802, RFC 7677). Pure: nonces are passed in.
//!
//! What is kept of a password is PostgreSQL's own verifier,
//! `SCRAM-SHA-256$ITERATIONS:SALT$STORED_KEY:SERVER_KEY`, of which nobody can make the password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};
use std::fmt;
use std::num::NonZeroU32;

#[cfg(test)]
mod tests;

/// The mechanism's name.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// As many as PostgreSQL makes by default.
const ITERATIONS: u32 = 4096;

const KEY_BYTES: usize = digest::SHA256_OUTPUT_LEN;

/// What proves a password without being one.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; KEY_BYTES],
    server_key: [u8; KEY_BYTES],
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

impl Verifier {
    /// Of a password, with a salt that nobody can guess.
    pub fn of(password: &str, salt: &[u8]) -> Verifier {
        // PostgreSQL takes the bytes as they are where they cannot be prepared.
        let prepared = stringprep::saslprep(password);
        let password = prepared.as_deref().unwrap_or(password);
        let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MIN);
        let mut salted = [0; KEY_BYTES];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            salt,
            password.as_bytes(),
            &mut salted,
        );
        let client_key = sign(&salted, b"Client Key");
        Verifier {
            iterations: ITERATIONS,
            salt: salt.to_vec(),
            stored_key: sha256(&client_key),
            server_key: sign(&salted, b"Server Key"),
        }
    }

    /// Reads PostgreSQL's form, as in `pg_authid.rolpassword`.
    pub fn read(text: &str) -> Option<Verifier> {
        let rest = text.strip_prefix(MECHANISM)?.strip_prefix('$')?;
        let (first, keys) = rest.split_once('$')?;
        let (iterations, salt) = first.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let key = |text: &str| BASE64.decode(text).ok()?.try_into().ok();
        Some(Verifier {
            iterations: iterations.parse().ok().filter(|iterations| *iterations > 0)?,
            salt: BASE64.decode(salt).ok()?,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }

    /// One that no password fits, for users that do not exist: they are answered alike. The same
    /// user always gets the same salt.
    pub fn of_nobody(user: &str, secret: &[u8]) -> Verifier {
        Verifier {
            iterations: ITERATIONS,
            salt: sign(secret, user.as_bytes())[..16].to_vec(),
            stored_key: [0; KEY_BYTES],
            server_key: [0; KEY_BYTES],
        }
    }
}

/// Why a client is not let in. All of them are one error to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The exchange is not as the RFC has it.
    #[error("the exchange is malformed")]
    Malformed,
    /// The client binds to its channel, which was not offered.
    #[error("channel binding was not offered")]
    Binding,
    /// The proof fits another password.
    #[error("the password is wrong")]
    Wrong,
}

/// After the client's first message.
#[derive(Debug)]
pub struct Challenged {
    verifier: Verifier,
    /// What the proof signs, up to the client's last message.
    signed: String,
    nonce: String,
    binding: String,
}

/// Answers the client's first message: what is sent, and what waits for the second.
pub fn challenge(
    verifier: Verifier,
    client_first: &[u8],
    nonce: &str,
) -> Result<(String, Challenged), Refused> {
    let text = std::str::from_utf8(client_first).map_err(|_| Refused::Malformed)?;
    let (flag, rest) = text.split_once(',').ok_or(Refused::Malformed)?;
    match flag {
        "n" | "y" => {}
        _ if flag.starts_with("p=") => return Err(Refused::Binding),
        _ => return Err(Refused::Malformed),
    }
    // PostgreSQL's clients name no other user than that of the session.
    let bare = rest.strip_prefix(',').ok_or(Refused::Malformed)?;
    let mut parts = bare.split(',');
    let (user, client_nonce) = (parts.next(), parts.next());
    let is_plain = user.is_some_and(|user| user.starts_with("n=")) && parts.next().is_none();
    let client_nonce = client_nonce.and_then(|part| part.strip_prefix("r="));
    let client_nonce = client_nonce.filter(|nonce| is_plain && is_nonce(nonce));
    let client_nonce = client_nonce.ok_or(Refused::Malformed)?;
    let nonce = format!("{client_nonce}{nonce}");
    let server_first =
        format!("r={nonce},s={},i={}", BASE64.encode(&verifier.salt), verifier.iterations);
    let signed = format!("{bare},{server_first}");
    let binding = BASE64.encode(format!("{flag},,"));
    Ok((server_first, Challenged { verifier, signed, nonce, binding }))
}

impl Challenged {
    /// Checks the client's last message: what proves that we know the verifier, too.
    pub fn finish(self, client_final: &[u8]) -> Result<String, Refused> {
        let text = std::str::from_utf8(client_final).map_err(|_| Refused::Malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Refused::Malformed)?;
        if without_proof != format!("c={},r={}", self.binding, self.nonce) {
            return Err(Refused::Malformed);
        }
        let proof: [u8; KEY_BYTES] = BASE64
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or(Refused::Malformed)?;
        let signed = format!("{},{without_proof}", self.signed);
        let mut client_key = sign(&self.verifier.stored_key, signed.as_bytes());
        client_key.iter_mut().zip(proof).for_each(|(byte, proof)| *byte ^= proof);
        // Compared by their signatures, so that how long it takes tells nothing.
        let mark = hmac::Key::new(hmac::HMAC_SHA256, self.nonce.as_bytes());
        let expected = hmac::sign(&mark, &self.verifier.stored_key);
        hmac::verify(&mark, &sha256(&client_key), expected.as_ref()).map_err(|_| Refused::Wrong)?;
        let signature = sign(&self.verifier.server_key, signed.as_bytes());
        Ok(format!("v={}", BASE64.encode(signature)))
    }
}

/// Printable ASCII without a comma.
fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b',')
}

fn sign(key: &[u8], message: &[u8]) -> [u8; KEY_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut bytes = [0; KEY_BYTES];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

fn sha256(bytes: &[u8]) -> [u8; KEY_BYTES] {
    let mut digest = [0; KEY_BYTES];
    digest.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    digest
}

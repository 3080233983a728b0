//! The RFC's own example, PostgreSQL's client, and what must not be let in.

use super::*;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

fn exchange(verifier: Verifier, password: &str) -> Result<(), Refused> {
    let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    let (first, challenged) = challenge(verifier, client.message(), "server")?;
    client.update(first.as_bytes()).expect("the client takes the challenge");
    let last = challenged.finish(client.message())?;
    client.finish(last.as_bytes()).expect("the client trusts the server");
    Ok(())
}

#[test]
fn the_example_of_rfc_7677_is_spoken() {
    let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
    let verifier = Verifier::of("pencil", &salt);
    let (first, challenged) =
        challenge(verifier, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
            .expect("challenged");
    assert_eq!(
        first,
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let last = challenged.finish(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    );
    assert_eq!(last.as_deref(), Ok("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
}

#[test]
fn the_right_password_is_let_in_and_no_other() {
    for password in ["secret", "pässwörd", "\u{2168}", ""] {
        let verifier = Verifier::of(password, b"salt of sixteen.");
        assert_eq!(exchange(verifier.clone(), password), Ok(()), "{password}");
        assert_eq!(exchange(verifier, "other"), Err(Refused::Wrong));
    }
    assert_eq!(exchange(Verifier::of_nobody("ann", b"key"), "secret"), Err(Refused::Wrong));
}

#[test]
fn a_verifier_of_postgresql_is_read() {
    // Made by PostgreSQL 15 for the password `secret`.
    let text = "SCRAM-SHA-256$4096:xFKotXxsxXkF5QFVka7tng==$vEj9cBnPimof8DItFyWnZsUlV4PK9N4nWMuu2CvyLkI=:hd0+WRqyYb+E5tf7L4zDBsH90r9rLsZ3wruHEVATBtk=";
    let read = Verifier::read(text).expect("read");
    assert_eq!(exchange(read.clone(), "secret"), Ok(()));
    assert_eq!(exchange(read.clone(), "Secret"), Err(Refused::Wrong));
    assert_eq!(format!("{read:?}"), "Verifier(…)");
    for bad in ["", "md5abc", "SCRAM-SHA-256$0:AA==$AA==:AA==", "SCRAM-SHA-256$4096:?$:"] {
        assert_eq!(Verifier::read(bad), None, "{bad}");
    }
}

#[test]
fn a_malformed_exchange_is_refused() {
    let verifier = Verifier::of("secret", b"salt");
    for (first, why) in [
        (&b"p=tls-unique,,n=,r=x"[..], Refused::Binding),
        (b"n,a=admin,n=,r=x", Refused::Malformed),
        (b"n,,n=", Refused::Malformed),
        (b"n,,n=,r=", Refused::Malformed),
        (b"n,,n=,r=x,m=y", Refused::Malformed),
        (b"n,,m=ext,n=,r=x", Refused::Malformed),
        (b"x,,n=,r=x", Refused::Malformed),
        (b"\xff", Refused::Malformed),
    ] {
        assert_eq!(challenge(verifier.clone(), first, "y").err(), Some(why), "{first:?}");
    }
    let finish = |last: &[u8]| {
        let (_, challenged) = challenge(verifier.clone(), b"n,,n=,r=x", "y").expect("challenged");
        challenged.finish(last)
    };
    let zeros = BASE64.encode([0; 32]);
    assert_eq!(finish(format!("c=biws,r=xy,p={zeros}").as_bytes()), Err(Refused::Wrong));
    for last in [
        format!("c=biws,r=x,p={zeros}"),
        format!("c=eSws,r=xy,p={zeros}"),
        // Junk behind a proof, by which others were let in.
        format!("c=biws,r=xy,p={zeros}junk"),
        format!("c=biws,r=xy,x=1,p={zeros}"),
        "c=biws,r=xy".to_owned(),
        format!("c=biws,r=xy,p={}", BASE64.encode([0; 31])),
    ] {
        assert_eq!(finish(last.as_bytes()), Err(Refused::Malformed), "{last}");
    }
}

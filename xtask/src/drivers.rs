//! That a feature of the facade brings the client of its own technology and of no other, and that encryption comes once and where it was asked for.

use std::collections::BTreeSet;

use crate::Result;
use crate::guard::pulled_in;
use crate::workspace::Workspace;

/// The clients, by the beginning of the features that bring them.
const DRIVERS: [(&str, &str); 3] =
    [("dynamodb", "aws-sdk-dynamodb"), ("postgres", "sqlx-postgres"), ("sqlite", "rusqlite")];

/// Implementations of TLS, and of the ciphers below.
const TLS: [&str; 5] = ["rustls", "native-tls", "openssl", "s2n-tls", "boring"];
const CIPHERS: [&str; 3] = ["ring", "aws-lc-rs", "openssl-sys"];

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let features: Vec<&str> = workspace.facade()?.features.keys().map(String::as_str).collect();
    for feature in features.iter().filter(|feature| **feature != "default") {
        let found = pulled_in(&["--package", "annalist", "--no-default-features", "--features", feature])?;
        has_own_driver(feature, &found)?;
        is_encrypted_once(feature, feature.ends_with("-tls"), &found)?;
    }
    is_encrypted_once("all features", true, &pulled_in(&["--package", "annalist", "--all-features"])?)?;
    println!("{} features bring the clients of their own technologies and at most one TLS", features.len());
    Ok(())
}

type Packages = BTreeSet<(String, String)>;

fn has_own_driver(feature: &str, found: &Packages) -> Result<()> {
    for (technology, driver) in DRIVERS {
        let is_there = found.iter().any(|(name, _)| name == driver);
        if is_there != feature.starts_with(technology) {
            let verb = if is_there { "pulls in" } else { "lacks" };
            return Err(format!("the feature {feature} {verb} {driver}").into());
        }
    }
    Ok(())
}

fn is_encrypted_once(feature: &str, may_be: bool, found: &Packages) -> Result<()> {
    for kind in [&TLS[..], &CIPHERS] {
        let of_kind: Vec<_> = found.iter().filter(|(name, _)| kind.contains(&name.as_str())).collect();
        if of_kind.len() != usize::from(may_be) {
            return Err(format!(
                "{feature} pulls in {of_kind:?}, and is to have {} of them",
                usize::from(may_be)
            )
            .into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(of: &[(&str, &str)]) -> Packages {
        of.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
    }

    #[test]
    fn a_client_belongs_to_its_feature() {
        let aws = packages(&[("aws-sdk-dynamodb", "v1.0.0")]);
        assert!(has_own_driver("dynamodb-tls", &aws).is_ok());
        assert!(
            has_own_driver("testing", &aws).unwrap_err().to_string().contains("pulls in aws-sdk-dynamodb")
        );
        assert!(has_own_driver("dynamodb", &packages(&[])).unwrap_err().to_string().contains("lacks"));
    }

    #[test]
    fn encryption_comes_once() {
        let one = packages(&[("rustls", "v0.23.0"), ("ring", "v0.17.0")]);
        assert!(
            is_encrypted_once("a-tls", true, &one).is_ok() && is_encrypted_once("a", false, &one).is_err()
        );
        assert!(is_encrypted_once("a", false, &packages(&[])).is_ok());
        for (name, version) in [("rustls", "v0.21.0"), ("native-tls", "v0.2.0"), ("aws-lc-rs", "v1.0.0")] {
            let mut two = one.clone();
            two.insert((name.to_owned(), version.to_owned()));
            assert!(is_encrypted_once("a-tls", true, &two).is_err());
        }
    }
}

//! Where the store is: a connection string as KurrentDB's clients take it, completed by what this adapter needs.
//!
//! Promise: credentials are in what the client gets and in nothing that is shown. What the string does not say is said for
//! it: reads and writes go to the leader, and looking for a node gives up soon, because the supervisor tries again.

use std::fmt;

use eventstore::ClientSettings;

/// Schemes of a connection string; each may have `+discover` behind it.
const SCHEMES: [&str; 4] = ["esdb", "kurrentdb", "kurrent", "kdb"];

/// What the string is completed by where it does not say: the parameter, its value.
const COMPLETED: [(&str, &str); 5] = [
    ("nodePreference", "leader"),
    ("connectionName", "doorstep"),
    ("maxDiscoverAttempts", "3"),
    ("discoveryInterval", "25"),
    ("gossipTimeout", "1000"),
];

/// The parameters that the client knows.
const KNOWN: [&str; 13] = [
    "tls",
    "tlsVerifyCert",
    "tlsCaFile",
    "userCertFile",
    "userKeyFile",
    "nodePreference",
    "connectionName",
    "maxDiscoverAttempts",
    "discoveryInterval",
    "gossipTimeout",
    "keepAliveInterval",
    "keepAliveTimeout",
    "defaultDeadline",
];

/// A connection string that was understood.
#[derive(Clone)]
pub struct Connection {
    settings: ClientSettings,
    shown: String,
}

/// The text is no connection string that this adapter can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a connection string: {0}")]
pub struct InvalidConnection(String);

impl Connection {
    /// Reads a connection string, `esdb://user:password@host:2113,host:2113?tls=true` or `kurrentdb://…`.
    pub fn parse(text: &str) -> Result<Self, InvalidConnection> {
        let invalid = |what: &str| InvalidConnection(what.to_owned());
        let form = "it begins with esdb:// or kurrentdb:// (esdb+discover:// for a name that stands for a cluster), as in esdb://user:password@host:2113?tls=true";
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid(form))?;
        let plain = scheme.strip_suffix("+discover").unwrap_or(scheme);
        if !SCHEMES.contains(&plain) {
            return Err(invalid(form));
        }
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = authority.trim_end_matches('/');
        let hosts = authority
            .rsplit_once('@')
            .map_or(authority, |(_, hosts)| hosts);
        if hosts.is_empty() {
            return Err(invalid("it names no host"));
        }
        // What comes behind may be a part of the password, and is not repeated.
        let split = "the user or the password has a /, ?, # or @ in it, which this adapter cannot tell from the string's own";
        if !authority.contains('@') && query.contains('@') {
            return Err(invalid(split));
        }
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let name = parameter
                .split_once('=')
                .map_or(parameter, |(name, _)| name);
            if !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                let known = KNOWN.join(", ");
                return Err(InvalidConnection(format!(
                    "there is no parameter {name}; there are {known}"
                )));
            }
        }
        let said = |name: &str| {
            query
                .split('&')
                .filter_map(|parameter| parameter.split_once('='))
                .find(|(said, _)| said.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        };
        if said("nodePreference").is_some_and(|node| !node.eq_ignore_ascii_case("leader")) {
            return Err(invalid(
                "nodePreference has to be leader, or to be left out: decisions are made on what the leader knows",
            ));
        }
        let mut complete = format!("{scheme}://{authority}?{query}");
        for (name, value) in COMPLETED {
            if said(name).is_none() {
                let between = if complete.ends_with(['?', '&']) {
                    ""
                } else {
                    "&"
                };
                complete.push_str(between);
                complete.push_str(name);
                complete.push('=');
                complete.push_str(value);
            }
        }
        // The client's own words repeat the whole string.
        let settings: ClientSettings = complete.parse().map_err(|_| {
            invalid("a port is no number, a parameter has a value that it cannot have, or the user or the password has a /, ?, # or @ in it")
        })?;
        if let Some(file) = settings.tls_ca_file() {
            certificates(file).map_err(InvalidConnection)?;
        }
        Ok(Self {
            settings,
            shown: format!("{scheme}://{hosts}"),
        })
    }

    pub(super) fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    pub(super) fn is_secure(&self) -> bool {
        self.settings.is_secure_mode_enabled()
    }
}

/// Whether a file holds certificates: the client takes it for granted.
fn certificates(file: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("tlsCaFile {file} cannot be read: {error}"))?;
    if text.contains("-----BEGIN CERTIFICATE-----") && text.contains("-----END CERTIFICATE-----") {
        return Ok(());
    }
    Err(format!("tlsCaFile {file} holds no certificate as PEM"))
}

/// Scheme and hosts, without credentials and parameters.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn what_is_not_said_is_completed_and_what_is_said_stays() {
        let connection = Connection::parse("esdb://h:1?tls=false&gossiptimeout=77").unwrap();
        let settings = connection.settings();
        assert_eq!(settings.gossip_timeout().as_millis(), 77);
        assert_eq!(settings.discovery_interval().as_millis(), 25);
        assert_eq!(
            settings.node_preference(),
            eventstore::NodePreference::Leader
        );
        assert!(!connection.is_secure());
        assert!(Connection::parse("kurrentdb://h").unwrap().is_secure());
        let many = Connection::parse("esdb://a:1,b:2,c?tls=false").unwrap();
        assert_eq!(many.settings().hosts().len(), 3);
        let found = Connection::parse("kurrentdb+discover://cluster:2113").unwrap();
        assert!(found.settings().is_dns_discovery_enabled());
    }

    #[test]
    fn nothing_secret_is_shown() {
        for text in [
            "esdb://ann:s3cret@h:1?tls=false",
            "esdb://ann:s3cret@h:nine?tls=false",
            "http://ann:s3cret@h",
            "esdb://ann:s3cret@?tls=false",
            "esdb://ann:s3cret@h:1?nodePreference=random",
        ] {
            let shown = match Connection::parse(text) {
                Ok(connection) => format!("{connection} {connection:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        for (text, word) in [
            ("localhost:2113", "esdb://"),
            ("redis://h", "esdb://"),
            ("esdb://?tls=false", "no host"),
            ("esdb://h:1?nodePreference=follower", "leader"),
            ("esdb://h:1?tlsCaFile=/nowhere/ca.pem", "/nowhere/ca.pem"),
            ("esdb://h:port", "port"),
            ("esdb://h:1?tsl=false", "tsl"),
            ("esdb://u:p?w@h:1?tls=false", "password"),
        ] {
            let error = Connection::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}

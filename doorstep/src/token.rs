//! `token`: a bearer token, signed with the key in force, beside a running service or without one.

use api::{KeyError, KeySet, Role};

use crate::cli;
use crate::compose::{self, DataFolder};
use crate::failure::{Done, Failure};
use crate::out;

/// Prints a token.
pub(crate) fn run(args: &cli::Token) -> Done {
    let Some(sub) = &args.sub else {
        return Err(Failure::usage("token needs --sub"));
    };
    let roles: Vec<Role> = args
        .role
        .iter()
        .filter_map(|name| Role::from_name(name))
        .collect();
    let folder = DataFolder::at(&args.folder.data);
    let keys = match &args.key.auth_key {
        Some(other) => KeySet::open(other, None)?,
        None => own_keys(&folder, &args.key)?,
    };
    let token = keys
        .sign(sub, &roles, args.ttl.as_secs())
        .map_err(|error| match error {
            KeyError::NothingSigns => Failure::usage(format!("--auth-key: {error}")),
            KeyError::Io { .. }
            | KeyError::TooShort { .. }
            | KeyError::NotAKeySet { .. }
            | KeyError::NoSecret { .. }
            | KeyError::Signing(_) => error.into(),
        })?;
    out::line(token)?;
    Ok(())
}

/// The keys of a data folder. One that a service has not been started over yet gets them here; what is no data folder
/// gets none, and no token that nobody takes.
fn own_keys(folder: &DataFolder, args: &cli::KeyArgs) -> anyhow::Result<KeySet> {
    let path = folder.path().display();
    if folder.is_backup() {
        anyhow::bail!(
            "{path} is a backup, which has no keys; restore it first, and make tokens of the restored folder"
        );
    }
    let lacks_keys = compose::lacks_keys(folder);
    if lacks_keys && !folder.has_log() {
        anyhow::bail!(
            "{path} holds neither keys nor a log; --data names the folder of the service that the token is for, or \
             --auth-key its key, and `doorstep serve` makes a new folder"
        );
    }
    let keys = compose::open_keys(folder, args)?;
    if lacks_keys {
        eprintln!(
            "doorstep: {path} had no signing key and has a new one; a service over another folder does not take this token"
        );
    }
    Ok(keys)
}

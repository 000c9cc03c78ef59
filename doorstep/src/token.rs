//! `token`: a bearer token, signed with the key in force, beside a running service or without one.

use api::{KeyError, Role};

use crate::cli;
use crate::compose::{self, DataFolder};
use crate::failure::{Done, Failure};

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
    let made = args.key.auth_key.is_none() && matches!(folder.keys().try_exists(), Ok(false));
    let keys = compose::open_keys(&folder, &args.key)?;
    if made {
        eprintln!(
            "doorstep: {} had no signing key and has a new one; a service over another folder does not take this token",
            args.folder.data.display()
        );
    }
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
    println!("{token}");
    Ok(())
}

//! `token`: a bearer token, signed with the key in force, beside a running service or without one.

use api::Role;

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
    if args.key.auth_key.is_none() && !folder.keys().exists() {
        eprintln!(
            "doorstep: {} had no signing key; a new one is made, and tokens of another folder do not open this one",
            args.folder.data.display()
        );
    }
    let keys = compose::open_keys(&folder, &args.key)?;
    println!("{}", keys.sign(sub, &roles, args.ttl.as_secs())?);
    Ok(())
}

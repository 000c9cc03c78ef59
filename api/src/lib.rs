//! The HTTP interface: routes, tokens, errors, OpenAPI.

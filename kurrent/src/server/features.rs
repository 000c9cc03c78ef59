//! The service `ServerFeatures`: which calls there are. Clients ask it before anything else, without a token.

use tonic::{Request, Response, Status};

use super::Door;
use crate::proto::event_store::client::server_features::server_features_server::ServerFeatures;
use crate::proto::event_store::client::server_features::{SupportedMethod, SupportedMethods};

/// The version of the protocol's server whose reading and appending this is: told because clients ask for it.
const VERSION: &str = "24.10.0";
/// The service of streams, as clients look for it.
const STREAMS: &str = "event_store.client.streams.streams";

/// The service.
pub(super) struct Served {
    pub(super) door: Door,
}

#[tonic::async_trait]
impl ServerFeatures for Served {
    async fn get_supported_methods(
        &self,
        _: Request<()>,
    ) -> Result<Response<SupportedMethods>, Status> {
        let names: &[&str] = match self.door {
            Door::Reading => &["read"],
            Door::Appending => &["read", "append", "batchappend"],
        };
        let method = |name: &&str| {
            let features = if *name == "batchappend" {
                vec!["deadline_duration".to_owned()]
            } else {
                Vec::new()
            };
            SupportedMethod {
                method_name: (*name).to_owned(),
                service_name: STREAMS.to_owned(),
                features,
            }
        };
        Ok(Response::new(SupportedMethods {
            methods: names.iter().map(method).collect(),
            event_store_server_version: VERSION.to_owned(),
        }))
    }
}

//! The service `Gossip`: one node, which leads.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::messages::Ids;
use super::shown;
use crate::proto::event_store::client::gossip::gossip_server::Gossip;
use crate::proto::event_store::client::gossip::member_info::VNodeState;
use crate::proto::event_store::client::gossip::{ClusterInfo, EndPoint, MemberInfo};

/// The service.
pub(super) struct Served {
    id: Uuid,
    advertised: Option<(String, u16)>,
    listening: Option<SocketAddr>,
}

impl Served {
    pub(super) fn new(advertised: Option<(String, u16)>, listening: Option<SocketAddr>) -> Self {
        Self {
            id: Uuid::new_v4(),
            advertised,
            listening,
        }
    }
}

#[tonic::async_trait]
impl Gossip for Served {
    async fn read(&self, request: Request<()>) -> Result<Response<ClusterInfo>, Status> {
        let came_to = || request.local_addr().or(self.listening).map(shown);
        let address = self.advertised.clone().or_else(came_to);
        let (address, port) = address
            .ok_or_else(|| Status::internal("the address of this connection is not known"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let node = MemberInfo {
            instance_id: Some(Ids::Structured.told(self.id)),
            time_stamp: now.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0)),
            state: VNodeState::Leader.into(),
            is_alive: true,
            http_end_point: Some(EndPoint {
                address,
                port: u32::from(port),
            }),
        };
        Ok(Response::new(ClusterInfo {
            members: vec![node],
        }))
    }
}

//! An API server in memory that knows one Lease and keeps Kubernetes' rules for resourceVersions.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use kube::Client;
use serde_json::{Value, json};

use crate::leadership::LEASE_NAME;

/// A fault of the API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fault {
    #[default]
    None,
    /// The API server neither answers a call nor carries it out.
    Hang,
    /// The API server carries out the next write, and its answer is lost.
    LoseNextAnswer,
}

/// Clones share the Lease.
#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<Store>>);

#[derive(Default)]
struct Store {
    lease: Option<Value>,
    version: u64,
    fault: Fault,
}

impl Server {
    pub(super) fn client(&self) -> Client {
        let router = Router::new()
            .route(
                "/apis/coordination.k8s.io/v1/namespaces/system/leases",
                post(create),
            )
            .route(
                "/apis/coordination.k8s.io/v1/namespaces/system/leases/{name}",
                get(read).put(replace),
            )
            .with_state(self.clone());
        Client::new(router, "system")
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.0.lock().unwrap().fault = fault;
    }

    pub(super) fn spec(&self) -> LeaseSpec {
        let lease = self.lease().unwrap();
        serde_json::from_value(lease["spec"].clone()).unwrap()
    }

    pub(super) fn holder(&self) -> Option<String> {
        self.spec().holder_identity
    }

    pub(super) fn lease(&self) -> Option<Value> {
        self.0.lock().unwrap().lease.clone()
    }

    /// Changes the Lease as another client does.
    pub(super) fn edit(&self, change: impl FnOnce(&mut Option<Value>)) {
        let mut store = self.0.lock().unwrap();
        store.version += 1;
        let version = store.version.to_string();
        change(&mut store.lease);
        if let Some(lease) = &mut store.lease {
            lease["metadata"]["resourceVersion"] = version.into();
        }
    }

    async fn write(
        &self,
        lease: Value,
        refuses: impl FnOnce(&Store) -> Option<Response>,
    ) -> Response {
        let (answer, lost) = {
            let mut store = self.0.lock().unwrap();
            let lost = store.fault != Fault::None;
            if store.fault != Fault::Hang {
                if let Some(refused) = refuses(&store) {
                    return refused;
                }
                store.fault = Fault::None;
                store.version += 1;
                let mut lease = lease;
                lease["metadata"]["resourceVersion"] = store.version.to_string().into();
                lease["metadata"]["uid"] = "uid".into();
                store.lease = Some(lease.clone());
                (Json(lease).into_response(), lost)
            } else {
                (StatusCode::OK.into_response(), true)
            }
        };
        if lost {
            std::future::pending().await
        } else {
            answer
        }
    }
}

fn refusal(code: StatusCode, reason: &str) -> Response {
    let status = json!({"kind": "Status", "status": "Failure", "code": code.as_u16(), "reason": reason, "message": reason});
    (code, Json(status)).into_response()
}

async fn read(State(server): State<Server>, Path(name): Path<String>) -> Response {
    assert_eq!(name, LEASE_NAME);
    let (lease, fault) = {
        let store = server.0.lock().unwrap();
        (store.lease.clone(), store.fault)
    };
    match lease {
        _ if fault == Fault::Hang => std::future::pending().await,
        Some(lease) => Json(lease).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "NotFound"),
    }
}

async fn create(State(server): State<Server>, Json(lease): Json<Value>) -> Response {
    let exists = |store: &Store| {
        let lease = store.lease.as_ref();
        lease.map(|_| refusal(StatusCode::CONFLICT, "AlreadyExists"))
    };
    server.write(lease, exists).await
}

async fn replace(State(server): State<Server>, Json(lease): Json<Value>) -> Response {
    let sent = lease["metadata"]["resourceVersion"].clone();
    assert!(
        sent.is_string(),
        "every replace carries a resourceVersion: {lease}"
    );
    let outdated = |store: &Store| match &store.lease {
        None => Some(refusal(StatusCode::NOT_FOUND, "NotFound")),
        Some(lease) if lease["metadata"]["resourceVersion"] == sent => None,
        Some(_) => Some(refusal(StatusCode::CONFLICT, "Conflict")),
    };
    server.write(lease, outdated).await
}

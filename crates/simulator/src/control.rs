//! Control over HTTP of a simulator that runs as its own process. Bodies are JSON. There is no authentication.
//!
//! | call | body | answers |
//! |---|---|---|
//! | `GET /_control/` | | this list in short |
//! | `GET /_control/instances[?client_id=…]` | | all instances ever created; with a client id, those that its owner has now |
//! | `GET /_control/requests` | | the latest requests |
//! | `GET /_control/counts` | | requests per endpoint |
//! | `POST /_control/counts/reset` | | |
//! | `GET /_control/faults` | | the faults that wait |
//! | `POST /_control/faults` | a [`Fault`], e.g. `{"endpoint":"start","effect":{"kind":"drop","when":"after"},"times":1}` | `{"id"}` |
//! | `DELETE /_control/faults` | | |
//! | `POST /_control/faults/release` | | ends the delays that have begun, and removes the delays that wait |
//! | `POST /_control/outsider/start` | `{"client_id","args":{"model_id",…}}` | `{"instance_id"}` |
//! | `POST /_control/outsider/stop`, `…/delete` | `{"instance_id"}` | |
//! | `POST /_control/stop-everything` | `{"client_id"}` | `{"instance_ids"}` |
//! | `POST /_control/down` | `{"down":true}` | |
//! | `POST /_control/list-lag` | `"none"`, `{"milliseconds":n}` or `{"lists":n}` | |
//! | `POST /_control/expire-tokens` | | |
//! | `POST /_control/secret` | `{"client_id","client_secret"}` | |
//! | `POST /_control/capacity` | `{"hardware_type_id","workers":n or null}` | |
//! | `POST /_control/catalog` | a [`CatalogChange`], e.g. `{"removed_models":["microsoft--phi-4"]}` | |
//! | `POST /_control/step-duration` | `{"milliseconds":n}` | |
//! | `POST /_control/omit` | `{"fields":["num_workers",…]}` | |
//! | `POST /_control/rewrite` | `{"rewrites":[{"name":"current_step","to":"fraction"}]}`; or `"text"`, or `{"value":…}`; `"from":…`: only values that equal this one | |
//!
//! A call that is not possible is answered with 400 and a `message`. [`Effect`](super::Effect) describes the effects of faults.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use cortecs_api::types::InstanceArgs;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    catalog::CatalogChange, fault::Fault, handle::Handle, lag::ListLag, omit::Omitted,
    rewrite::Rewrite, world::Refusal,
};

const HELP: &str = "\
GET    /_control/instances[?client_id=ID]  every instance ever created; or those that exist now
GET    /_control/requests                  the latest requests to the API
GET    /_control/counts                    requests per endpoint; POST /_control/counts/reset
GET    /_control/faults                    faults that wait; DELETE clears them
POST   /_control/faults                    {\"endpoint\":\"start\",\"effect\":{\"kind\":\"drop\",\"when\":\"after\"},\"times\":1}
         endpoint: any, token, list_instances, get_instance, start, restart, stop, stop_all, delete, delete_all,
                   balance, list_models, get_model, hardware_types, available_hardware_types
         kind:     answer (when, status, body {message|html|raw} or \"empty\", retry_after, location), drop (when, reset),
                   delay (when, milliseconds), malformed_body, truncated_body, cut_list, without_instance, huge_body (bytes),
                   expire_token; when is before or after the effect
         optional: times, probability, matches (a model id)
POST   /_control/faults/release            ends the delays that have begun, removes those that wait
POST   /_control/outsider/start            {\"client_id\":ID,\"args\":{\"model_id\":MODEL}}
POST   /_control/outsider/stop             {\"instance_id\":ID}; likewise /_control/outsider/delete
POST   /_control/stop-everything           {\"client_id\":ID}
POST   /_control/down                      {\"down\":true}
POST   /_control/list-lag                  \"none\", {\"milliseconds\":N} or {\"lists\":N}
POST   /_control/expire-tokens
POST   /_control/secret                    {\"client_id\":ID,\"client_secret\":SECRET}
POST   /_control/capacity                  {\"hardware_type_id\":ID,\"workers\":N or null}
POST   /_control/catalog                   {\"models\":[MODEL],\"hardware_types\":[TYPE],\"removed_models\":[ID],\"removed_hardware_types\":[ID]}
POST   /_control/step-duration             {\"milliseconds\":N}, for what starts from now on
POST   /_control/omit                      {\"fields\":[\"num_workers\", …]}, of instances: arguments but the model, and worker_statuses
POST   /_control/rewrite                   {\"rewrites\":[{\"name\":\"current_step\",\"to\":\"text\"}]}: \"fraction\", \"text\" or {\"value\":VALUE}; \"from\":VALUE
";

type Control = State<Handle>;

pub(super) fn router<S: Clone + Send + Sync + 'static>(handle: Handle) -> Router<S> {
    let calls = Router::new()
        .route("/", get(async || HELP))
        .route("/instances", get(instances))
        .route(
            "/requests",
            get(async |State(handle): Control| Json(handle.requests())),
        )
        .route(
            "/counts",
            get(async |State(handle): Control| Json(handle.counts())),
        )
        .route("/counts/reset", post(reset_counts))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/faults/release", post(release_delays))
        .route("/outsider/start", post(outsider_start))
        .route("/outsider/stop", post(outsider_stop))
        .route("/outsider/delete", post(outsider_delete))
        .route("/stop-everything", post(stop_everything))
        .route("/down", post(down))
        .route("/list-lag", post(list_lag))
        .route("/expire-tokens", post(expire_tokens))
        .route("/secret", post(secret))
        .route("/capacity", post(capacity))
        .route("/catalog", post(catalog))
        .route("/step-duration", post(step_duration))
        .route("/omit", post(omit))
        .route("/rewrite", post(rewrite));
    // A nested route `/` would not match the path with the trailing slash.
    let root = Router::new().route("/_control/", get(async || HELP));
    root.nest("/_control", calls).with_state(handle)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({ "message": self.0 }))).into_response()
    }
}

fn done() -> Json<Value> {
    Json(json!({ "message": "Done" }))
}

#[derive(Deserialize)]
struct MaybeClient {
    client_id: Option<String>,
}

async fn instances(State(handle): Control, Query(query): Query<MaybeClient>) -> Response {
    match query.client_id {
        Some(client_id) => Json(handle.instances(&client_id)).into_response(),
        None => Json(handle.all_started()).into_response(),
    }
}

async fn reset_counts(State(handle): Control) -> Json<Value> {
    handle.reset_counts();
    done()
}

async fn faults(State(handle): Control) -> Json<Value> {
    let waiting = handle.faults().into_iter();
    Json(
        waiting
            .map(|(id, fault)| json!({ "id": id, "fault": fault }))
            .collect(),
    )
}

async fn add_fault(State(handle): Control, Json(fault): Json<Fault>) -> Json<Value> {
    Json(json!({ "id": handle.add_fault(fault) }))
}

async fn clear_faults(State(handle): Control) -> Json<Value> {
    handle.clear_faults();
    done()
}

async fn release_delays(State(handle): Control) -> Json<Value> {
    handle.release_delays();
    done()
}

#[derive(Deserialize)]
struct OutsiderStart {
    client_id: String,
    args: InstanceArgs,
}

async fn outsider_start(
    State(handle): Control,
    Json(body): Json<OutsiderStart>,
) -> Result<Json<Value>, Refusal> {
    let id = handle.outsider_start(&body.client_id, body.args)?;
    Ok(Json(json!({ "instance_id": id })))
}

#[derive(Deserialize)]
struct OneInstance {
    instance_id: String,
}

async fn outsider_stop(
    State(handle): Control,
    Json(body): Json<OneInstance>,
) -> Result<Json<Value>, Refusal> {
    handle.outsider_stop(&body.instance_id).map(|()| done())
}

async fn outsider_delete(
    State(handle): Control,
    Json(body): Json<OneInstance>,
) -> Result<Json<Value>, Refusal> {
    handle.outsider_delete(&body.instance_id).map(|()| done())
}

#[derive(Deserialize)]
struct Client {
    client_id: String,
}

async fn stop_everything(State(handle): Control, Json(body): Json<Client>) -> Json<Value> {
    Json(json!({ "instance_ids": handle.stop_everything(&body.client_id) }))
}

#[derive(Deserialize)]
struct Down {
    down: bool,
}

async fn down(State(handle): Control, Json(body): Json<Down>) -> Json<Value> {
    handle.set_down(body.down);
    done()
}

async fn list_lag(State(handle): Control, Json(lag): Json<ListLag>) -> Json<Value> {
    handle.set_list_lag(lag);
    done()
}

async fn expire_tokens(State(handle): Control) -> Json<Value> {
    handle.expire_tokens();
    done()
}

#[derive(Deserialize)]
struct Secret {
    client_id: String,
    client_secret: String,
}

async fn secret(State(handle): Control, Json(body): Json<Secret>) -> Result<Json<Value>, Refusal> {
    if handle.set_secret(&body.client_id, body.client_secret) {
        return Ok(done());
    }
    Err(Refusal(format!(
        "No account has the client id {}",
        body.client_id
    )))
}

#[derive(Deserialize)]
struct Capacity {
    hardware_type_id: String,
    workers: Option<u32>,
}

async fn capacity(
    State(handle): Control,
    Json(body): Json<Capacity>,
) -> Result<Json<Value>, Refusal> {
    match body.workers {
        Some(workers) => handle.set_capacity(&body.hardware_type_id, workers)?,
        None => handle.lift_capacity(&body.hardware_type_id)?,
    }
    Ok(done())
}

async fn catalog(State(handle): Control, Json(change): Json<CatalogChange>) -> Json<Value> {
    handle.change_catalog(change);
    done()
}

#[derive(Deserialize)]
struct StepDuration {
    #[serde(rename = "milliseconds", with = "super::millis")]
    duration: Duration,
}

async fn step_duration(State(handle): Control, Json(body): Json<StepDuration>) -> Json<Value> {
    handle.set_step_duration(body.duration);
    done()
}

#[derive(Deserialize)]
struct Omit {
    fields: Vec<Omitted>,
}

#[derive(Deserialize)]
struct Rewrites {
    rewrites: Vec<Rewrite>,
}

async fn rewrite(State(handle): Control, Json(body): Json<Rewrites>) -> Json<Value> {
    handle.rewrite(body.rewrites);
    done()
}

async fn omit(State(handle): Control, Json(body): Json<Omit>) -> Json<Value> {
    handle.omit(body.fields);
    done()
}
